"""``mi.view``: the application in a notebook's output, served by a process that ends with the notebook's."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
import weakref
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import UserError
from .installed import check_installed

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation


class View:
    """The application, running; a notebook shows it in a frame.

    Attributes
    ----------
    address
        To open in a browser, its token included.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, frame: str, height: int) -> None:
        self.address, self._frame, self._height = address, frame, height
        self._end = weakref.finalize(self, _end, process)

    def close(self) -> None:
        """End the application; what was not saved is lost."""
        self._end()

    def __repr__(self) -> str:
        return f"View({self.address!r})"

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{escape(self._frame)}" title="MRIInterpret" allowfullscreen '
            f'style="width:100%;height:{self._height}px;border:0"></iframe>'
        )


def view(shown: Explanation | str | Path | None = None, *, height: int = 900, proxy: str = "") -> View:
    """Show an explanation in Slicer's views, in a notebook or a browser.

    Parameters
    ----------
    shown
        An explanation, a folder of saved results or scans, or nothing to begin with a scan.
    height
        Of the frame, in pixels.
    proxy
        Where Jupyter's server is found, if this machine is reached through its proxy (jupyter-server-proxy): its
        address up to the part ``proxy/``, such as "/user/name/".

    Returns
    -------
    View
        Shown by a notebook as it is; ``close`` ends the application, and so does the end of the notebook's process.

    Raises
    ------
    UserError
        If the extra ``web`` is not installed, or there is no such folder.
    """
    check_installed()
    kept = None
    if shown is None or isinstance(shown, (str, Path)):
        folders = [str(shown)] if shown is not None else []
    else:
        kept = tempfile.TemporaryDirectory(prefix="mri-interpret-shown-")
        shown.save(kept.name)
        folders = [kept.name]
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mri_interpret.web.notebook_server", *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            process.wait()
            said.seek(0)
            raise UserError(said.read().strip().splitlines()[-1])
    where = urlsplit(address)
    frame = f"{proxy.rstrip('/')}/proxy/{where.port}{where.path}" if proxy else address
    made = View(process, address, frame, height)
    if kept is not None:
        weakref.finalize(made, kept.cleanup)
    return made


def _end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
