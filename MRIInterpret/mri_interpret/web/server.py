"""Serve the application until it is stopped: port, address, browser, signals."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from ..errors import UserError
from .front import Front, is_loopback
from .open_folders import OpenFolders
from .sessions import Sessions

USUAL_PORT = 8050
GRACE_SECONDS = 20.0  # a session without a page lives on for this long


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes
    ----------
    folders
        That may be read.
    port
        To listen at; None for the usual one, or another one if that is taken.
    host
        Address to listen at.
    token
        Whether the address must begin with a random token although only this machine reaches it.
    grace_seconds
        As of :class:`Sessions`.
    session_command
        As of :class:`Sessions`.
    """

    folders: Sequence[Path] = ()
    port: int | None = None
    host: str = "127.0.0.1"
    token: bool = False
    grace_seconds: float = GRACE_SECONDS
    session_command: Sequence[str] | None = None


def serve(options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; sessions, workers and temporary files are gone then.

    Parameters
    ----------
    options
        How.
    on_ready
        Given the address, token included, as soon as it answers.

    Raises
    ------
    UserError
        If a folder does not exist, or the port or the host cannot be had.
    """
    folders = OpenFolders(options.folders)
    listening = _listen(options)
    token = secrets.token_urlsafe(32) if options.token or not is_loopback(options.host) else ""
    address = f"http://{_shown(options.host)}:{listening.getsockname()[1]}/{token}{'/' if token else ''}"
    try:
        sessions = Sessions(folders.roots, options.grace_seconds, options.session_command)
        try:
            asyncio.run(_run(Front(sessions, token), listening, lambda: on_ready(address)))
        finally:
            sessions.end_all()
    finally:
        listening.close()


async def _run(front: Front, listening: socket.socket, on_ready: Callable[[], None]) -> None:
    runner = web.AppRunner(front.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stopped = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows, or not in the main thread
            asyncio.get_running_loop().add_signal_handler(sign, stopped.set)
    try:
        await web.SockSite(runner, listening).start()
        on_ready()
        await stopped.wait()
    finally:
        await runner.cleanup()


def _listen(options: ServerOptions) -> socket.socket:
    """A socket at the port; where none is asked for and the usual one is taken, at any free one."""
    port = USUAL_PORT if options.port is None else options.port
    try:
        return _bind(options.host, port)
    except socket.gaierror as error:
        raise UserError(f"{options.host} is no address of this machine: leave out the host.", option="host") from error
    except (OSError, OverflowError) as error:
        if options.port is None and is_in_use(error):
            return _bind(options.host, 0)
        if is_in_use(error):
            raise UserError(
                f"Port {port} is in use, perhaps by the application itself, started before: choose another port.",
                option="port",
            ) from error
        raise UserError(
            f"Cannot listen at {options.host}, port {port} ({error}): choose others.", option="port"
        ) from error


def is_in_use(error: BaseException) -> bool:
    """Whether that is why a port cannot be had."""
    import errno

    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def _bind(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _shown(host: str) -> str:
    """The name by which the machine is reached."""
    if host in ("0.0.0.0", "::"):  # every address of this machine
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def open_in_browser(address: str) -> None:
    """Open the user's browser, if there is one."""
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(address)
