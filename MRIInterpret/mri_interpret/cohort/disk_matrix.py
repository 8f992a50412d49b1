"""A matrix on disk, written by rows and read by columns: the maps of a cohort without holding them in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Rows = NDArray[np.float32]
BLOCK_BYTES = 8 * 2**20


class DiskMatrix:
    """A matrix (rows, columns) of float32 in a temporary file, written row by row. Use as a context manager.

    The file is read with plain reads, not mapped into memory, so that resident memory does not grow with the rows.

    Parameters
    ----------
    columns
        Numbers in a row.
    folder
        Where the file lies, which should be a disk with room for it; it has no name others could see.
    """

    def __init__(self, columns: int, folder: Path) -> None:
        self.columns = columns
        self.rows = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by __exit__)
        except OSError as error:
            raise UserError(f"Cannot write into {folder} ({error.strerror or error}).") from error

    def append(self, row: Rows) -> None:
        """Add a row at the end."""
        if row.shape != (self.columns,):
            raise ValueError(f"a row of shape {row.shape} for {self.columns} columns")
        data = np.ascontiguousarray(row, dtype="<f4").tobytes()
        self._file.seek(self.rows * self.columns * 4)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise UserError(
                f"Cannot write a temporary file for the group maps ({error.strerror or error}): free space on the disk "
                "of the output folder and start the same run again."
            ) from error
        self.rows += 1

    def block(self, start: int, stop: int, rows: Sequence[int]) -> Rows:
        """Columns ``start`` to ``stop`` of some rows: (len(rows), stop - start)."""
        block = np.empty((len(rows), stop - start), dtype="<f4")
        for place, row in enumerate(rows):
            self._file.seek((row * self.columns + start) * 4)
            data = self._file.read((stop - start) * 4)
            block[place] = np.frombuffer(data, dtype="<f4")
        return block

    def blocks(self, rows: Sequence[int], block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Rows]]:
        """All columns of some rows, as (start, stop, block) with blocks of at most ``block_bytes``."""
        width = max(1, block_bytes // (4 * max(1, len(rows))))
        for start in range(0, self.columns, width):
            stop = min(start + width, self.columns)
            yield start, stop, self.block(start, stop, rows)

    def __enter__(self) -> DiskMatrix:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
