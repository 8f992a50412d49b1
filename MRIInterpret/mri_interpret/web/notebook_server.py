"""The server behind ``mi.view``: ``python -m mri_interpret.web.notebook_server [FOLDER]``.

It writes its address, and ends when its standard input does: with the notebook's process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from ..errors import UserError
from .server import ServerOptions, serve


def main(folders: list[str]) -> int:
    """Serve; the exit code."""
    threading.Thread(target=_end_with_notebook, daemon=True).start()
    try:
        # Others may use the machine that a notebook runs on: its address has a token.
        serve(ServerOptions(tuple(map(Path, folders)), port=0, token=True), lambda address: print(address, flush=True))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _end_with_notebook() -> None:
    while os.read(0, 4096):  # not sys.stdin: a thread that waits there would make the interpreter's own end fail
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
