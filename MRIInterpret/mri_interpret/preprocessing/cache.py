"""Masks and transforms by content: the second run on a scan takes only the model's time."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_bytes
from ..errors import UserError
from ..images.volume import Array, Volume
from ..user_folders import user_cache_folder

MAX_ENTRIES = 500
_FORMAT = "3"  # raise when masks or transforms come out otherwise for the same input


def content_hash(volume: Volume) -> str:
    """SHA-256 over voxels, dtype, shape and affine: the same image gives the same hash whatever its file is called."""
    digest = hashlib.sha256()
    digest.update(f"{volume.array.dtype.str}{volume.array.shape}".encode())
    digest.update(np.ascontiguousarray(volume.array).data)
    digest.update(np.ascontiguousarray(np.round(volume.affine, 6)).tobytes())
    return digest.hexdigest()


class PreprocessingCache:
    """Small results (mask, transform, quality) stored under a key made of everything they depend on.

    A cache never fails the job: what cannot be read is computed again, what cannot be written is not kept.
    """

    def __init__(self, folder: Path | None = None, enabled: bool = True) -> None:
        self.folder = (folder or user_cache_folder()) if enabled else None

    @staticmethod
    def key(*parts: Any) -> str:
        """A file name for what ``parts`` (JSON-serialisable) determine."""
        text = json.dumps([_FORMAT, *parts], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def load(self, key: str) -> dict[str, Array] | None:
        """The arrays stored under ``key``, or None."""
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            os.utime(self.folder / f"{key}.npz")  # so that pruning drops what was not used for longest
            return arrays
        except Exception:
            return None

    def store(self, key: str, **arrays: Array) -> None:
        """Keep ``arrays`` under ``key``."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        # The stubs of savez_compressed take a keyword of another type for any name.
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        try:
            write_bytes(self.folder / f"{key}.npz", buffer.getvalue())
            self._prune()
        except (UserError, OSError):
            return

    def _prune(self) -> None:
        assert self.folder is not None
        entries = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in entries[: max(0, len(entries) - MAX_ENTRIES)]:
            path.unlink(missing_ok=True)
