"""Killing a process with all its descendants: a cohort's worker starts dask workers, which must not outlive it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

# Arguments of Popen: the child leads a process group of its own, to which its descendants belong.
NEW_GROUP: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    NEW_GROUP = {"creationflags": subprocess.CREATE_NO_WINDOW}


def kill_process_tree(process: subprocess.Popen[bytes], wait: bool = True) -> None:
    """Kill a process that was started with :data:`NEW_GROUP`, and its descendants.

    It returns when the process has ended, or at once without ``wait``: giving much memory back takes 0.1 s.
    """
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False, **NEW_GROUP
            )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    if not wait:
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


def kill_own_process_tree() -> None:
    """Kill this process and its descendants, if it leads its process group; else do nothing."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(os.getpid())], capture_output=True, check=False, **NEW_GROUP
        )
    elif os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
