"""Check a path that a user gave: one sentence says why it cannot be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import UserError
from .refusals import one_sentence

# How tools that keep large files elsewhere mark the place of one that was not fetched.
_POINTERS = (b"version https://git-lfs", b"/annex/objects/")


def existing_path(path: str | Path) -> Path:
    """The path, with ``~/`` at its beginning expanded.

    Raises
    ------
    UserError
        If nothing is there, it is a link to nothing, may not be read, is empty, or is neither a file nor a folder.
    """
    path = Path(path)
    if path.parts[:1] == ("~",):
        path = path.expanduser()
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise UserError(
                f"{path} is a link to {os.readlink(path)}, which is not there: fetch the file first (for instance with "
                "datalad get or git annex get)."
            ) from error
        raise UserError(f"{path} does not exist: check the path of the image.") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read (permission denied): ask its owner for access.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be opened ({reason}): check the path of the image.") from error
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} may not be read (permission denied): ask its owner for access.")
    if stat.S_ISDIR(found.st_mode):
        return path
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not a regular file: give an image file or the folder of a DICOM series.")
    if found.st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): copy or export the image again.")
    with one_sentence(str(path)), path.open("rb") as file:
        if file.read(40).startswith(_POINTERS):
            raise UserError(
                f"{path} is a placeholder for a file that was not fetched: fetch it first (for instance with "
                "git lfs pull, datalad get or git annex get)."
            )
    return path
