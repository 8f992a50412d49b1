"""Each visitor's process: started with a folder of its own, ended when nobody looks at it any more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import UserError
from ..worker.process_tree import NEW_GROUP, kill_process_tree

PREFIX, _LOCK = "mri-interpret-view-", "in-use.lock"
MOST_SESSIONS = 8
START_SECONDS = 120.0  # a session may take to be ready on a busy machine
_UNSEEN_SECONDS = 60.0  # until the page that was sent connects


def own_folder() -> tuple[Path, FileLock]:
    """A new temporary folder, and the lock that says that it is in use.

    The lock goes with the process, however it ends; folders without one are left over and are removed here.
    """
    _remove_left_over()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(folder / _LOCK)
    lock.acquire()
    return folder, lock


def _remove_left_over() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
            continue
        if not (folder / _LOCK).exists():  # another one that is being made
            continue
        try:
            FileLock(folder / _LOCK).acquire(timeout=0).lock.release()
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(eq=False)
class Session:
    """A visitor's process.

    Attributes
    ----------
    name
        In the address; nobody can guess it.
    secret
        What the process wants to be told by whoever asks it: other users of this machine reach its port, too.
    looking
        How many pages are connected.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    secret: str
    name: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    port: int = 0
    looking: int = 0


class Sessions:
    """The sessions of a server.

    Parameters
    ----------
    folders
        That may be read.
    grace_seconds
        A session without a page lives on for this long: a reload must find it.
    command
        What to run, for tests.
    """

    def __init__(self, folders: Sequence[Path], grace_seconds: float, command: Sequence[str] | None = None) -> None:
        self._folders = list(folders)
        self._grace_seconds = grace_seconds
        self._command = list(command or [sys.executable, "-m", "mri_interpret.web.session"])
        self._sessions: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.folder, self._lock = own_folder()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, name: str) -> Session | None:
        """The session of that name, if its process lives."""
        session = self._sessions.get(name)
        if session is not None and session.process.poll() is not None:
            self.end(session)
            return None
        return session

    async def start(self) -> Session:
        """Start a session; returns when it can be asked.

        Raises
        ------
        UserError
            If there are too many, or it does not start.
        """
        for name in list(self._sessions):
            self.find(name)
        if len(self._sessions) >= MOST_SESSIONS:
            raise UserError(f"{MOST_SESSIONS} sessions are open, and each takes memory: close a tab and try again.")
        session = self._launch()
        self._sessions[session.name] = session
        try:
            line = await asyncio.wait_for(asyncio.to_thread(session.process.stdout.readline), START_SECONDS)  # type: ignore[union-attr]
            session.port = int(json.loads(line)["port"])
        except (TimeoutError, asyncio.TimeoutError, ValueError, KeyError, TypeError) as error:
            log = self._log(session)
            self.end(session)
            raise UserError(f"The session could not be started ({log or 'no message'}).") from error
        self._soon(self._end_if_alone(session, _UNSEEN_SECONDS))
        return session

    def _launch(self) -> Session:
        folder = Path(tempfile.mkdtemp(prefix="session-", dir=self.folder))
        secret = secrets.token_urlsafe(32)
        # All temporary files of the session and its workers lie in its folder, so that they go with it.
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)), "PYTHONUNBUFFERED": "1"}
        with (folder / "session.log").open("wb") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                **NEW_GROUP,
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once: its first line says so
            settings: dict[str, Any] = {"secret": secret, "folders": [str(path) for path in self._folders]}
            process.stdin.write(json.dumps({**settings, "folder": str(folder)}).encode() + b"\n")
            process.stdin.flush()
        return Session(process, folder, secret)

    @staticmethod
    def _log(session: Session) -> str:
        with contextlib.suppress(OSError):
            lines = (session.folder / "session.log").read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def connected(self, session: Session) -> None:
        """A page looks at the session."""
        session.looking += 1

    def disconnected(self, session: Session) -> None:
        """A page is gone; unless one comes back, the session ends."""
        session.looking -= 1
        if session.looking <= 0:
            self._soon(self._end_if_alone(session, self._grace_seconds))

    async def _end_if_alone(self, session: Session, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if session.looking <= 0 and session.name in self._sessions:
            await asyncio.to_thread(self.end, session)

    def _soon(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)  # the loop itself keeps weak references only
        task.add_done_callback(self._tasks.discard)

    def end(self, session: Session) -> None:
        """End a session's process, with its worker, and delete its files."""
        self._sessions.pop(session.name, None)
        process = session.process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it ends by itself, and ends its worker first
            process.wait(timeout=5)
        kill_process_tree(process)
        shutil.rmtree(session.folder, ignore_errors=True)

    def end_all(self) -> None:
        """End every session; the server's folder goes, too."""
        for task in self._tasks:
            task.cancel()
        for session in list(self._sessions.values()):
            self.end(session)
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)
