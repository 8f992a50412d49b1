"""The worker process as Slicer sees it: started, asked for news now and then, cancelled; it never blocks its caller."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from .messages import Alive, Done, Failed, Message, decode

WATCHDOG_SECONDS = 120.0  # the worker gives a sign of life every two seconds; big operations may hold it up
_PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
_ALL: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


def python_executable() -> str:
    """The Python to run the worker with: Slicer's own if this is Slicer, else the one that runs this."""
    return shutil.which("PythonSlicer") or sys.executable


class WorkerProcess:
    """One job in a child process.

    Parameters
    ----------
    prepare
        Given an empty temporary folder, writes the job into it.
    command
        What to run; the folder is added. By default the worker, with Slicer's Python.
    watchdog_seconds
        Without a sign of life for so long, the worker is taken to hang and ended.
    now
        The clock, in seconds.
    """

    def __init__(
        self,
        prepare: Callable[[Path], object],
        command: Sequence[str] | None = None,
        watchdog_seconds: float = WATCHDOG_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mri-interpret-"))
        self._watchdog_seconds = watchdog_seconds
        self._now = now
        self._last_sign = now()
        self._over = False
        self._messages: queue.Queue[Message] = queue.Queue()
        try:
            prepare(self.folder)
            self._log = (self.folder / "worker.log").open("wb")
            self._process = self._start(command or [python_executable(), "-m", "MRIInterpretLib.panel.worker"])
            assert self._process.stdout is not None
            self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._reader.start()
        _ALL.add(self)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        paths = [str(_PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        hidden = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}  # type: ignore[attr-defined]
        return subprocess.Popen(
            [*command, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self.folder,
            env=environment,
            **hidden,
        )

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            message = decode(line.decode("utf-8", "replace"))
            if message is not None:
                self._messages.put(message)

    @property
    def running(self) -> bool:
        """Whether news may still come."""
        return not self._over

    def poll(self) -> list[Message]:
        """What has happened since the last call, the last message being Done or Failed when it is over.

        Returns at once. After Failed the process has ended and its folder is gone; after Done the folder is kept until
        :meth:`clean_up`.
        """
        if self._over:
            return []
        ended = self._process.poll() is not None and not self._reader.is_alive()  # all it wrote has been read
        news: list[Message] = []
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._messages.get_nowait()
                self._last_sign = self._now()
                if not isinstance(message, Alive):
                    news.append(message)
                if isinstance(message, (Done, Failed)):
                    return self._finish(news)
        if ended:
            news.append(Failed(self._why(), self.log()))
            return self._finish(news)
        if self._now() - self._last_sign > self._watchdog_seconds:
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
        self._end_process()
        if isinstance(news[-1], Failed):
            self.clean_up()
        return news

    def _why(self) -> str:
        code = self._process.returncode
        if code in (-9, 137):
            return (
                "The worker was ended by the system, most likely because memory ran out: "
                "close other programs, or choose fewer methods."
            )
        return f"The worker stopped unexpectedly (exit code {code}): the log has the details."

    def log(self) -> str:
        """The end of what the worker and its libraries printed."""
        try:
            return (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")[-20_000:]
        except OSError:
            return ""

    def cancel(self) -> None:
        """End the process and delete its folder; returns when both are gone."""
        self._over = True
        self._end_process()
        self.clean_up()

    def _end_process(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()

    def clean_up(self) -> None:
        """Delete the job's folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


@atexit.register
def _end_all() -> None:
    for worker in list(_ALL):
        worker.cancel()
