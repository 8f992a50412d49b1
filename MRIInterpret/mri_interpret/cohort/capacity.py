"""How many workers fit: into the memory first, then on the cores and the GPUs."""

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
    """What the local machine is given to do."""

    workers: int
    threads: int  # for torch, each
    memory: int  # bytes each worker may use
    note: str = ""  # why there are fewer workers than asked for


def plan_workers(
    wanted: int | None, subjects: int, *, available: int, cores: int, gpus: int = 0, per_worker: int = SUBJECT_BYTES
) -> Capacity:
    """Decide the number of workers.

    Parameters
    ----------
    wanted
        What the user asked for; None leaves it to the cores (or GPUs).
    subjects
        More workers than subjects are of no use.
    available
        Free memory in bytes.
    cores
        CPU cores.
    gpus
        If above 0, each worker gets a GPU of its own, so there are no more workers than GPUs.
    per_worker
        Bytes that one subject takes.

    Raises
    ------
    UserError
        If not even one fits, or fewer than one was asked for.
    """
    if wanted is not None and wanted < 1:
        raise UserError(f"{wanted} workers cannot work: give --workers 1 or more.")
    fitting = (available - RESERVED_BYTES) // per_worker
    if fitting < 1:
        raise UserError(
            f"There are {_gib(available)} GiB of memory free, and one subject takes about {_gib(per_worker)} GiB: "
            "close other programs, or state what it takes with --memory."
        )
    most = {"memory": fitting, "GPUs": gpus or fitting}
    asked = wanted or gpus or max(1, cores // CORES_PER_WORKER)
    workers = max(1, min(asked, subjects, *most.values()))
    note = ""
    if wanted is not None and workers < min(wanted, subjects):
        limit = min(most, key=lambda name: most[name])
        free = f"{_gib(available)} GiB are free and each takes about {_gib(per_worker)} GiB"
        note = (
            f"{workers} instead of {wanted} workers: " + (free if limit == "memory" else f"there are {gpus} GPUs") + "."
        )
    return Capacity(workers, max(1, cores // workers), (available - RESERVED_BYTES) // workers, note)


def free_memory() -> int:
    """Bytes that may still be used, by the machine and by the container's limit, whichever is lower."""
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
