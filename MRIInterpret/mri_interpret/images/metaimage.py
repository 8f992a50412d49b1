"""MetaImage (.mha, .mhd): everything through ITK, once the header is known to hold an orientation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import UserError
from .compression import check_compressed
from .itk import itk_affine, read_itk_file, volume_from_itk
from .refusals import check_components, no_orientation, one_sentence, single_volume
from .volume import Volume

_HEADER_LIMIT = 1_000_000  # bytes; a header ends with ElementDataFile
# MetaIO's names for the same thing, lower case.
_ORIENTATION = ("transformmatrix", "rotation", "orientation")
_SPACING = ("elementspacing", "elementsize")
_MM_PER_UNIT = {"?": 1.0, "mm": 1.0, "um": 0.001, "cm": 10.0}  # ITK takes all for millimetres
_BYTES = {
    "met_char": 1, "met_uchar": 1, "met_short": 2, "met_ushort": 2, "met_int": 4, "met_uint": 4, "met_long": 4,
    "met_ulong": 4, "met_long_long": 8, "met_ulong_long": 8, "met_float": 4, "met_double": 8,
}  # fmt: skip


def read_metaimage(path: Path) -> Volume:
    """Read .mha or .mhd.

    Raises
    ------
    UserError
        If it is damaged, is not a single scalar 3D volume, or carries no orientation or voxel size.
    """
    fields, end = check_metaimage_header(path)
    _check_data(path, fields, end)
    scale = _MM_PER_UNIT[fields.get("distanceunits", "mm").lower()]
    image = read_itk_file(path, "MetaImageIO")
    return volume_from_itk(image, str(path), path.name, np.diag([scale, scale, scale, 1.0]) @ itk_affine(image))


def check_metaimage_header(path: Path) -> tuple[dict[str, str], int]:
    """The fields of the header, names in lower case, and where it ends.

    Raises
    ------
    UserError
        For a header without orientation or voxel size: ITK would fill in an identity.
    """
    with one_sentence(str(path)), path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    fields: dict[str, str] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        name, separator, value = line.decode("utf-8", "replace").partition("=")
        if not separator:
            break
        end += len(line)
        fields[name.strip().lower()] = value.strip()
        if "elementdatafile" in fields:
            break
    if not {"ndims", "dimsize", "elementdatafile"} <= set(fields):
        raise UserError(f"{path} is not a readable image (it lacks MetaImage's header): copy or export it again.")
    if not set(fields) & set(_ORIENTATION):
        raise no_orientation(str(path), "its header has no TransformMatrix")
    if not set(fields) & set(_SPACING):
        raise UserError(f"{path} carries no voxel size (ElementSpacing): convert it again from DICOM.")
    if fields.get("distanceunits", "mm").lower() not in _MM_PER_UNIT:
        raise UserError(
            f"{path} gives lengths in units that are not understood ({fields['distanceunits']}): export it in mm."
        )
    with one_sentence(str(path)):
        check_components(int(fields.get("elementnumberofchannels", "1")), str(path))
        single_volume([int(size) for size in fields["dimsize"].split()], str(path))
    return fields, end


def _check_data(path: Path, fields: dict[str, str], end: int) -> None:
    """Raise a UserError for voxels that break off or are damaged in their compression: MetaIO reads on regardless."""
    size = _BYTES.get(fields.get("elementtype", "").lower())
    if size is None:
        raise UserError(
            f"{path} holds no numbers (its ElementType is {fields.get('elementtype')}): give a scalar image."
        )
    expected = size * math.prod(int(number) for number in fields["dimsize"].split())
    data = fields["elementdatafile"]
    if data.upper().startswith("LIST") or "%" in data:
        raise UserError(f"{path} keeps its voxels in several files: save it as one .mha file.")
    where, voxels = str(path), path
    if data.upper() != "LOCAL":
        voxels, end = path.parent / data, 0
        if not voxels.is_file():
            raise UserError(f"{path} keeps its voxels in {data}, which is not there: copy both files.")
    with one_sentence(where), voxels.open("rb") as file:
        file.seek(end)
        found = voxels.stat().st_size - end
        if fields.get("compresseddata", "").lower() == "true":
            check_compressed(file, where, expected)
        elif found < expected:
            raise UserError(f"{where} breaks off ({found} of {expected} bytes of voxels): copy or export it again.")
