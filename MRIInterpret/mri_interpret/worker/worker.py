"""The worker process: ``python -m mri_interpret.worker.worker FOLDER`` carries out FOLDER/job.json.

Standard output carries messages only (see :mod:`messages`); whatever libraries print goes to standard error. When the
process that started it goes away, standard input ends: then the worker deletes the folder and ends at once, so that
nothing is left behind, whatever became of Slicer.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ..errors import UserError
from ..progress import StepClock
from . import messages
from .messages import Alive, Done, Failed, Message, Notice, Progress, encode
from .process_group import end_own_group

HEARTBEAT_SECONDS = 2.0
PASSING_ON = "Passing the result on"
_MEMORY = "The computer's memory is too small for this job: close other programs, or choose fewer methods."


def main(folder: Path, work: Callable[[Path, Callable[[Message], None]], None] | None = None) -> int:
    """Carry out the job in ``folder`` (an explanation, or what ``work`` does); 0 if the result is written, else 1."""
    send = _sender(_claim_standard_output())
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    threading.Thread(target=_heartbeat, args=(send,), daemon=True).start()
    try:
        (work or carry_out)(folder, send)
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


def carry_out(folder: Path, send: Callable[[Message], None]) -> None:
    """Read the job, run it, write the result into FOLDER/result."""
    send(Progress("Starting", 0.0, 0.0))
    from ..explanation.job import TYPICAL_SECONDS
    from ..images.array_files import Written, read_volume
    from ..scene_content.content import content_of
    from ..scene_content.content_files import write_content
    from .exchange import write_explanation
    from .job import Job, run_job

    clock = StepClock({"Starting": 3.0, **TYPICAL_SECONDS, PASSING_ON: 4.0, messages.BUILDING: 1.0})
    clock.update("Starting", 1.0)

    furthest = 0.0

    def progress(step: str, fraction: float) -> None:
        nonlocal furthest
        clock.update(step, fraction)
        furthest = max(furthest, clock.overall())  # a step may begin anew for each method; a bar never goes back
        send(Progress(step, fraction, furthest, clock.seconds_left()))

    job = Job.read(folder / "job.json")
    mask = read_volume(job.mask_volume, folder) if job.mask_volume else None
    explanation = run_job(job, read_volume(job.scan, folder), mask, progress, lambda text: send(Notice(text)))
    progress(PASSING_ON, 0.0)
    result = folder / "result"
    result.mkdir()
    written = Written(result)
    write_content(content_of(explanation), result, written)
    progress(PASSING_ON, 0.7)
    write_explanation(explanation, result, written)
    progress(PASSING_ON, 1.0)
    send(Done(str(result)))


def _is_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _claim_standard_output() -> IO[str]:
    """Keep the real standard output for messages and send everything else, C libraries included, to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return kept


def _sender(stream: IO[str]) -> Callable[[Message], None]:
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:
            stream.write(encode(message) + "\n")
            stream.flush()

    return send


def _heartbeat(send: Callable[[Message], None]) -> None:
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        send(Alive())


def _end_with_parent(folder: Path) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    end_own_group()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
