"""A map for the viewer: on the grid that it was computed on, which is coarser than the scan's, with the way there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Affine, Array, Grid, Volume, resample
from .colour_scale import SEQUENTIAL_TABLE, SIGNED_TABLE, ColourScale
from .packing import packed, quantised

# Of the brain's voxels, in per cent: where the slider for the shown share stops.
SHARES = (0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_SHOWN = 10  # the share to begin with, as in Slicer's panel
_CHECKED = 50_000  # voxels on which the page's values are compared with the map's file


@dataclass(frozen=True)
class ViewerMap:
    """One map that the viewer can show.

    Attributes
    ----------
    key, title, units, note
        A name of its own, its name and units for people, and what stands behind the title, "not in the summary".
    signed
        Whether both signs carry meaning.
    volume
        On the grid where it was computed.
    scale
        Its colours in the still pictures: colour limit and table. The threshold is for labels, and for maps that are
        0 nearly everywhere; others begin with the top 10 % of the brain.
    on_scan
        The map on the scan's grid, as its file has it; None if ``volume`` is that.
    to_volume
        4 x 4, RAS mm of the scan's world to RAS mm of the volume's.
    order
        1 (trilinear) for maps, 0 for labels.
    names
        Of labels, from 0 on.
    """

    key: str
    title: str
    units: str
    signed: bool
    volume: Volume
    scale: ColourScale
    on_scan: Volume | None = None
    to_volume: Affine = field(default_factory=lambda: np.eye(4))
    order: int = 1
    note: str = ""
    names: tuple[str, ...] = ()

    def record(self, brain: Brain) -> dict[str, Any]:
        """What the page holds of it, see ``viewer.js``; only voxels that the brain touches."""
        volume = self.volume
        near = brain.near(volume.grid, self.to_volume)
        values = np.where(near, np.nan_to_num(np.asarray(volume.array, dtype=np.float32)), 0)
        first, box = _box(near)
        steps, size = quantised(values[box], self.scale.limit) if self.order else (values[box].astype(np.int16), 1.0)
        affine = volume.affine @ _shift(first)
        sent = Volume((steps * size).astype(np.float32), affine)
        on_scan = self.on_scan if self.on_scan is not None else volume
        magnitudes = np.abs(np.nan_to_num(np.asarray(on_scan.array[brain.inside], dtype=np.float32)))
        shares = [1 - share / 100 for share in SHARES]
        tops = np.quantile(magnitudes, shares).tolist() if magnitudes.size else [0.0] * len(SHARES)
        return {
            "key": self.key,
            "title": self.title,
            "note": self.note,
            "units": self.units,
            "signed": self.signed,
            "order": self.order,
            "names": list(self.names),
            "limit": self.scale.limit,
            "threshold": (self.order and tops[SHARES.index(_SHOWN)]) or self.scale.threshold,
            "colours": self.scale.table or (SIGNED_TABLE if self.signed else SEQUENTIAL_TABLE),
            "tops": tops,
            "size": size,
            "compared": len(brain.voxels),
            "error": _difference(sent, on_scan, brain.voxels, self.to_volume, self.order),
            "to_voxel": (np.linalg.inv(affine) @ self.to_volume).ravel().tolist(),
            **packed(steps),
        }


class Brain:
    """The brain, and where it lies on the maps' grids; each grid is asked once.

    Parameters
    ----------
    mask
        On the grid of the maps' files.
    """

    def __init__(self, mask: Volume) -> None:
        self.mask = mask
        self.inside: NDArray[np.bool_] = np.asarray(mask.array) > 0
        voxels = np.argwhere(self.inside)
        self.voxels = voxels[:: max(len(voxels) // _CHECKED, 1)]
        self._near: dict[bytes, NDArray[np.bool_]] = {}

    def near(self, grid: Grid, to_grid: Affine) -> NDArray[np.bool_]:
        """Whatever of a grid, however coarse, is needed to interpolate within the brain."""
        key = np.concatenate([grid.shape, grid.affine.ravel(), to_grid.ravel()]).tobytes()
        if key not in self._near:
            touched = resample(self.mask, grid, np.linalg.inv(to_grid)).array > 0
            self._near[key] = np.asarray(ndimage.binary_dilation(touched, iterations=2))
        return self._near[key]


def _box(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], tuple[slice, ...]]:
    """First corner and slices of the smallest box; of everything where nothing is inside."""
    found = ndimage.find_objects(inside.astype(np.uint8))
    box = found[0] if found else tuple(slice(0, size) for size in inside.shape)
    return np.array([one.start for one in box]), box


def _shift(first: Array) -> Affine:
    matrix = np.eye(4)
    matrix[:3, 3] = first
    return matrix


def _difference(sent: Volume, on_scan: Volume, voxels: Array, to_volume: Affine, order: int) -> float:
    """The largest difference between what the page will show at a voxel of the scan and the map there."""
    if not len(voxels):
        return 0.0
    to_index = np.linalg.inv(sent.affine) @ to_volume @ on_scan.affine
    places = to_index[:3, :3] @ voxels.T + to_index[:3, 3:]
    mode = "grid-constant" if order else "constant"
    shown = ndimage.map_coordinates(sent.array, places, order=order, mode=mode, cval=0.0)
    held = np.nan_to_num(np.asarray(on_scan.array[tuple(voxels.T)], dtype=np.float32))
    return float(np.abs(shown - held).max())
