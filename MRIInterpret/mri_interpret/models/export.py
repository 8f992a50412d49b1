"""A live network as a program that needs none of its code: torch.export, else a TorchScript trace, checked."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOLERANCE = 1e-4  # of the outputs' size, in float32


def export_network(network: nn.Module, input_shape: Sequence[int], folder: Path) -> tuple[Path, str]:
    """Write ``network`` as folder/model.pt2 (torch.export), or as folder/model.ts (TorchScript) where that fails.

    Parameters
    ----------
    network
        In any mode; it is not changed.
    input_shape
        (C, I, J, K): exported for this shape and one sample.
    folder
        Exists.

    Returns
    -------
    path, note
        The file, and what the user should know ("" if nothing).

    Raises
    ------
    UserError
        If neither can be made, or what was made answers otherwise than the network.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, *input_shape, generator=generator)
    training = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad():
            expected = _run(network, x)
            first = _exported(network, x, expected, folder / "model.pt2")
            if not first:
                return folder / "model.pt2", ""
            second = _traced(network, x, expected, folder / "model.ts")
    finally:
        for module, flag in training.items():
            module.training = flag
    if second:
        raise UserError(
            f"The network cannot be written as a program: torch.export says '{first}', TorchScript '{second}'."
        )
    return folder / "model.ts", f"Written as a TorchScript trace, because torch.export cannot ({first})."


def _run(network: Any, x: Tensor) -> Tensor:
    import torch

    try:
        output = network(x.clone())  # some networks change their input in place
    except Exception as error:  # whatever a network raises for an input that it cannot take
        shape = " x ".join(map(str, x.shape[1:]))
        raise UserError(f"The network cannot take an input of {shape} ({_line(error)}).") from error
    if not isinstance(output, torch.Tensor):
        raise UserError(f"The network returns a {type(output).__name__}: wrap it so that it returns its scores alone.")
    if not bool(torch.isfinite(output).all()):
        raise UserError("The network returns NaN or infinite values: its training failed, or its weights are damaged.")
    return output


def _exported(network: Any, x: Tensor, expected: Tensor, path: Path) -> str:
    """The reason why it failed; empty if it did not."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (x.clone(),))
            torch.export.save(program, str(path))
            found = torch.export.load(str(path)).module()(x.clone())
    except Exception as error:  # torch.export raises many kinds
        path.unlink(missing_ok=True)
        return _line(error)
    return _difference(found, expected, path)


def _traced(network: Any, x: Tensor, expected: Tensor, path: Path) -> str:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(network, x.clone()), str(path))
            other = torch.rand_like(x)
            program = torch.jit.load(str(path))
            found, again, wanted = program(x.clone()), program(other.clone()), network(other.clone())
    except Exception as error:
        path.unlink(missing_ok=True)
        return _line(error)
    # A trace keeps the branch that one input took: another input must agree too.
    return _difference(found, expected, path) or _difference(again, wanted, path)


def _difference(found: Tensor, expected: Tensor, path: Path) -> str:
    largest = float((found - expected).abs().max())
    if largest <= _TOLERANCE * max(1.0, float(expected.abs().max())):
        return ""
    path.unlink(missing_ok=True)
    return f"what was written answers otherwise (by {largest:.3g})"


def _line(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:160]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Where a program is written before it goes into its bundle."""
    return tempfile.TemporaryDirectory(prefix="mri-interpret-model-")
