"""What a process of ours frees stays with it: new arrays cost no page faults."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from mri_interpret.kept_memory import TUNABLES, VARIABLES

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Only glibc's malloc is set.")

_FAULTS = """
import ctypes, resource, sys
from mri_interpret.kept_memory import keep_freed_memory

kept = keep_freed_memory() if "keep" in sys.argv else None
libc = ctypes.CDLL(None)  # asked directly: numpy asks for pages of 2 MiB where there are any
libc.malloc.restype = ctypes.c_void_p

def use(size=60 * 2**20):  # larger than what glibc would ever keep by itself
    array = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
    libc.memset(array, 1, ctypes.c_size_t(size))
    libc.free(array)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / 2**20)
"""


def _mebibytes_faulted(*arguments: str, **variables: str) -> tuple[str, float]:
    """What the process said, and the size of the pages that its ten arrays asked the kernel for."""
    clean = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, TUNABLES)}
    environment = clean | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
    command = [sys.executable, "-c", _FAULTS, *arguments]
    said, faulted = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    return said, float(faulted)


def test_new_arrays_take_the_place_of_freed_ones() -> None:
    said, faulted = _mebibytes_faulted("keep")
    assert said == "True"
    assert faulted < 64
    assert _mebibytes_faulted()[1] > 300, "the C library keeps such arrays by itself: nothing would have to be set"


@pytest.mark.parametrize(
    "variables",
    [{"MALLOC_MMAP_THRESHOLD_": "131072"}, {TUNABLES: "glibc.malloc.mmap_threshold=131072"}],
    ids=["variable", "tunable"],
)
def test_what_the_user_has_set_stays(variables: dict[str, str]) -> None:
    said, faulted = _mebibytes_faulted("keep", **variables)
    assert said == "False"
    assert faulted > 300
