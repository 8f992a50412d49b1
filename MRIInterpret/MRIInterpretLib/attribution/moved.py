"""A model on another device for a while."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError


class Moved:
    """The model on another device for a while."""

    def __init__(self, model: nn.Module, device: str | torch.device | None) -> None:
        self.model = model
        first: Tensor | None = next(model.parameters(), None)
        first = next(model.buffers(), None) if first is None else first
        self.home = torch.device("cpu") if first is None else first.device
        self.place = self.home if device is None else torch.device(device)
        if self.place.type == "cuda" and not torch.cuda.is_available():
            raise UserError("No CUDA device is available: choose device 'cpu'.")

    def __enter__(self) -> torch.device:
        if self.place != self.home:
            self.model.to(self.place)
        return self.place

    def __exit__(self, *_: Any) -> None:
        if self.place != self.home:
            self.model.to(self.home)
