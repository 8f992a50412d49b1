"""The cortex's parcels in an anatomy: as the label map has them, or the atlas' bent onto this brain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..anatomy.parcels import with_parcels
from ..images.volume import Volume
from .grids import FINE_GRID
from .structures import NAMES, STRUCTURES

FIRST_PARCEL, _LAST_PARCEL = 1001, 2035


def parcels_of(codes: NDArray[np.uint8], known: NDArray[Any] | None = None) -> NDArray[np.uint16]:
    """Desikan-Killiany labels of an anatomy's cortex on ``FINE_GRID``, 0 elsewhere.

    Parameters
    ----------
    codes
        Structure codes on ``FINE_GRID``.
    known
        FreeSurfer's values there, if they have parcels.
    """
    if known is None:
        table = np.array([structure.labels[0] for structure in STRUCTURES], dtype=np.int16)
        found = with_parcels(Volume(table[codes], FINE_GRID.affine, "anatomy"), np.eye(4)).array
    else:
        found = known
    cortex = np.isin(codes, [code for code, name in enumerate(NAMES) if name.endswith("Cerebral-Cortex")])
    parcel = cortex & (found >= FIRST_PARCEL) & (found <= _LAST_PARCEL)
    return np.where(parcel, found, 0).astype(np.uint16)
