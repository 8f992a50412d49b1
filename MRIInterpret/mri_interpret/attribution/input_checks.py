"""Whether a model can take an input, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..errors import UserError
from .engine.programs import layer_names
from .engine.running_module import RunningModule

_QUANTISED = tuple(
    f"torch.{package}.{kind}"
    for package in ("ao.nn", "nn")
    for kind in ("quantized", "intrinsic.quantized", "quantizable")
)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def as_tensor(value: Any) -> Any:
    """A tensor of what can be one (arrays without a copy); None stays None."""
    if value is None or isinstance(value, torch.Tensor):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise UserError(f"An array of type {array.dtype} cannot be explained: give floating point numbers.")
    # Torch takes neither reversed axes nor another machine's byte order, and warns of arrays that cannot be written.
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def check_input(model: nn.Module, x: Tensor) -> None:
    """Refuse, before the model runs, an input that it cannot take.

    Raises
    ------
    UserError
        If ``x`` is empty, holds no finite floating point numbers, or has another number of axes or another shape than
        the model says that it needs.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"the input is a tensor (N, C, I, J, K), not {type(x).__name__}")
    shape = tuple(x.shape)
    if x.dim() < 3 or 0 in shape:
        raise UserError(f"The input has shape {shape}; the model needs (N, C, I, J, K).")
    if x.is_meta:
        raise UserError("The input holds no values (it is on torch's meta device): load the scan first.")
    if not x.is_floating_point():
        raise UserError(f"The input has type {x.dtype}; give floating point intensities.")
    if not bool(torch.isfinite(x).all()):
        raise UserError("The input holds values that are not finite (NaN or infinity): mend the scan first.")
    first = next((module for module in model.modules() if isinstance(module, _CONVOLUTIONS)), None)
    axes = x.dim() - 2 if first is None else len(first.kernel_size)
    if x.dim() != axes + 2:
        hint = ": add an axis for the batch, x[None]" if x.dim() == axes + 1 else ""
        raise UserError(f"The input has shape {shape}; the model needs {axes} spatial axes after (N, C){hint}.")
    exported = _exported_shape(model)
    if exported is not None and not _fits(shape, exported):
        needed = ", ".join("any" if size is None else str(size) for size in exported)
        raise UserError(f"The model was exported for inputs of shape ({needed}), but the input has shape {shape}.")


def check_precision(model: nn.Module) -> None:
    """Refuse a model with quantised layers, through which no gradient passes.

    Raises
    ------
    UserError
        With the name of the first of them.
    """
    for name, module in model.named_modules():
        if type(module).__module__.startswith(_QUANTISED):
            raise UserError(
                f"The model's layer '{name}' is quantised, and no gradient passes through it: explain the model it was "
                "made from."
            )


def check_on_grid(values: Tensor | None, x: Tensor, what: str, whole: bool = False) -> None:
    """Refuse a brain mask or labels that do not lie on the spatial grid of ``x``.

    Raises
    ------
    UserError
        If the shape differs, or with ``whole`` if a value is no whole number.
    """
    if values is None:
        return
    if tuple(values.shape) != tuple(x.shape[2:]):
        raise UserError(f"The {what} have shape {tuple(values.shape)}, the input {tuple(x.shape[2:])}.")
    if whole and values.is_floating_point() and not bool((values == values.round()).all()):
        raise UserError(f"The {what} hold values that are no whole numbers.")


def check_layers(model: nn.Module, layers: Iterable[str]) -> None:
    """Refuse names of layers that ``model`` does not have.

    Raises
    ------
    UserError
        With the names that there are.
    """
    names: list[str] | None = None
    for layer in layers:
        names = layer_names(model) if names is None else names
        if layer not in names:
            raise UserError(f"The model has no layer '{layer}'; it has: {', '.join(names)}.")


def refusal_of(model: nn.Module, x: Tensor) -> str | None:
    """Why the plain model cannot take ``x``, in one sentence; None if it can, or if memory runs out."""
    running = RunningModule(model)
    received: list[tuple[int, ...]] = []

    def note(_module: nn.Module, given: Any) -> None:
        if given and isinstance(given[0], Tensor):
            received[:] = [tuple(given[0].shape)]

    parameter = next(model.parameters(), None)
    hook = register_module_forward_pre_hook(note)
    try:
        with torch.no_grad(), running.following(lambda _name, _output: received.clear()):
            try:
                # A copy, as the model may change its input in place.
                model(x.detach().to(x.dtype if parameter is None else parameter.dtype, copy=True))
            except Exception as error:
                if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                    return None
                name = running.name
                module = dict(model.named_modules()).get(name)
                reason = _mismatch(module, received[0]) if received else ""
                reason = reason or f"fails ({type(error).__name__}: {_sentence(error)})"
                where = f"its layer '{name}'" if name else "it"
                return f"The model cannot take an input of shape {tuple(x.shape)}: {where} {reason}."
    finally:
        hook.remove()
    return None


def _mismatch(module: nn.Module | None, given: tuple[int, ...]) -> str:
    """What a layer of a known kind needs, and what it was given; empty if that fits or is not known."""
    if isinstance(module, nn.Linear) and given[-1] != module.in_features:
        return f"takes {module.in_features} values per sample, but this input gives it {given[-1]}"
    if isinstance(module, _CONVOLUTIONS):
        if len(given) > 1 and given[1] != module.in_channels:
            return f"takes {module.in_channels} channels, but this input gives it {given[1]} (shape {given})"
        kernel = " x ".join(map(str, module.kernel_size))
        return f"has a kernel of {kernel}, but this input gives it the shape {given}"
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) and given[1] != module.num_features:
        return f"takes {module.num_features} channels, but this input gives it {given[1]} (shape {given})"
    if isinstance(module, nn.LayerNorm) and given[-len(module.normalized_shape) :] != tuple(module.normalized_shape):
        return f"takes {tuple(module.normalized_shape)} as last axes, but this input gives it the shape {given}"
    return ""


def _sentence(error: Exception) -> str:
    """The part of an error's text that says what is wrong: TorchScript puts it last, others first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((line for line in reversed(lines) if line.startswith("RuntimeError:")), lines[0] if lines else "")
    return line.removeprefix("RuntimeError:").strip().rstrip(".")[:200]


def _fits(shape: tuple[int, ...], needed: tuple[int | None, ...]) -> bool:
    return len(shape) == len(needed) and all(size in (None, given) for size, given in zip(needed, shape, strict=True))


def _exported_shape(model: nn.Module) -> tuple[int | None, ...] | None:
    """The input shape that a program from torch.export insists on; None for sizes that may vary."""
    if not isinstance(model, fx.GraphModule):
        return None
    for node in model.graph.nodes:
        value = node.meta.get("val") if node.op == "placeholder" else None
        if isinstance(value, Tensor):
            return tuple(size if isinstance(size, int) else None for size in value.shape)
    return None
