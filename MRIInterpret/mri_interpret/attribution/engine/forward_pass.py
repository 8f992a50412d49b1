"""The forward pass of any model: recorded, and by torch alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Cancelled, UserError
from .calls import UnsupportedOperation
from .operation import Backward
from .pooled_convolution import SlabPolicy
from .recorder import Recorder
from .torch_modes import compiled_code_run_eagerly


def record_forward(
    model: nn.Module,
    x: Tensor,
    backward: Backward,
    strict: bool = False,
    layers: tuple[str, ...] = (),
    slabs: SlabPolicy | None = None,
    feature: int | None = None,
) -> tuple[Recorder, Any]:
    """Record one forward pass of ``model`` on ``x``; the parameters are those of :class:`recorder.Recorder`.

    Returns
    -------
    Recorder
        With what it recorded.
    Any
        The model's output.

    Raises
    ------
    UnsupportedOperation
        If the model cannot be followed, although it runs by itself.
    """
    recorder = Recorder(model, backward, strict, layers, slabs, feature=feature)
    stopped: tuple[Recorder, Exception] | None = None
    try:
        output = recorder.run(model, x)
    except (Cancelled, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if not recorder.leaked:
            if isinstance(error, UserError):
                raise
            stopped = recorder, error
    else:
        if not recorder.leaked:
            return recorder, output
    # Something in the model reads values that are not computed yet, or how they lie in memory: record what torch has.
    recorder = Recorder(model, backward, strict, layers, slabs, defers=False, feature=feature)
    try:
        return recorder, recorder.run(model, x)
    except (Cancelled, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if isinstance(error, UserError):
            raise
        _refuse(model, x, *(stopped or (recorder, error)))
        raise


def _refuse(model: nn.Module, x: Tensor, recorder: Recorder, error: Exception) -> None:
    """Raise what tells best why a recorded pass stopped with ``error``."""
    try:
        with torch.no_grad():
            run_by_torch(model, x.detach())
    except Exception:
        raise error from None  # the model's own error: it does not run by itself either
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    raise UnsupportedOperation(*recorder.last_call, f"recording stopped there with '{reason}'") from error


def run_by_torch(model: nn.Module, x: Tensor) -> Any:
    """The output of ``model`` as it is, without a recorder.

    The model gets a copy of ``x``, as it may change its input in place. Weights of another precision than ``x`` are
    cast to that of ``x`` (for TorchScript, whose weights cannot be replaced, ``x`` is cast to theirs), and weights made
    in inference mode are copied, as the recorder does.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    replaced = {name: _fitting(tensor, x) for name, tensor in tensors.items()}
    replaced = {name: tensor for name, tensor in replaced.items() if tensor is not tensors[name]}
    x = x.clone()
    with compiled_code_run_eagerly():
        if not replaced:
            return model(x)
        if isinstance(model, torch.jit.ScriptModule):
            return model(x.to(next((tensors[name].dtype for name in replaced), x.dtype)))
        return torch.func.functional_call(model, replaced, (x,))


def _fitting(tensor: Tensor, x: Tensor) -> Tensor:
    if tensor.is_inference():
        tensor = tensor.clone()
    return tensor.detach().to(x.dtype) if tensor.is_floating_point() and tensor.dtype != x.dtype else tensor
