"""What a network saw, beside the scan that it was made of: the input's voxels as they lie in its array, not set right.

A network that was trained on arrays whose axes point to R, A and S is drawn so, whatever the input's affine says:
axes that are flipped or exchanged show as a brain that lies wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Affine, Volume, resample
from ..minus_sign import true_minus
from ..planes.slices import AXIS, CONVENTION, EDGES, PLANES, Box, Plane, as_float, brain_box, cut, scan_window
from .canvas import FILM, Picture, as_webp, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ACROSS_UP: dict[Plane, tuple[int, int]] = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}
_THROUGH = (0.36, 0.62)  # slices at these shares of the brain's extent
_WIDTH, _GAP, _TITLE = 11.0, 0.06, 0.26  # inches
_DPI = 120


def input_picture(scan: Volume, mask: Volume, channels: Sequence[tuple[str, Volume]], to_template: Affine) -> Picture:
    """The scan above, every channel of the input below it, through the same places.

    Parameters
    ----------
    scan
        As it was read, shape (I, J, K).
    mask
        The brain, above 0, on the scan's grid.
    channels
        Name and image of each channel, on the network's grid, with affines to RAS mm of the template.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.

    Returns
    -------
    Picture
        WebP; its caption says the range of values and where the axes point.
    """
    first = channels[0][1]
    to_scan = np.linalg.inv(to_template) @ first.affine
    inside = resample(mask, first.grid, np.linalg.inv(to_template), order=0).array > 0
    places = _places(inside, to_scan)
    scan = as_float(scan)
    box = _around(brain_box(mask), first.shape, to_scan)
    codes = _axis_codes(to_scan)
    cell = (_WIDTH - _GAP * (len(places) + 1)) / len(places)
    tall = cell * max(_proportion(box.size(plane)) for plane, _, _ in places)
    height = (1 + len(channels)) * (tall + _TITLE) + _GAP
    sentences = []
    with new_figure(_WIDTH, height, FILM) as figure:
        film = figure.add_axes((0, 0, 1, 1))
        film.set_axis_off()
        film.set(xlim=(0, _WIDTH), ylim=(0, height))
        film.autoscale(False)
        top = height
        _title(film, top, f"The scan: {scan.name}" if scan.name else "The scan")
        low, high = scan_window(scan, mask)
        for column, (plane, _, world) in enumerate(places):
            picture = cut(scan, plane, world, box)
            _cell(film, column, top - _TITLE, cell, tall, picture, box.size(plane), (low, high), EDGES[plane])
        for name, image in channels:
            top -= tall + _TITLE
            values = as_float(image)
            window, words = _window(values.array, inside)
            _title(film, top, f"What the network got{f', channel {name}' if len(channels) > 1 else ''}: {words}")
            sentences.append(f"{f'Channel {name}: {words[0]}' if len(channels) > 1 else words[0].upper()}{words[1:]}.")
            spacing = np.linalg.norm(to_scan[:3, :3], axis=0)
            for column, (plane, index, _) in enumerate(places):
                across, up = _ACROSS_UP[plane]
                picture = np.take(values.array, index, AXIS[plane]).T[::-1, ::-1]
                size = (picture.shape[1] * spacing[across], picture.shape[0] * spacing[up])
                edges = (codes[across][0], codes[across][1])
                _cell(film, column, top - _TITLE, cell, tall, picture, size, window, edges)
        data = as_webp(figure, _DPI)
    shape = " × ".join(map(str, first.shape))
    axes = ", ".join(pair[0] for pair in codes)
    caption = (
        f"Above the scan, below the network's input of {shape} voxels as it lies in the array, its axes drawn as if "
        f"they pointed to R, A and S; they point to {axes}. {' '.join(sentences)} {CONVENTION}"
    )
    return Picture(
        data, "image/webp", "Slices of the scan, and below them the same slices of the network's input.", caption
    )


def _places(inside: NDArray[np.bool_], to_scan: Affine) -> list[tuple[Plane, int, float]]:
    """Planes with the input's slice and its place along the scan's own axis (RAS mm)."""
    extents = []
    for axis in range(3):
        seen = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        extents.append((seen[0], seen[-1]) if seen.size else (0, inside.shape[axis] - 1))
    middle = np.array([(low + high) / 2 for low, high in extents])
    places: list[tuple[Plane, int, float]] = []
    for plane in PLANES:
        axis = AXIS[plane]
        low, high = extents[axis]
        for share in _THROUGH:
            point = middle.copy()
            point[axis] = round(low + share * (high - low))
            world = to_scan[:3, :3] @ point + to_scan[:3, 3]
            places.append((plane, int(point[axis]), float(world[axis])))
    return places


def _around(box: Box, shape: tuple[int, int, int], to_scan: Affine) -> Box:
    """The box around the brain widened to the network's grid, so that both are drawn at one scale."""
    corners = np.array([[(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]]).reshape(-1, 3)
    points = (corners * np.array(shape) - 0.5) @ to_scan[:3, :3].T + to_scan[:3, 3]
    low, high = np.minimum(box.low, points.min(axis=0)), np.maximum(box.high, points.max(axis=0))
    return Box(low, high, box.brain_low, box.brain_high, box.spacing)


def _axis_codes(affine: Affine) -> list[tuple[str, str]]:
    """Where each array axis points, and where from."""
    import nibabel

    opposite = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
    return [(code, opposite[code]) for code in nibabel.aff2axcodes(affine)]


def _window(values: NDArray[Any], inside: NDArray[np.bool_]) -> tuple[tuple[float, float], str]:
    """Black and white, and the values in words."""
    low, high = (float(value) for value in np.percentile(values, [0.5, 99.8]))
    brain = values[inside] if inside.any() else values.ravel()
    words = true_minus(
        f"black is {low:.3g}, white {high:.3g}; in the brain mean {brain.mean():.3g}, SD {brain.std():.3g}, "
        f"{brain.min():.3g} to {brain.max():.3g}"
    )
    return (low, high if high > low else low + 1.0), words


def _proportion(size: tuple[float, float]) -> float:
    return size[1] / size[0]


def _title(film: Axes, top: float, text: str) -> None:
    film.text(_GAP, top - 0.15, text, color="#e9eef5", fontsize=9, va="center", ha="left", parse_math=False)


def _cell(
    film: Axes, column: int, top: float, cell: float, tall: float, picture: NDArray[Any], size: tuple[float, float],
    window: tuple[float, float], edges: tuple[str, str],
) -> None:  # fmt: skip
    """One slice, as large as its cell allows, its proportions kept."""
    from matplotlib.patheffects import withStroke

    scale = min(cell / size[0], tall / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, upper = _GAP + column * (cell + _GAP) + (cell - width) / 2, top - (tall - height) / 2
    film.imshow(
        picture, cmap="gray", vmin=window[0], vmax=window[1], interpolation="nearest", aspect="auto",
        extent=(left, left + width, upper - height, upper),
    )  # fmt: skip
    write: dict[str, Any] = {
        "fontsize": 8, "color": "#f2f5f9", "va": "center", "fontweight": "bold",
        "path_effects": [withStroke(linewidth=2.2, foreground=FILM)],
    }  # fmt: skip
    film.text(left + 0.04, upper - height / 2, edges[0], ha="left", **write)
    film.text(left + width - 0.04, upper - height / 2, edges[1], ha="right", **write)
