"""The worker process as its parent sees it: started, polled for messages, cancelled; no call blocks."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ..errors import UserError
from .messages import Done, Failed, Heartbeat, Message, decode
from .process_tree import NEW_GROUP, kill_process_tree

WATCHDOG_SECONDS = 120.0  # the worker sends a heartbeat every two seconds; a long operation may delay it
_PREPARE_SECONDS = 0.02  # the longest that one call prepares
_OUTPUT, _LOG = "messages.jsonl", "worker.log"  # standard output and standard error
_PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
_STARTED: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


def python_executable() -> str:
    """The Python to run the worker with: Slicer's own if this is Slicer, else the one that runs this."""
    return shutil.which("PythonSlicer") or sys.executable


class WorkerProcess:
    """A child process that does one job in a temporary folder of its own.

    Parameters
    ----------
    prepare
        Given the empty folder, writes the job into it. A generator function is run in steps, which should take some
        milliseconds each: :meth:`poll` goes on with it, and starts the process when it is finished.
    command
        What to run; the folder is added. By default the worker, with Slicer's Python.
    watchdog_seconds
        A worker that sends nothing for this long is taken to hang, and is ended.
    now
        The clock, in seconds.

    Attributes
    ----------
    also_deleted
        Folders outside the job's own that an ended worker may leave behind.
    """

    def __init__(
        self,
        prepare: Callable[[Path], Iterator[None] | None],
        command: Sequence[str] | None = None,
        watchdog_seconds: float = WATCHDOG_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mri-interpret-"))
        self.also_deleted: list[Path] = []
        self._watchdog_seconds = watchdog_seconds
        self._now = now
        self._last_heard = now()
        self._over = False
        self._rest = b""  # of the output: a line that is not complete yet
        self._command = command or [python_executable(), "-m", "mri_interpret.worker.explain_worker"]
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        _STARTED.add(self)
        try:
            self._preparation = prepare(self.folder) or iter(())
            self._prepare()
        except BaseException:
            self.cancel()
            raise

    def _prepare(self) -> None:
        """Prepare for a moment; when the preparation is finished, start the process."""
        end = time.perf_counter() + _PREPARE_SECONDS
        while time.perf_counter() < end:
            try:
                next(self._preparation)
            except StopIteration:
                self._process = self._start(self._command)
                self._output = (self.folder / _OUTPUT).open("rb")
                self._last_heard = self._now()
                return

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        paths = [str(_PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        # Files rather than pipes: they never fill up, and reading them needs no thread (Slicer lets few of them run).
        with (self.folder / _OUTPUT).open("wb") as output, (self.folder / _LOG).open("wb") as log:
            return subprocess.Popen(
                [*command, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=log,
                cwd=self.folder,
                env=environment,
                **NEW_GROUP,
            )

    def _read(self) -> list[Message]:
        """The messages that were written since the last call."""
        assert self._output is not None
        *lines, self._rest = (self._rest + self._output.read()).split(b"\n")
        found = (decode(line.decode("utf-8", "replace")) for line in lines)
        return [message for message in found if message is not None]

    @property
    def running(self) -> bool:
        """Whether more messages may come."""
        return not self._over

    def poll(self) -> list[Message]:
        """The messages since the last call; the last one is Done or Failed when the job is over.

        Returns at once. After Failed the process has ended and its folder is gone; after Done the folder is kept until
        :meth:`clean_up`.
        """
        if self._over:
            return []
        if self._process is None:
            try:
                self._prepare()
            except Exception as error:
                why = error if isinstance(error, UserError) else f"The job could not be prepared ({error})."
                return self._finish([Failed(str(why), traceback.format_exc())])
            return []
        ended = self._process.poll() is not None  # asked first: what it wrote before its end is then read below
        news: list[Message] = []
        for message in self._read():
            self._last_heard = self._now()
            if not isinstance(message, Heartbeat):
                news.append(message)
            if isinstance(message, (Done, Failed)):
                return self._finish(news)
        if ended:
            news.append(Failed(self._why(), self.log()))
            return self._finish(news)
        if self._now() - self._last_heard > self._watchdog_seconds:
            news.append(
                Failed(
                    f"The worker has not answered for {self._watchdog_seconds:.0f} seconds and was ended: "
                    "run Explain again.",
                    self.log(),
                )
            )
            return self._finish(news)
        return news

    def _finish(self, news: list[Message]) -> list[Message]:
        self._over = True
        failed = isinstance(news[-1], Failed)
        self._end_process(wait=failed)
        if failed:
            self.clean_up()
        return news

    def _why(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if code in (-9, 137):
            return (
                "The worker was ended by the system, most likely because memory ran out: "
                "close other programs, or choose fewer methods."
            )
        return f"The worker stopped unexpectedly (exit code {code}): the log has the details."

    def log(self) -> str:
        """The end of what the worker and its libraries printed."""
        try:
            return (self.folder / _LOG).read_text(encoding="utf-8", errors="replace")[-20_000:]
        except OSError:
            return ""

    def cancel(self) -> None:
        """End the process and delete its folder; returns when both are gone."""
        self._over = True
        self._end_process()
        self.clean_up()

    def _end_process(self, wait: bool = True) -> None:
        if self._process is None:
            return
        kill_process_tree(self._process, wait)
        for stream in (self._process.stdin, self._output):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()

    def clean_up(self) -> None:
        """Delete the job's folder with all that is in it, and what else the worker may have left."""
        if self._process is not None:
            self._process.poll()  # it was killed when it was done: now its entry in the table of processes goes, too
        for folder in (self.folder, *self.also_deleted):
            shutil.rmtree(folder, ignore_errors=True)


@atexit.register
def end_all() -> None:
    """End every worker that this process started; for a process that is about to end."""
    for worker in list(_STARTED):
        worker.cancel()
