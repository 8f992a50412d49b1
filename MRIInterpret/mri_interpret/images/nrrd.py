"""NRRD: voxels through ITK, geometry from the header's own words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import UserError
from .compression import check_compressed
from .itk import LPS_TO_RAS, read_itk_file, volume_from_itk
from .refusals import checked_affine, no_orientation, one_sentence
from .volume import Affine, Volume

_HEADER_LIMIT = 1_000_000  # bytes; a header ends at its first empty line
# What takes each anatomical space to RAS (teem's NRRD definition, section 6).
_TO_RAS = {
    "right-anterior-superior": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "left-posterior-superior": LPS_TO_RAS,
}
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}
_MM_PER_UNIT = {
    "m": 1000.0, "meter": 1000.0, "metre": 1000.0, "cm": 10.0, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0,
    "um": 0.001, "µm": 0.001, "micron": 0.001, "microns": 0.001, "micrometer": 0.001,
}  # fmt: skip


def read_nrrd(path: Path) -> Volume:
    """Read .nrrd or .nhdr.

    Raises
    ------
    UserError
        If it is damaged, is not a single scalar 3D volume, or names no anatomical space.
    """
    affine, notes = read_nrrd_affine(path)
    _check_checksum(path)
    volume = volume_from_itk(read_itk_file(path, "NrrdImageIO"), str(path), path.name, affine)
    return Volume(volume.array, volume.affine, volume.name, notes)


def read_nrrd_affine(path: Path) -> tuple[Affine, tuple[str, ...]]:
    """The affine to RAS mm from the header alone, and what a reader should know about it."""
    where = str(path)
    fields = _fields(path)
    space = fields.get("space", "").lower()
    space = _SHORT.get(space, space).removesuffix("-time")
    if not space:
        raise no_orientation(where, "its header names no space")
    if space not in _TO_RAS:
        raise no_orientation(where, f"its space '{fields['space']}' has no anatomical directions")
    if "space directions" not in fields:
        raise no_orientation(where, "its header has no space directions")
    with one_sentence(where):
        vectors = [
            [float(number) for number in vector.split(",")]
            for vector in re.findall(r"\(([^)]*)\)", fields["space directions"])
        ]
        if [len(vector) for vector in vectors] != [3, 3, 3]:
            raise UserError(f"{where} has {len(vectors)} space directions: a 3D volume in 3D space is needed.")
        affine = np.eye(4)
        affine[:3, :3] = np.array(vectors).T
        notes: tuple[str, ...] = ()
        if "space origin" in fields:
            affine[:3, 3] = [float(number) for number in fields["space origin"].strip("() ").split(",")]
        else:
            notes = (f"{path.name}: the header has no space origin; 0, 0, 0 is used.",)
        scale = _mm_per_unit(fields.get("space units", ""), where)
    return checked_affine(_TO_RAS[space] @ np.diag([scale, scale, scale, 1.0]) @ affine, where), notes


def _header(path: Path) -> tuple[str, int]:
    """The header's text, and where in the file it ends."""
    with one_sentence(str(path)), path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    end = re.search(rb"\r?\n\r?\n", head)
    return (head[: end.start()].decode("utf-8", "replace"), end.end()) if end else (head.decode("utf-8", "replace"), 0)


def _fields(path: Path) -> dict[str, str]:
    """The header's fields, names in lower case."""
    lines = re.split(r"\r?\n", _header(path)[0])
    if not re.match(r"NRRD\d{4}", lines[0]):
        raise UserError(f"{path} is not a readable image (it does not begin with NRRD): copy or export it again.")
    # "name:=value" lines are free text of whoever wrote the file.
    named = [line.split(": ", 1) for line in lines[1:] if ": " in line and ":=" not in line and line[0] != "#"]
    return {name.strip().lower(): value.strip() for name, value in named}


def segment_names(path: Path) -> dict[int, str]:
    """Each value's name in a segmentation that 3D Slicer wrote (.seg.nrrd); empty for other files.

    Raises
    ------
    UserError
        If two segments share a value, as in files of several layers.
    """
    own = dict(re.findall(r"^(Segment\d+_(?:Name|LabelValue)):=(.*?)\r?$", _header(path)[0], re.MULTILINE))
    found: dict[int, str] = {}
    for key, name in own.items():
        number, _, part = key.partition("_")
        value = own.get(f"{number}_LabelValue", "")
        if part != "Name" or not value.strip().isdigit():
            continue
        if int(value) in found:
            raise UserError(
                f"{path}: the segments '{found[int(value)]}' and '{name}' share the value {value}: save the "
                "segmentation as one label volume.",
                option="segmentation",
            )
        found[int(value)] = name.strip()
    return found


def _check_checksum(path: Path) -> None:
    """Raise a UserError for gzipped voxels that are damaged: NRRD's library does not look at their checksum."""
    fields = _fields(path)
    skipped = {fields.get("byte skip", "0"), fields.get("line skip", "0")} != {"0"}
    if fields.get("encoding", "").lower() not in ("gzip", "gz") or skipped:
        return
    start = _header(path)[1]
    data = fields.get("data file", fields.get("datafile"))
    if data is not None:
        start = 0
    voxels = path if data is None else path.parent / data
    with one_sentence(str(path)), voxels.open("rb") as file:
        file.seek(start)
        # How many bytes there must be, ITK knows and compares.
        check_compressed(file, str(path), None)


def _mm_per_unit(text: str, where: str) -> float:
    units = {unit.lower() for unit in re.findall(r'"([^"]*)"', text)} - {"", "none", "???"}
    if not units:
        return 1.0
    if len(units) > 1 or not units <= set(_MM_PER_UNIT):
        raise UserError(f"{where} gives lengths in units that are not understood ({text}): export it in mm.")
    return _MM_PER_UNIT[units.pop()]
