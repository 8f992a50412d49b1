"""Logits of inputs that differ from a known one only inside a box: only what the box reaches is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .engine.partial import Baseline, changed_outputs
from .engine.programs import is_program


class PatchedLogits:
    """Logits of one input with a box replaced; what the box does not reach is computed once.

    Parameters
    ----------
    model
        In evaluation mode.
    x
        The input without any box replaced, (N, C, *spatial).
    scores
        ``scores(output, samples)``: what is explained, (samples, classes), within what the model returned.
    whole
        ``whole(inputs, samples)``: the model's logits for whole inputs, run ``samples`` at a time where it must be.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        scores: Callable[[Any, int], Tensor],
        whole: Callable[[Tensor, int], Tensor],
    ) -> None:
        self._model, self._x, self._scores, self._whole = model, x.detach(), scores, whole
        self._baseline: list[Tensor] | None = None

    def __call__(self, corners: list[tuple[int, ...]], values: Tensor) -> Tensor:
        """Logits (boxes * N, classes) with ``values`` (boxes, N, C, *size) put at ``corners``, one box at a time."""
        with torch.no_grad():
            if not is_program(self._model):
                if self._baseline is None:
                    recorder = Baseline(self._model)
                    recorder.run(self._model, self._x)
                    self._baseline = recorder.values
                with _one_thread(values):
                    output = changed_outputs(self._model, self._baseline, self._x, corners, values)
                logits = self._scores(output, len(corners) * len(self._x)).detach()
                if bool(torch.isfinite(logits).all()):
                    return logits
            # A program, or a model that reads values which partial passes do not have.
            scans = self._x.repeat(len(corners), *[1] * self._x.dim()).reshape(len(corners), *self._x.shape)
            for scan, corner, value in zip(scans, corners, values, strict=True):
                box = (slice(start, start + length) for start, length in zip(corner, value.shape[2:], strict=True))
                scan[(slice(None), slice(None), *box)] = value
            return self._whole(scans.flatten(0, 1), len(self._x))


@contextmanager
def _one_thread(values: Tensor) -> Iterator[None]:
    """Use one thread: crops are so small that threads spend more time waiting for each other than computing."""
    threads = torch.get_num_threads()
    if values.device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
