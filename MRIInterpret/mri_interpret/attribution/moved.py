"""A model on another device for a while."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError


class Moved:
    """The model on another device for a while.

    Raises
    ------
    UserError
        If the device cannot be used, the model's weights were never loaded, or it is spread over several devices.
    """

    def __init__(self, model: nn.Module, device: str | torch.device | None) -> None:
        self.model = model
        tensors = [*model.named_parameters(), *model.named_buffers()]
        missing = [name for name, tensor in tensors if tensor.is_meta]
        if missing:
            raise UserError(
                f"The model has no values for '{missing[0]}' (it is on torch's meta device): load its weights first."
            )
        places = sorted({str(tensor.device) for _, tensor in tensors})
        if len(places) > 1:
            raise UserError(f"The model is spread over the devices {', '.join(places)}: move it to one of them first.")
        first: Tensor | None = next(model.parameters(), None)
        first = next(model.buffers(), None) if first is None else first
        self.home = torch.device("cpu") if first is None else first.device
        self.place = self.home if device is None else _usable(device)

    def __enter__(self) -> torch.device:
        if self.place != self.home:
            try:
                self.model.to(self.place)
            except BaseException:
                # Memory may run out half-way; nobody gets a model in two places back.
                self.model.to(self.home)
                raise
        return self.place

    def __exit__(self, *_: Any) -> None:
        if self.place != self.home:
            self.model.to(self.home)


def _usable(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
    except RuntimeError:
        raise UserError(f"There is no device '{device}': choose 'cpu' or 'cuda'.") from None
    if place.type == "meta":
        raise UserError("Device 'meta' holds no values: choose 'cpu' or 'cuda'.")
    if place.type == "cuda" and not torch.cuda.is_available():
        raise UserError("No CUDA device is available: choose device 'cpu'.")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise UserError(f"Device '{device}' does not exist: there are {torch.cuda.device_count()} CUDA devices.")
    return place
