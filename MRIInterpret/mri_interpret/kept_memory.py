"""Processes of our own keep the memory that they free, for their next arrays.

glibc gives arrays of many MiB back to the kernel as soon as they are freed, and every new one then costs a page fault
per 4 KiB and clearing: nearly half the time of the bundled classifier's pass (Testing/benchmarks/cohort.md). Other
C libraries are left as they are.
"""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
TUNABLES = "GLIBC_TUNABLES"  # the same and more in one variable: "glibc.malloc.trim_threshold=65536:..."
# The first that is taken: older versions refuse more than 32 MiB. Few arrays are larger than 256 MiB, and holes
# of their size in the heap would cost more memory than they save time.
_SIZES = (2**28, 2**25)


def keep_freed_memory() -> bool:
    """From now on, this process keeps what it frees until it ends, or trims its heap.

    Only for processes that are ours: a program into which the library is imported decides for itself.

    Returns
    -------
    bool
        Whether that was set: not where the user has set glibc's own variables, nor with another C library.
    """
    users_own = any(name in os.environ for name in VARIABLES) or "glibc.malloc." in os.environ.get(TUNABLES, "")
    if users_own or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # The second alone would leave the first at 128 KiB for good.
    return any(mallopt(_MMAP_THRESHOLD, size) == 1 for size in _SIZES) and mallopt(_TRIM_THRESHOLD, 2**31 - 1) == 1
