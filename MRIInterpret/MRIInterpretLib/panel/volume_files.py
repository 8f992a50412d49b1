"""Volumes as .npy files in Fortran order, which is VTK's: mapped into memory, they are copied once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Volume


def write_volume(volume: Volume, folder: Path, name: str) -> dict[str, Any]:
    """Save a volume's voxels; returns what :func:`read_volume` needs besides."""
    np.save(folder / f"{name}.npy", np.asfortranarray(volume.array), allow_pickle=False)
    return {"file": f"{name}.npy", "affine": np.asarray(volume.affine, float).tolist(), "name": volume.name}


def read_volume(record: dict[str, Any], folder: Path) -> Volume:
    """The volume of a record, its voxels mapped from the file, read-only."""
    array = np.load(folder / record["file"], mmap_mode="r", allow_pickle=False)
    return Volume(array, np.array(record["affine"], float), record["name"])
