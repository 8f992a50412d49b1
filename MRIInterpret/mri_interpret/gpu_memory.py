"""What happens when a GPU's memory does not suffice: the same work in another way, at last on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .progress import ProgressCallback, silent

T = TypeVar("T")


def first_that_fits(ways: Sequence[tuple[str, Callable[[], T]]], progress: ProgressCallback = silent) -> tuple[T, str]:
    """The result of the first way of doing some work for which the memory suffices.

    Parameters
    ----------
    ways
        The name of each way, as in "on the CPU", and the work. The first is how the work is meant; its name is not
        used. Work that runs out of memory must leave nothing behind.
    progress
        Told before another way is tried; may raise :class:`~mri_interpret.errors.Cancelled`.

    Returns
    -------
    result, name
        The name is empty for the first way.

    Raises
    ------
    torch.cuda.OutOfMemoryError
        If the memory suffices for none.
    """
    import torch

    for number, (name, work) in enumerate(ways):
        if number:
            torch.cuda.empty_cache()
            progress(f"Out of GPU memory: {name}", 0.0)
        try:
            return work(), name if number else ""
        except torch.cuda.OutOfMemoryError:
            # The next way starts outside the handler, whose traceback would keep what failed in memory.
            if number + 1 == len(ways):
                raise
    raise ValueError("there must be at least one way")


def on_device_or_cpu(work: Callable[[str], T], device: str, progress: ProgressCallback = silent) -> T:
    """``work(device)``; ``work("cpu")`` if the GPU's memory does not suffice."""
    ways = [(name, lambda chosen=chosen: work(chosen)) for name, chosen in (("", device), ("on the CPU", "cpu"))]
    result, _ = first_that_fits(ways[: 1 if device == "cpu" else 2], progress)
    return result
