"""Logits of inputs that differ from a known one only inside a box: only what the box reaches is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .engine.partial import baseline_outputs, changed_outputs
from .evaluation_mode import evaluation_mode


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
    partly
        Whether the model may be run on what a box reaches alone, many boxes together: not if it is a program, if the
        samples of a batch know of each other, or if a part of it is not recorded.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        scores: Callable[[Any, int], Tensor],
        whole: Callable[[Tensor, int], Tensor],
        partly: Callable[[], bool],
    ) -> None:
        self._model, self._x, self._scores, self._whole = model, x.detach(), scores, whole
        self._asked, self._partly = partly, True
        self._baseline: list[Tensor] | None = None

    def __call__(self, corners: list[tuple[int, ...]], values: Tensor) -> Tensor:
        """Logits (boxes * N, classes) with ``values`` (boxes, N, C, *size) put at ``corners``, one box at a time."""
        with torch.no_grad(), evaluation_mode(self._model):
            if self._partly and self._baseline is None and self._asked():
                self._baseline = baseline_outputs(self._model, self._x)
            if self._partly and self._baseline is not None:
                with _one_thread(values):
                    output = changed_outputs(self._model, self._baseline, self._x, corners, values)
                if output is not None:
                    return self._scores(output, len(corners) * len(self._x)).detach()
            self._partly = False
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
