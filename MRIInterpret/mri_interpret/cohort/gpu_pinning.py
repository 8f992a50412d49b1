"""One GPU for each worker process, whatever started the worker."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

VARIABLE = "CUDA_VISIBLE_DEVICES"
_held: list[FileLock] = []  # a lock ends with its process, even if that is killed


def pin_device(count: int, folder: Path | None = None) -> str:
    """Take the first free of ``count`` devices for this process, before CUDA is first used.

    Devices are reserved by lock files, so that workers of any cluster, a restarted worker, and
    another cohort on the same machine all get different ones. A worker that was given a device already (by Slurm,
    for instance) keeps it.

    Parameters
    ----------
    count
        Devices of this machine.
    folder
        Where the lock files lie; by default, the machine's temporary folder.

    Returns
    -------
    str
        What CUDA_VISIBLE_DEVICES was set to; "" if all devices are taken, which leaves the CPU to this worker.
    """
    given = os.environ.get(VARIABLE)
    if given is not None and len(given.split(",")) <= 1:
        return given
    names = given.split(",") if given else [str(number) for number in range(count)]
    place = folder or Path(tempfile.gettempdir()) / "mri-interpret-devices"
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        lock = FileLock(place / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        _held.append(lock)
        os.environ[VARIABLE] = name
        return name
    os.environ[VARIABLE] = ""
    return ""


def pin_worker(device: str) -> str:
    """:func:`pin_device` for a worker of dask; nothing for ``device`` "cpu" or a machine without CUDA."""
    if device == "cpu":
        return ""
    import torch

    count = torch.cuda.device_count()
    return pin_device(count) if count else ""
