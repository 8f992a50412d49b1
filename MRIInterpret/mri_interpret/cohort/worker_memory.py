"""How a worker process keeps its memory: what a subject's arrays free stays with the process, for the next arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

#: Read by glibc's malloc when a process starts; elsewhere nothing reads them. dask's own choice for its workers
#: (MALLOC_TRIM_THRESHOLD_=65536) gives every array above 128 KiB fresh pages, which the kernel clears first: ten
#: million page faults a subject, a third of its time (Testing/benchmarks/cohort.md). Arrays above 32 MiB, glibc's
#: highest threshold, still go back at once, and between two subjects everything does.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",  # one heap for all threads: the others' end at 64 MiB
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
}
_CONFIGURED = "distributed.nanny.pre-spawn-environ"


@contextmanager
def workers_keep_memory() -> Iterator[None]:
    """dask's worker processes that are set up meanwhile keep what they free; variables that the user has set stay."""
    import dask
    import distributed  # noqa: F401  its defaults are among dask's settings only then

    with dask.config.set({_CONFIGURED: {**dask.config.get(_CONFIGURED, {}), **MALLOC}}):
        yield


def job_prologue() -> list[str]:
    """Lines of a Slurm job before its worker starts: the user's own, which come last, and these variables."""
    import dask
    import dask_jobqueue  # noqa: F401

    own = dask.config.get("jobqueue.slurm.job-script-prologue", None) or []
    return [*(f"export {name}={value}" for name, value in MALLOC.items()), *own]
