"""Scans that are sent to the application: how large, of which kind, where they are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from ..errors import UserError, printable
from ..images.reading import check_header
from .open_folders import SCAN_SUFFIXES

LARGEST_MIB = 512  # a head at 0.5 mm in single precision has about 400
_KINDS = "NIfTI (.nii, .nii.gz) or FreeSurfer's .mgz, .mgh"


def check_name(name: str) -> str:
    """The file's own name, without folders.

    Raises
    ------
    UserError
        If it is of no kind that is taken.
    """
    own = printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-150:]
    if not own.lower().endswith(SCAN_SUFFIXES) or own.startswith("."):
        raise UserError(f"{own or 'The file'} cannot be sent here: choose a scan as {_KINDS}.")
    return own


def check_size(count: int | None, name: str = "The file") -> None:
    """Refuse what is too large.

    Raises
    ------
    UserError
        If there are more bytes than are taken.
    """
    if count is not None and count > LARGEST_MIB * 2**20:
        raise UserError(
            f"{name} has {count / 2**20:,.0f} MiB, and {LARGEST_MIB} are taken: put it into a folder that is named "
            "when the application is started."
        )


async def receive(chunks: AsyncIterator[bytes], name: str, folder: Path) -> Path:
    """Write a file that arrives piece by piece, and look whether it is what its name says; on failure nothing is left.

    Parameters
    ----------
    chunks
        The content.
    name
        As the browser gave it.
    folder
        Where it is kept.

    Raises
    ------
    UserError
        If it is too large, of no kind that is taken, or not what its name says.
    """
    own = check_name(name)
    path, count = folder / own, 0
    try:
        with path.open("wb") as file:
            async for chunk in chunks:
                count += len(chunk)
                check_size(count, own)
                file.write(chunk)
        check_header(path)  # its kind, its orientation, and whether it stands for too many voxels
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, UserError):  # the reader knows nothing of the browser, and names the temporary folder
            raise UserError(str(error).replace(str(path), own)) from error
        raise
    return path
