"""The model's answer to inputs that differ from a known one only inside a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .engine.partial import Baseline, changed_outputs
from .engine.programs import is_program
from .target import class_scores


class Changes:
    """Logits of changed inputs; what a change does not reach is computed once.

    Parameters
    ----------
    model
        In evaluation mode.
    x
        The unchanged input, (N, C, *spatial).
    plain
        ``plain(inputs, samples)`` runs the model on whole inputs, ``samples`` at a time where it must.
    """

    def __init__(self, model: nn.Module, x: Tensor, plain: Callable[[Tensor, int], Tensor]) -> None:
        self._model, self._x, self._plain = model, x.detach(), plain
        self._baseline: list[Tensor] | None = None

    def __call__(self, places: list[tuple[int, ...]], values: Tensor) -> Tensor:
        """Logits (boxes * N, classes) with ``values`` (boxes, N, C, *size) put at ``places``, one box at a time."""
        with torch.no_grad():
            if not is_program(self._model):
                if self._baseline is None:
                    recorder = Baseline(self._model)
                    recorder.run(self._model, self._x)
                    self._baseline = recorder.values
                with _one_thread(values):
                    output = changed_outputs(self._model, self._baseline, self._x, places, values)
                logits = class_scores(output).detach()
                if bool(torch.isfinite(logits).all()):
                    return logits
            # A program, or a model that reads values which partial passes do not have.
            scans = self._x.repeat(len(places), *[1] * self._x.dim()).reshape(len(places), *self._x.shape)
            for scan, place, value in zip(scans, places, values, strict=True):
                box = (slice(start, start + length) for start, length in zip(place, value.shape[2:], strict=True))
                scan[(slice(None), slice(None), *box)] = value
            return self._plain(scans.flatten(0, 1), len(self._x))


@contextmanager
def _one_thread(values: Tensor) -> Iterator[None]:
    """Crops are too small to share among threads: waiting for each other costs more, above all on a busy machine."""
    threads = torch.get_num_threads()
    if values.device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
