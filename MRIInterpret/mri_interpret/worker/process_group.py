"""A process with all that it started: a cohort's worker has workers of its own, which must not outlive it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

# A group of its own for the child: what it starts belongs to the group.
APART: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    APART = {"creationflags": subprocess.CREATE_NO_WINDOW}


def end_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started with :data:`APART`, and everything that it started; returns when it has ended."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False, **APART
            )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


def end_own_group() -> None:
    """Kill this process's group, this process included, if it is the first of its group; else do nothing."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(os.getpid())], capture_output=True, check=False, **APART)
    elif os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
