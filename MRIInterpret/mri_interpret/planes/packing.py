"""Numbers in a page: differences from voxel to voxel, compressed, as text.

Neighbours are alike, so differences compress to about half of what the numbers themselves do. ``viewer.js`` unpacks.
"""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array

LEVELS = 2000  # steps from 0 to a map's colour limit: finer than any display, and less than a tenth of float32's bytes


def packed(array: Array) -> dict[str, Any]:
    """A volume of whole numbers as JSON: its shape, its type, and its voxels, the first axis running fastest.

    Parameters
    ----------
    array
        Shape (I, J, K), of type uint8, uint16 or int16.

    Returns
    -------
    dict
        "shape"; "type", a name of NumPy's; "data", base64 of gzip of the differences, little-endian, modulo 2^8 or
        2^16.
    """
    if array.dtype not in (np.uint8, np.uint16, np.int16):
        raise ValueError(f"volumes in a page are of 8 or 16 bits, not {array.dtype}")
    flat = array.ravel(order="F")
    unsigned = flat.view(np.uint8 if array.dtype == np.uint8 else np.uint16)
    steps = np.diff(unsigned, prepend=unsigned.dtype.type(0))  # wraps, as the sum in the browser does
    data = packed_bytes(steps.astype(steps.dtype.newbyteorder("<")).tobytes())
    return {"shape": list(array.shape), "type": array.dtype.name, "data": data}


def packed_bytes(data: bytes) -> str:
    """Bytes as base64 of gzip; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii")


def quantised(values: Array, limit: float) -> tuple[NDArray[np.int16], float]:
    """Values in steps of 1/2000 of their colour limit, or wider ones if the largest needs it.

    Returns
    -------
    steps, size
        ``steps * size`` differs from the values by at most ``size / 2``.
    """
    largest = float(np.abs(values).max(initial=0.0))
    size = max(limit / LEVELS, largest / np.iinfo(np.int16).max) or 1.0
    return np.rint(np.asarray(values, dtype=np.float64) / size).astype(np.int16), size
