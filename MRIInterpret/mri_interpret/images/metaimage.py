"""MetaImage (.mha, .mhd): everything through ITK, once the header is known to hold an orientation."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .itk import read_itk_file, volume_from_itk
from .refusals import no_orientation, one_sentence
from .volume import Volume

_HEADER_LIMIT = 1_000_000  # bytes; a header ends with ElementDataFile
# MetaIO's names for the same thing, lower case.
_ORIENTATION = ("transformmatrix", "rotation", "orientation")
_SPACING = ("elementspacing", "elementsize")


def read_metaimage(path: Path) -> Volume:
    """Read .mha or .mhd.

    Raises
    ------
    UserError
        If it is damaged, is not a single scalar 3D volume, or carries no orientation or voxel size.
    """
    check_metaimage_header(path)
    return volume_from_itk(read_itk_file(path, "MetaImageIO"), str(path), path.name)


def check_metaimage_header(path: Path) -> None:
    """Raise a UserError for a header without orientation or voxel size: ITK would fill in an identity."""
    with one_sentence(str(path)), path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    names = []
    for line in head.split(b"\n"):
        name, separator, _ = line.partition(b"=")
        if not separator:
            break
        names.append(name.decode("ascii", "replace").strip().lower())
        if names[-1] == "elementdatafile":
            break
    if "ndims" not in names or names[-1] != "elementdatafile":
        raise UserError(f"{path} is not a readable image (its header is no MetaImage's): copy or export it again.")
    if not set(names) & set(_ORIENTATION):
        raise no_orientation(str(path), "its header has no TransformMatrix")
    if not set(names) & set(_SPACING):
        raise UserError(f"{path} carries no voxel size (ElementSpacing): convert it again from DICOM.")
