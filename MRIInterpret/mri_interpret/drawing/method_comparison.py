"""Mean maps of many subjects side by side: one row per method, the true effect first, one column per slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Grid, Volume
from ..planes.colour_scale import ColourScale, relevance_scale, summary_scale
from ..planes.slices import CONVENTION, EDGES, Plane, brain_box, cut
from .canvas import FILM, as_webp, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Planes and positions (mm) that cross hippocampus, amygdala and ventricles.
SLICES: tuple[tuple[Plane, float], ...] = (
    *(("coronal", -10.0), ("coronal", -22.0), ("coronal", -34.0)),
    *(("axial", -18.0), ("axial", 4.0), ("sagittal", 27.0)),
)
_SIDE, _LABEL, _BAR = 1.72, 2.3, 0.55  # inches: a slice, the titles, the colour bar
_HEAD = 0.42


def mean_map_picture(
    maps: Mapping[str, NDArray[np.float32]], grid: Grid, titles: Mapping[str, str], note: str = ""
) -> bytes:
    """WebP: methods as rows, slices as columns.

    Parameters
    ----------
    maps
        Means, (I, J, K): "scan", "mask" (share of the subjects), "effect", and each method's map. Each map is scaled
        to its own 99.5th percentile, because methods have no common unit.
    grid
        Theirs.
    titles
        Methods' titles by key.
    note
        What the means are of.
    """
    mask = np.asarray(maps["mask"] > 0.5)
    scan = Volume(maps["scan"], grid.affine)
    box = brain_box(Volume(mask.astype(np.uint8), grid.affine))
    names = ["effect", *(name for name in maps if name not in ("scan", "mask", "effect"))]
    width, height = _LABEL + len(SLICES) * _SIDE + _BAR + 0.35, _HEAD + len(names) * _SIDE
    with new_figure(width, height, FILM) as figure:
        figure.text(0.01, 1 - 0.18 / height, f"{note} {CONVENTION}".strip(), color="white", fontsize=8, va="center")
        for row, name in enumerate(names):
            values = np.where(mask, maps[name], 0)
            scale = _scale(name, values, mask)
            bottom = (height - _HEAD - (row + 1) * _SIDE) / height
            title = _title(name, titles)
            figure.text(0.01, bottom + 0.5 * _SIDE / height, title, color="white", fontsize=9, va="center")
            volume = Volume(values.astype(np.float32), grid.affine)
            for column, (plane, position) in enumerate(SLICES):
                left = (_LABEL + column * _SIDE) / width
                axes = figure.add_axes((left, bottom, 0.98 * _SIDE / width, 0.98 * _SIDE / height))
                _slice(axes, scan, volume, scale, plane, position, box)
                if row == 0:
                    text = f"{plane} {position:+.0f} mm"
                    axes.text(0.5, 1.02, text, transform=axes.transAxes, color="white", fontsize=7, ha="center")
            _bar(figure, scale, (_LABEL + len(SLICES) * _SIDE + 0.06) / width, bottom, width, height)
        return as_webp(figure, 110)


def _title(name: str, titles: Mapping[str, str]) -> str:
    if name == "effect":
        return "True effect\n(mean size of the change)"
    return titles.get(name, name).strip("*").replace(" (", "\n(").replace(" x ", "\nx ")


def _scale(name: str, values: NDArray[Any], mask: NDArray[np.bool_]) -> ColourScale:
    if name == "summary":
        return summary_scale(mask, values)
    return relevance_scale(values, mask, bool(values.min() < 0), "")


def _slice(
    axes: Any, scan: Volume, volume: Volume, scale: ColourScale, plane: Plane, position: float, box: Any
) -> None:
    axes.set_axis_off()
    axes.imshow(cut(scan, plane, position, box), cmap="gray", vmin=0, vmax=1)
    axes.imshow(scale.rgba(cut(volume, plane, position, box)))
    for x, letter in zip((0.02, 0.92), EDGES[plane], strict=True):
        axes.text(x, 0.5, letter, transform=axes.transAxes, color="white", fontsize=7)


def _bar(figure: Figure, scale: ColourScale, left: float, bottom: float, width: float, height: float) -> None:
    """A bar of the row's colours with its limits; transparent values show the background."""
    low = scale.low
    axes = figure.add_axes((left, bottom + 0.2 * _SIDE / height, 0.1 / width, 0.6 * _SIDE / height))
    column = np.linspace(scale.limit, low, 128)[:, None]
    axes.imshow(scale.rgba(column), aspect="auto", extent=(0, 1, low, scale.limit))
    axes.set_facecolor(FILM)
    axes.set_xticks([])
    axes.set_yticks([low, scale.limit], [f"{low:.2g}", f"{scale.limit:.2g}"], color="white", fontsize=6)
    axes.yaxis.tick_right()
    axes.tick_params(length=2, color="white")
