"""Output folders that appear only when they are complete and survive a power cut; one run at a time in each."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UserError

PARTIAL = ".partial-"
_LOCK = ".lock"


@contextmanager
def completing(root: Path, relative: Path) -> Iterator[Path]:
    """Yield an empty folder aside; it becomes ``root / relative`` if the block succeeds, in place of an older one.

    Everything is flushed to the disk before the renaming, so that after a power cut the folder is either whole or
    not there. If the block raises, the older folder is as it was.

    Parameters
    ----------
    root
        The output; the folder aside lies in it, because renaming works only within a disk.
    relative
        The final place within the root.
    """
    final = root / relative
    root.mkdir(parents=True, exist_ok=True)
    stem = "_".join(relative.parts)
    aside = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{stem}-", dir=root))
    try:
        yield aside
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o777 & ~umask)  # mkdtemp makes folders for their owner alone
        _flush_tree(aside)
        final.parent.mkdir(parents=True, exist_ok=True)
        _swap(aside, final, root)
        _flush(final.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _swap(aside: Path, final: Path, root: Path) -> None:
    if not final.exists():
        aside.rename(final)
        return
    old = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}old-", dir=root))
    final.rename(old / "was")
    try:
        aside.rename(final)
    except OSError:
        (old / "was").rename(final)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _flush_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _flush(path)
    _flush(folder)


def _flush(path: Path) -> None:
    """Have the system write a file, or a folder's entries, to the disk. Windows knows this for no folder."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(root: Path) -> int:
    """Remove what interrupted runs left aside; to be called while holding the root's lock. How many there were."""
    left = list(root.glob(f"{PARTIAL}*"))
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One run at a time in an output folder. The lock dies with its process, also by kill -9.

    Raises
    ------
    UserError
        If another run holds it, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / _LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"Another run is writing into {root}: wait for it, or choose another output folder.", option="output"
        ) from error
    except OSError as error:
        raise UserError(
            f"Cannot write into the output folder {root} ({error.strerror or error}): choose another one.",
            option="output",
        ) from error
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            (root / _LOCK).unlink()
