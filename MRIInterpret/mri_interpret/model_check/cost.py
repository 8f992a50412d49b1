"""What a network costs: seconds and bytes of a forward pass, and of a forward and backward pass."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..models.bundle import ModelBundle
from .facts import Cost

if TYPE_CHECKING:
    from torch import Tensor

_REPEATS, _ENOUGH_SECONDS = 3, 4.0
_LOOK_EVERY = 0.005  # seconds between looks at the memory


def measure_cost(bundle: ModelBundle, x: Tensor, device: str, default_methods_seconds: float | None) -> Cost:
    """Run the network on ``x`` (1, C, I, J, K): each way once to warm up, then up to three times against the clock."""
    import torch

    from ..attribution.device import on_device

    with on_device(bundle.network, device) as place:
        given = x.to(place)
        _return_free_memory()
        before = _held(place)

        def forward() -> None:
            with torch.no_grad():
                bundle.network(given)
            _settle(place)

        def both() -> None:
            leaf = given.clone().requires_grad_(True)
            torch.autograd.grad(_one_number(bundle.network(leaf)), leaf)
            _settle(place)

        forward_seconds, forward_bytes = _measured(forward, place, before)
        _return_free_memory()
        both_seconds, both_bytes = _measured(both, place, before)
    return Cost(
        device=torch.cuda.get_device_name() if place.type == "cuda" else _cpu(torch.get_num_threads()),
        parameters=sum(parameter.numel() for parameter in bundle.network.parameters()),
        forward_seconds=forward_seconds,
        forward_backward_seconds=both_seconds,
        default_methods_seconds=default_methods_seconds,
        forward_bytes=forward_bytes,
        forward_backward_bytes=both_bytes,
    )


def _cpu(threads: int) -> str:
    return f"cpu, {threads} {'thread' if threads == 1 else 'threads'}"


def _one_number(output: Any) -> Tensor:
    """The sum of whatever tensors with gradients a network returned."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.sum()
    parts = output.values() if isinstance(output, dict) else output
    sums = [_one_number(part) for part in parts if isinstance(part, (torch.Tensor, tuple, list, dict))]
    return torch.stack(sums).sum()


def _settle(place: Any) -> None:
    import torch

    if place.type == "cuda":
        torch.cuda.synchronize(place)


def _return_free_memory() -> None:
    """Pages that an allocator keeps for later would hide what the next pass takes; only glibc can be told so."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _held(place: Any) -> int:
    """Bytes in use: of torch's allocator on a GPU, else resident memory of this process."""
    import psutil
    import torch

    return int(torch.cuda.memory_allocated(place) if place.type == "cuda" else psutil.Process().memory_info().rss)


def _measured(work: Callable[[], None], place: Any, before: int) -> tuple[float, int]:
    """Median seconds of some runs after a first one, and the most memory of that one beyond what was held before."""
    import torch

    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
        work()
        most = torch.cuda.max_memory_allocated(place)
    else:
        with _HighestMemory(place) as watched:
            work()
        most = watched.most
    seconds: list[float] = []
    while not seconds or (len(seconds) < _REPEATS and sum(seconds) < _ENOUGH_SECONDS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), max(0, int(most) - before)


class _HighestMemory:
    """Watches this process's resident memory while a block runs; ``most`` is the highest in bytes."""

    def __init__(self, place: Any) -> None:
        self._place = place
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.most = 0

    def __enter__(self) -> _HighestMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.most = max(self.most, _held(self._place))

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_EVERY):
            self.most = max(self.most, _held(self._place))
