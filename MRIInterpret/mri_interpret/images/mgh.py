"""FreeSurfer's .mgh and .mgz."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

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
    return volume_from_nibabel(check_mgh_header(path), str(path), path.name)


def check_mgh_header(path: Path) -> Any:
    """The nibabel image, voxels unread, of a file that has an orientation; without one nibabel uses FreeSurfer's."""
    opened = gzip.open if path.name.lower().endswith(".mgz") else open
    with one_sentence(str(path)), opened(path, "rb") as file:
        start = file.read(_FLAG.stop)
    image, _ = load_header(path)
    if int.from_bytes(start[_FLAG], "big", signed=True) <= 0:
        raise no_orientation(str(path), "its goodRASFlag is 0")
    return image
