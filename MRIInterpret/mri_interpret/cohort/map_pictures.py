"""Group maps over the template: one row of slices for each set of subjects, all rows in the same colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..drawing.canvas import FILM, Picture, as_webp, new_figure
from ..drawing.montage import Backdrop, Frame, Outline, describe_point, draw_bar, draw_slice, whole_film
from ..images.volume import Volume, resample
from ..planes.colour_scale import ColourScale, relevance_scale, summary_scale
from ..planes.slices import AXIS, CONVENTION, Plane, as_float, cut, hottest
from ..preprocessing.template import load_template
from .group_difference import GroupDifference

# Usual slice positions (mm): through the hippocampi, which studies of dementia look at first, and through the middle
# of the other lobes. The nearest one is moved to where a map is strongest.
_PLANES: tuple[tuple[Plane, tuple[float, ...]], ...] = (
    ("coronal", (-58.0, -22.0, 8.0)),
    ("axial", (-16.0, 10.0, 36.0)),
    ("sagittal", (-26.0, 26.0)),
)
_DPI = 110
_WIDTH, _LABEL, _BAR, _GAP = 11.0, 0.95, 1.0, 0.03


@lru_cache(maxsize=1)
def _backdrop() -> Backdrop:
    brain, mask = load_template(1)
    return Backdrop.of(brain, mask)


def sets_picture(rows: Sequence[tuple[str, Volume]], brain: Volume, about: Mapping[str, Any], kind: str) -> Picture:
    """Maps of several sets of subjects.

    Parameters
    ----------
    rows
        Label and map, on the model's grid.
    brain
        The template's brain on that grid, uint8.
    about
        The method's title, units, and whether it is signed.
    kind
        "mean" or "median", for the caption.
    """
    scale, units = shared_scale([volume for _, volume in rows], brain, about)
    title = str(about["title"])
    strongest = max((volume for _, volume in rows), key=lambda volume: float(np.abs(volume.array).max()))
    data, point = _rows([(label, volume, scale, ()) for label, volume in rows], strongest, brain, (scale, units))
    where = f" The strongest values are at {describe_point(point)}." if point is not None else ""
    names = ", ".join(label for label, _ in rows)
    caption = f"{kind.capitalize()} over the subjects of each row, on the template. {scale.sentence} {CONVENTION}"
    return Picture(data, "image/webp", f"{title}, {kind} maps of {names}.{where}", caption)


def difference_picture(
    change: Volume, tested: GroupDifference, brain: Volume, about: Mapping[str, Any], first: str, second: str
) -> Picture:
    """The difference of two groups' mean maps, and t, with the voxels that survive correction outlined."""
    # A difference of scores from 0 to 1 is not one from 0 to 1.
    units = "score" if about["title"] == "Summary score" else str(about["units"])
    scale = relevance_scale(change.array, brain.array, True, units)
    t_scale = ColourScale(max(float(np.abs(tested.t.array).max()), 1e-6), 2.0, True, "")
    if t_scale.limit <= 2.0:
        t_scale = ColourScale(t_scale.limit, 0.5 * t_scale.limit, True, "")
    # On the map's own grid, so that the outline lies where the voxels are.
    surviving = resample(tested.logp, change.grid)
    outline = (Outline(surviving, -np.log10(0.05), "white", 0.8),)
    rows = [(f"{first} − {second}", change, scale, outline), ("t", tested.t, t_scale, outline)]
    data, point = _rows(rows, resample(tested.t, change.grid), brain, (scale, units))
    if tested.correction == "max":
        how = f"maximum |t| over the brain in {tested.permutations:,} permutations; |t| ≥ {tested.threshold:.2f}"
    else:
        how = f"threshold-free cluster enhancement, its maximum over the brain in {tested.permutations:,} permutations"
    low = "no voxel" if tested.significant == 0 else f"{tested.significant:,} voxels of {tested.t.grid.spacing[0]:g} mm"
    caption = (
        f"Top: mean map of {first} (n = {tested.n[0]}) minus that of {second} (n = {tested.n[1]}). {scale.sentence} "
        f"Bottom: t of the same difference, maps smoothed to 8 mm; colours to ±{t_scale.limit:.1f}, below "
        f"{t_scale.threshold:.1f} transparent. White outlines: corrected p ≤ 0.05 (family-wise: {how}): {low}. "
        f"{CONVENTION}"
    )
    where = f" Largest at {describe_point(point)}." if point is not None else ""
    return Picture(data, "image/webp", f"{about['title']}: difference {first} minus {second}.{where}", caption)


def shared_scale(volumes: Sequence[Volume], brain: Volume, about: Mapping[str, Any]) -> tuple[ColourScale, str]:
    """Colours that serve all rows: of the row with the largest values."""
    units = str(about["units"])
    if about["title"] == "Summary score":
        return summary_scale(brain.array, *(volume.array for volume in volumes)), units
    scales = [relevance_scale(volume.array, brain.array, bool(about["signed"]), units) for volume in volumes]
    return max(scales, key=lambda scale: scale.limit if scale.sentence[0] == "C" else 0.0), units


def _through(places: Sequence[float], hot: float | None) -> list[float]:
    """The usual slices, the nearest of them moved to the hottest area."""
    if hot is None:
        return list(places)
    nearest = min(places, key=lambda place: abs(place - hot))
    return sorted(hot if place == nearest else place for place in places)


def _rows(
    rows: Sequence[tuple[str, Volume, ColourScale, tuple[Outline, ...]]],
    guide: Volume,
    brain: Volume,
    bar: tuple[ColourScale, str],
) -> tuple[bytes, Any]:
    """The picture, and the place (RAS mm) that the slices were chosen to cross."""
    backdrop = _backdrop()
    point = hottest(as_float(guide), brain, backdrop.box)
    slices = [
        (plane, position, position == hot)
        for plane, places in _PLANES
        for hot in [None if point is None else float(point[AXIS[plane]])]
        for position in _through(places, hot)
    ]
    widths = [wide / tall for wide, tall in (backdrop.box.size(plane) for plane, _, _ in slices)]
    tall = (_WIDTH - _LABEL - _BAR - _GAP * (len(slices) + 1)) / sum(widths)
    height = len(rows) * (tall + _GAP) + _GAP
    with new_figure(_WIDTH, height, FILM) as figure:
        film = whole_film(figure)
        top = height - _GAP
        for label, volume, scale, outlines in rows:
            values = as_float(volume)

            def overlay(plane: Plane, position: float, values: Volume = values, scale: ColourScale = scale) -> Any:
                return scale.rgba(cut(values, plane, position, backdrop.box))

            left = _LABEL
            text = label.replace(", ", ",\n").replace(" (", "\n(")
            figure.text(0.06 / _WIDTH, (top - tall / 2) / height, text, color="#e9eef5", fontsize=8.5, va="center")
            for (plane, position, hot), wide in zip(slices, widths, strict=True):
                frame = Frame(left, top, wide * tall, tall)
                draw_slice(film, frame, backdrop, plane, position, overlay, outlines, hot)
                left += wide * tall + _GAP
            top -= tall + _GAP
        draw_bar(figure, (_WIDTH - _BAR + 0.12) / _WIDTH, _BAR / _WIDTH, *bar)
        return as_webp(figure, _DPI), point
