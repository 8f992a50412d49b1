"""How much memory was in use at most."""

from __future__ import annotations

import sys

import torch


def peak_memory(device: torch.device) -> int:
    """Highest memory use so far in bytes: of torch's allocator on a GPU, else resident memory of this process.

    On Windows, where the standard library cannot tell, 0.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
