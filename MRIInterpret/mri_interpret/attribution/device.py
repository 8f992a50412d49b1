"""Where a model computes: moving it to a device and back, and how much memory was in use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import UserError


@contextmanager
def on_device(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    """Move ``model`` to ``device`` for the block and back after it; None leaves it where it is.

    Yields
    ------
    torch.device
        Where the model is.

    Raises
    ------
    UserError
        If the device cannot be used, the model's weights were never loaded, or it is spread over several devices.
    """
    home = _device_of(model)
    chosen = home if device is None else usable_device(device)
    if chosen == home:
        yield chosen
        return
    try:
        model.to(chosen)  # within the block: memory may run out half-way, and then too the whole model goes back
        yield chosen
    finally:
        model.to(home)


def usable_device(device: str | torch.device) -> torch.device:
    """The torch device of that name.

    Raises
    ------
    UserError
        If there is no such device on this machine, or it cannot compute.
    """
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"There is no device '{device}': choose 'cpu' or 'cuda'.") from None
    if chosen.type == "meta":
        raise UserError("Device 'meta' holds no values: choose 'cpu' or 'cuda'.")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise UserError("No CUDA device is available: choose device 'cpu'.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"Device '{device}' does not exist: there are {torch.cuda.device_count()} CUDA devices.")
    return chosen


def peak_memory(device: torch.device) -> int:
    """Highest memory use so far in bytes: of torch's allocator on a GPU, else resident memory of this process.

    On Windows, where the standard library cannot tell, 0.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_of(model: nn.Module) -> torch.device:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    missing = [name for name, tensor in tensors.items() if tensor.is_meta]
    if missing:
        raise UserError(
            f"The model has no values for '{missing[0]}' (it is on torch's meta device): load its weights first."
        )
    devices = sorted({str(tensor.device) for tensor in tensors.values()})
    if len(devices) > 1:
        raise UserError(f"The model is spread over the devices {', '.join(devices)}: move it to one of them first.")
    return torch.device(devices[0]) if devices else torch.device("cpu")
