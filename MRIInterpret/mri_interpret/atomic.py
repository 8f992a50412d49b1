"""Write aside, then rename: a reader never meets a half-written file, whatever interrupts the writer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, with the same suffixes; rename it to ``path`` if the block succeeds.

    Parameters
    ----------
    path
        The file to (over)write. Its folder is made if it is missing.

    Raises
    ------
    UserError
        If the folder cannot be made or written, or the disk is full. The old file, if any, is then as it was.
    """
    path = Path(path)
    aside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The name keeps the suffix at its end, because writers (nibabel, matplotlib) choose the format by it.
        handle, name = tempfile.mkstemp(prefix=".partial-", suffix="-" + path.name[-100:], dir=path.parent)
        os.close(handle)
        aside = Path(name)
        yield aside
        # mkstemp makes files readable by their owner alone; outputs follow the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)
        os.replace(aside, path)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Choose another output folder.", option="output"
        ) from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 ``text`` to ``path``, aside and renamed."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, aside and renamed."""
    with replacing(path) as aside:
        aside.write_bytes(data)
