"""FreeSurfer's .mgh and .mgz."""

from __future__ import annotations

import gzip
from pathlib import Path

from .nifti import load_header, volume_from_nibabel
from .refusals import no_orientation, one_sentence
from .volume import Volume

_FLAG = slice(28, 30)  # goodRASFlag, big-endian int16


def read_mgh(path: Path) -> Volume:
    """Read .mgh or .mgz.

    Raises
    ------
    UserError
        If it is damaged, holds no single scalar 3D volume, or its goodRASFlag says that it has no orientation.
    """
    where = str(path)
    check_mgh_orientation(path)
    return volume_from_nibabel(load_header(path), where, path.name)


def check_mgh_orientation(path: Path) -> None:
    """Raise a UserError if the header has no orientation; nibabel would fill in FreeSurfer's default one."""
    opened = gzip.open if path.name.lower().endswith(".mgz") else open
    with one_sentence(str(path)), opened(path, "rb") as file:
        start = file.read(_FLAG.stop)
    if len(start) == _FLAG.stop and int.from_bytes(start[_FLAG], "big", signed=True) <= 0:
        raise no_orientation(str(path), "its goodRASFlag is 0")
