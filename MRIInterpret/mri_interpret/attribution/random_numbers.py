"""Networks that draw random numbers in evaluation: a map of one draw would be taken for a map of the network.

Whether a pass drew any is seen by the generators' states, which costs microseconds; only then is the network run again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError

#: Largest difference of scores, relative to the largest of them, that is no sign of chance.
SAME = 1e-4


class Generators:
    """The states of the global random generators (torch's on the CPU and on one device, NumPy's and Python's)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._states = self._now()

    def moved(self) -> bool:
        """Whether random numbers were drawn since this object was made."""
        torch_now, *others_now = self._now()
        torch_then, *others_then = self._states
        return others_now != others_then or not all(map(torch.equal, torch_now, torch_then))

    def _now(self) -> tuple[list[Tensor], Any, Any]:
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        numbers: Any = np.random.get_state()  # noqa: NPY002 - networks draw from the legacy generator
        return states, (numbers[1].tobytes(), *numbers[2:]), random.getstate()


def refuse_chance(scores: Callable[[], Tensor], device: torch.device) -> None:
    """Refuse a network whose scores depend on chance.

    Parameters
    ----------
    scores
        Runs the network once: (N, classes).
    device
        Where it runs.

    Raises
    ------
    UserError
        If two runs with different seeds differ.
    """
    found = []
    with _kept(device):
        for seed in (1, 2):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            found.append(scores().double())
    first, second = found
    if float((first - second).abs().max()) > SAME * max(float(first.abs().max()), 1e-6):
        raise UserError(
            "The model draws random numbers while it computes its scores, so that each run gives others: make it "
            "deterministic in evaluation mode."
        )


@contextmanager
def _kept(device: torch.device) -> Iterator[None]:
    """Give all generators their states back."""
    numbers, others = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            np.random.set_state(numbers)  # noqa: NPY002
            random.setstate(others)
