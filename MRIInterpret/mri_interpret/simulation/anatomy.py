"""An anatomy: a label map in template space at 1 mm, with two voxels per voxel of the model grid along every axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.reading import read_volume
from ..images.volume import Affine, Volume, resample
from ..preprocessing.registration import register_affine
from ..preprocessing.template import load_template
from .grids import FINE_GRID as FINE_GRID
from .grids import MODEL_GRID as MODEL_GRID
from .parcels_of_anatomy import FIRST_PARCEL, parcels_of
from .structures import BRAIN, INTRACRANIAL, NAMES, NEEDED, TISSUE_OF_CODE, TISSUES, code_of_label
from .template_alignment import align_as_the_product

#: The two diseases: the published one, and the simulator's until 2026.
PUBLISHED, STYLISED = DISEASES = ("published", "stylised")
# T1 intensities that only serve to register a label map to the template.
_GUIDE = {"white matter": 1.0, "cerebellar white matter": 0.9, "CSF": 0.15, "choroid plexus": 0.3, "background": 0.0}
_GUIDE_OTHER = 0.62


@dataclass(frozen=True)
class Anatomy:
    """A label map that the simulator can deform.

    Attributes
    ----------
    name
        The subject's name; no subject is used for both training and testing.
    labels
        Codes of :mod:`.structures`, uint8, on ``FINE_GRID``.
    scale
        Volume in template space over volume in the subject's own space, to give volumes in the subject's own mm^3.
    parcels
        FreeSurfer's Desikan-Killiany labels (1001 ... 2035) of the cortex on ``FINE_GRID``, 0 elsewhere; None if they
        are not known, and the atlas has to say where they are likely.
    """

    name: str
    labels: NDArray[np.uint8]
    scale: float = 1.0
    parcels: NDArray[np.uint16] | None = None


def read_anatomy(path: str | Path, disease: str = STYLISED) -> Anatomy:
    """Read a FreeSurfer-style label map and register it to the template.

    Parameters
    ----------
    path
        Label volume, any orientation and spacing. Both sides of the structures in ``structures.NEEDED`` must be there.
    disease
        Which disease it is for. "published" lays it as the product would lay a scan of this head, and finds the
        cortex's parcels: those of the label map, or else the atlas', bent onto this brain. "stylised" registers the
        brain's outline, as until 2026, and knows no parcels.

    Raises
    ------
    UserError
        If it cannot be read, lacks a structure, or holds values that are not whole numbers.
    """
    path = Path(path)
    volume = read_volume(path)
    values = np.asarray(volume.array)
    table = code_of_label()
    if not np.array_equal(values, np.round(values)) or values.min() < 0 or values.max() >= len(table):
        raise UserError(f"{path} is no label map: FreeSurfer labels are whole numbers from 0 to {len(table) - 1}.")
    labels = table[values.astype(np.int64)]
    check_structures(labels, str(path))
    codes = volume.with_array(labels)
    to_template = align_as_the_product(codes) if disease == PUBLISHED else _register(codes)
    back, scale = np.linalg.inv(to_template), float(np.linalg.det(to_template))
    fine = np.asarray(resample(codes, FINE_GRID, back, order=0).array, dtype=np.uint8)
    parcels = None
    if disease == PUBLISHED:
        known = resample(volume, FINE_GRID, back, order=0).array if values.max() >= FIRST_PARCEL else None
        parcels = parcels_of(fine, known)
    return Anatomy(path.name.split(".")[0], fine, scale, parcels)


def check_structures(labels: NDArray[np.uint8], name: str) -> None:
    """Raise a UserError that names the structures that are missing."""
    there = np.bincount(labels.ravel(), minlength=len(NAMES)) > 0
    missing = [needed for needed in NEEDED if not there[NAMES.index(needed)]]
    if missing:
        raise UserError(
            f"The label map {name} lacks {', '.join(missing)}: the simulator needs FreeSurfer labels "
            "(aseg) of a whole brain."
        )


def list_label_maps(folder: str | Path) -> list[Path]:
    """The label maps in a folder: files called labels_*.nii.gz or labels_*.nii, sorted.

    Raises
    ------
    UserError
        If the folder is missing or holds none.
    """
    folder = Path(folder)
    found = sorted(p for p in folder.glob("labels_*") if p.name.endswith((".nii", ".nii.gz", ".mgz")))
    if not found:
        raise UserError(f"{folder} holds no label maps: files called labels_<subject>.nii.gz are needed.")
    return found


def is_called(path: Path, names: Iterable[str]) -> bool:
    """Whether one of ``names`` matches a label map's file: "labels_02", or "02", the part after the last "_"."""
    stem = path.name.split(".")[0]
    return any(stem == name or stem.endswith(f"_{name}") for name in names)


def choose_label_maps(folder: str | Path, names: Sequence[str]) -> list[Path]:
    """The label maps of a folder that match ``names``; all of them if no names are given.

    Raises
    ------
    UserError
        If a name matches no file.
    """
    found = list_label_maps(folder)
    for name in names:
        if not any(is_called(path, (name,)) for path in found):
            raise UserError(f"{folder} holds no label map called '{name}'.")
    return [path for path in found if not names or is_called(path, names)]


def _register(labels: Volume) -> Affine:
    """Affine of the label map onto the template, by a T1-like image made from it."""
    guide = np.array([_GUIDE.get(name, _GUIDE_OTHER) for name in TISSUES], dtype=np.float32)[TISSUE_OF_CODE]
    codes = np.asarray(labels.array)
    envelope = brain_envelope(codes, labels.grid.spacing)
    image = np.where(INTRACRANIAL[codes], guide[codes], np.float32(0))
    template, template_mask = load_template(1)
    return register_affine(
        labels.with_array(image), labels.with_array(envelope.astype(np.uint8)), template, template_mask
    )


def brain_envelope(codes: NDArray[np.uint8], spacing: NDArray[Any]) -> NDArray[np.bool_]:
    """The brain as a mask tool outlines it: tissue and ventricles with the sulci between filled."""
    tissue = BRAIN[codes].astype(np.float32)
    smooth = ndimage.gaussian_filter(tissue, 3.0 / spacing)
    return (smooth > 0.4) & INTRACRANIAL[codes]
