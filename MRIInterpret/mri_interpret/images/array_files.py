"""Volumes as .npy files in Fortran order, which is VTK's: mapped into memory, they are copied once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .volume import Array, Volume

_PIECE = 2_000_000  # voxels written in one step


def write_array_file(volume: Volume, folder: Path, name: str) -> dict[str, Any]:
    """Save a volume's voxels; returns what :func:`read_array_file` needs besides."""
    steps = write_array_file_steps(volume, folder, name)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            record: dict[str, Any] = end.value
            return record


def write_array_file_steps(volume: Volume, folder: Path, name: str) -> Generator[None, None, dict[str, Any]]:
    """The same in steps of some milliseconds each."""
    flat = np.asarray(volume.array).ravel(order="F")
    header = {"descr": np.lib.format.dtype_to_descr(flat.dtype), "fortran_order": True, "shape": volume.shape}
    with (folder / f"{name}.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, flat.size, _PIECE):
            file.write(flat[start : start + _PIECE].data)
            yield
    return {"file": f"{name}.npy", "affine": np.asarray(volume.affine, float).tolist(), "name": volume.name}


class ArrayFiles:
    """Volumes written to a folder, each array once, whoever asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, tuple[Volume, dict[str, Any]]] = {}  # the volume is kept, so that its id stays its own

    def record(self, volume: Volume, name: str) -> dict[str, Any]:
        """Save a volume, if its array was not saved before; returns what :func:`read_array_file` needs."""
        for _ in self.record_steps(volume, name):
            pass
        key = id(volume.array)
        return {**self._known[key][1], "affine": np.asarray(volume.affine, float).tolist(), "name": volume.name}

    def record_steps(self, volume: Volume, name: str) -> Iterator[None]:
        """Save a volume, if its array was not saved before, in steps; :meth:`record` then knows it."""
        key = id(volume.array)
        if key not in self._known:
            record = yield from write_array_file_steps(volume, self._folder, name)
            self._known[key] = (volume, record)


def map_array(path: Path) -> Array:
    """The voxels of a .npy file, mapped into memory, read-only. Nothing is unpickled."""
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def read_array_file(record: dict[str, Any], folder: Path) -> Volume:
    """The volume of a record, its voxels mapped from the file, read-only."""
    return Volume(map_array(folder / record["file"]), np.array(record["affine"], float), record["name"])
