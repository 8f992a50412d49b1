"""How many workers a machine can run: limited by its memory first, then by cores and GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import UserError

# Peak resident memory of one subject (Testing/benchmarks/cohort.py measures it): the libraries, the network's forward
# and backward passes on the 2 mm grid, brain extraction, and the figures of the page.
SUBJECT_BYTES = int(2.5 * 2**30)
RESERVED_BYTES = int(1.0 * 2**30)  # for this process and the scheduler in it
CORES_PER_WORKER = 2


@dataclass(frozen=True)
class Capacity:
    """How the local machine is divided between workers."""

    workers: int
    threads: int  # for torch, each
    memory: int  # bytes each worker may use
    note: str = ""  # why there are fewer workers than asked for


def plan_workers(
    requested: int | None, subjects: int, *, available: int, cores: int, gpus: int = 0, per_worker: int = SUBJECT_BYTES
) -> Capacity:
    """Decide the number of workers.

    Parameters
    ----------
    requested
        Workers that the user asked for; None: as many as there are cores (or GPUs) for.
    subjects
        How many are to be explained; more workers than that are of no use.
    available
        Free memory in bytes.
    cores
        CPU cores.
    gpus
        GPUs of this machine; if there are any, each worker gets one of its own.
    per_worker
        Bytes of memory that one subject needs.

    Raises
    ------
    UserError
        If the memory is not enough for one worker, or fewer than one was asked for.
    """
    if requested is not None and requested < 1:
        raise UserError(f"{requested} workers were asked for: at least 1 is needed.", option="workers")
    fitting = (available - RESERVED_BYTES) // per_worker
    if fitting < 1:
        raise UserError(
            f"{_gib(available)} GiB of memory are free, and one subject needs about {_gib(per_worker)} GiB: close "
            "other programs, or say how much your scans need.",
            option="memory",
        )
    most = {"memory": fitting, "GPUs": gpus or fitting}
    target = requested or gpus or max(1, cores // CORES_PER_WORKER)
    workers = max(1, min(target, subjects, *most.values()))
    note = ""
    if requested is not None and workers < min(requested, subjects):
        limit = min(most, key=lambda name: most[name])
        free = f"{_gib(available)} GiB of memory are free and each needs about {_gib(per_worker)} GiB"
        note = (
            f"{workers} instead of {requested} workers: "
            + (free if limit == "memory" else f"there are {gpus} GPUs")
            + "."
        )
    return Capacity(workers, max(1, cores // workers), (available - RESERVED_BYTES) // workers, note)


def free_memory() -> int:
    """Bytes of memory that are free on the machine, or within the container's limit, whichever is less."""
    import psutil
    from distributed.system import MEMORY_LIMIT

    memory = psutil.virtual_memory()
    return int(min(memory.available, MEMORY_LIMIT))


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_gpus(device: str) -> int:
    """CUDA devices that torch can use for ``device`` "auto" or "cuda"; 0 for "cpu"."""
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
