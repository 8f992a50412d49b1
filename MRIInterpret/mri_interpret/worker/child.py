"""What every worker process does around its job: messages on standard output, a heartbeat, an end with its parent.

Standard output carries messages only (see :mod:`messages`); whatever libraries print goes to standard error. Standard
input ends when the parent process does: the worker then deletes its folder and ends at once, so that nothing is left
behind if Slicer crashes.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ..errors import UserError
from ..kept_memory import keep_freed_memory
from .messages import Failed, Heartbeat, Message, Notice, encode
from .process_tree import kill_own_process_tree

Send = Callable[[Message], None]

HEARTBEAT_SECONDS = 2.0
_MEMORY = "The computer's memory is too small for this job: close other programs, or choose fewer methods."


def run_worker(folder: Path, work: Callable[[Path, Send], None], also_deleted: Sequence[Path] = ()) -> int:
    """Do ``work`` in ``folder`` and report how it ended.

    Parameters
    ----------
    folder
        The job's folder; ``work`` writes its result there.
    work
        Given the folder and a function that sends messages.
    also_deleted
        Folders to delete with the job's own if the parent process ends.

    Returns
    -------
    int
        The process's exit code: 0 if the work was done, else 1.
    """
    keep_freed_memory()
    send = _sender(_claim_standard_output())
    threading.Thread(target=_end_with_parent, args=((folder, *also_deleted),), daemon=True).start()
    threading.Thread(target=_heartbeat, args=(send,), daemon=True).start()
    _take_normal_priority(send)
    try:
        work(folder, send)
    except UserError as error:
        send(Failed(str(error), traceback.format_exc()))
    except MemoryError:
        send(Failed(_MEMORY, traceback.format_exc()))
    except Exception as error:
        sentence = _MEMORY if _is_memory(error) else f"The job failed ({type(error).__name__}: {error})."
        send(Failed(" ".join(sentence.split()), traceback.format_exc()))
    else:
        return 0
    return 1


def _take_normal_priority(send: Send) -> None:
    """Slicer lowers its main thread's priority on Linux, and children inherit that: a run would wait for everything.

    Taking it back may be forbidden (RLIMIT_NICE); then the user is told why the run takes long on a busy computer.
    """
    if sys.platform == "win32" or os.getpriority(os.PRIO_PROCESS, 0) <= 0:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except OSError:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        send(Notice(f"The work runs at Slicer's low priority (nice {nice}): it is slow while the computer is busy."))


def _is_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _claim_standard_output() -> IO[str]:
    """Keep the real standard output for messages and send everything else, C libraries included, to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def _sender(stream: IO[str]) -> Send:
    """Sends whole lines, whichever thread calls it."""
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:
            stream.write(encode(message) + "\n")
            stream.flush()

    return send


def _heartbeat(send: Send) -> None:
    """Tell the parent every two seconds that this process has not hung."""
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        send(Heartbeat())


def _end_with_parent(folders: Sequence[Path]) -> None:
    """Wait for standard input to end, which it does when the parent process ends."""
    while sys.stdin.buffer.read(4096):
        pass
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    kill_own_process_tree()
    os._exit(3)
