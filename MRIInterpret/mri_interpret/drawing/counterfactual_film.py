"""A scan and its counterfactual: side by side through the place of largest change, and as a short film."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.displacement_field import DisplacementField
from ..images.volume import Volume
from ..planes.colour_scale import relevance_scale
from ..planes.slices import AXIS, CONVENTION, EDGES, Box, Floats, Plane, as_float, as_picture, cut, hottest, slice_grid
from .canvas import FILM, Picture, as_webp, new_figure
from .montage import Backdrop, Frame, Outline, describe_point, draw_bar, draw_slice, whole_film

_PLANES: tuple[Plane, ...] = ("coronal", "axial", "sagittal")
_BEFORE, _AFTER = "#ffd166", "#3ddbd0"
_SIDE_MM = 84.0  # of the square that each picture shows: a hippocampus is 40 mm long
_PIXELS = 3.4  # of the film, per mm
_SHARES = (0.0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1.0, 5 / 6, 2 / 3, 0.5, 1 / 3, 1 / 6)  # there and back
_SHORT_MS, _LONG_MS = 90, 900  # of a frame in between, and at either end


def place_of_largest_change(change: Volume, backdrop: Backdrop) -> Floats:
    """RAS mm; the middle of the brain for a map without change."""
    place = hottest(as_float(change), backdrop.mask, backdrop.box)
    return (backdrop.box.low + backdrop.box.high) / 2 if place is None else place


def ends_picture(
    backdrop: Backdrop,
    counterfactual: Volume,
    displacement: DisplacementField,
    change: Volume,
    units: str,
    structures: Volume,
) -> Picture:
    """The scan, its counterfactual, and the change of volume in colours, each in three planes.

    Parameters
    ----------
    backdrop
        The scan.
    counterfactual
        The deformed scan, on the scan's grid.
    displacement
        What deforms it.
    change
        In per cent, on the scan's grid.
    units
        Of the change.
    structures
        1 in the structures whose outlines are drawn, else 0, on the scan's grid.
    """
    place = place_of_largest_change(change, backdrop)
    near = replace(backdrop, box=_around(place, backdrop.box))
    after = replace(near, scan=as_float(counterfactual))
    inside = near.in_brain(as_float(change))
    scale = relevance_scale(change.array, backdrop.mask.array, True, units)
    edges = as_float(structures)
    before = Outline(edges, 0.5, _BEFORE, 0.9)
    moved = (Outline(edges, 0.5, _BEFORE, 0.7, "--"), Outline(displacement.warp(edges), 0.5, _AFTER, 0.9))

    def overlay(plane: Plane, position: float) -> Floats:
        return scale.rgba(cut(inside, plane, position, near.box))

    cell, gap, head, bar = 2.5, 0.05, 1.25, 1.0
    width, height = head + 3 * (cell + gap) + bar, 3 * (cell + gap) + gap
    with new_figure(width, height, FILM) as figure:
        film = whole_film(figure)
        rows = (
            ("Scan", near, None, (before,)),
            ("Counterfactual", after, None, moved),
            ("Change of\nvolume", near, overlay, (before,)),
        )
        for row, (title, shown, colours, outlines) in enumerate(rows):
            top = height - gap - row * (cell + gap)
            film.text(0.1, top - cell / 2, title, color="#f2f5f9", fontsize=9.5, ha="left", va="center")
            for column, plane in enumerate(_PLANES):
                frame = Frame(head + column * (cell + gap), top, cell, cell)
                position = float(place[AXIS[plane]])
                draw_slice(film, frame, shown, plane, position, colours, outlines, False)
        draw_bar(figure, (width - bar + 0.12) / width, bar / width, scale, units)
        data = as_webp(figure, 120)
    where = describe_point(place)
    alt = f"The scan, its counterfactual, and the change of volume in three planes through {where}."
    caption = (
        f"{_SIDE_MM:.0f} mm around the place of largest change, {where}. Yellow: the structures that change most as "
        f"they are; turquoise: as they would be. Green grows, purple shrinks. {scale.sentence} {CONVENTION}"
    )
    return Picture(data, "image/webp", alt, caption)


def film_picture(backdrop: Backdrop, displacement: DisplacementField, change: Volume) -> Picture:
    """A film of a dozen frames from the scan to its counterfactual and back, animated WebP.

    Parameters
    ----------
    backdrop
        The scan.
    displacement
        The whole way; on the way each displacement goes a share of it.
    change
        In per cent, on the scan's grid: the slices pass through the largest.
    """
    place = place_of_largest_change(change, backdrop)
    box = _around(place, backdrop.box)
    drawn = {share: _frame(backdrop, displacement, share, place, box) for share in sorted(set(_SHARES))}
    frames = [drawn[share] for share in _SHARES]
    data = _animated(frames, [_LONG_MS if share in (0.0, 1.0) else _SHORT_MS for share in _SHARES])
    where = describe_point(place)
    alt = f"Film from the scan to its counterfactual and back, in three planes through {where}."
    caption = (
        f"From the scan to its counterfactual and back, {_SIDE_MM:.0f} mm around {where}; the bar below the pictures "
        "tells how much of the way was gone. Between the ends, every displacement goes the same share of its way."
    )
    return Picture(data, "image/webp", alt, caption)


def _around(place: Floats, box: Box) -> Box:
    half = _SIDE_MM / 2 * min(1.0, box.spacing)  # smaller heads, smaller pictures
    return Box(place - half, place + half, place - half, place + half, box.spacing / 2)


def _frame(backdrop: Backdrop, displacement: DisplacementField, share: float, place: Floats, box: Box) -> Any:
    """One frame as a Pillow image: the planes side by side, letters at their edges, a bar below."""
    from PIL import Image, ImageDraw, ImageFont

    low, high = backdrop.window
    side, gap, foot = round(_SIDE_MM * _PIXELS), 6, 14
    picture = Image.new("L", (3 * side + 2 * gap, side + foot), 11)
    draw = ImageDraw.Draw(picture)
    letters = ImageFont.load_default(13)
    for column, plane in enumerate(_PLANES):
        position = float(place[AXIS[plane]])
        grid = slice_grid(plane, position, box)
        grey = as_picture(displacement.warp(backdrop.scan, grid, share).array, plane)
        levels: NDArray[np.uint8] = np.clip(255 * (grey - low) / (high - low), 0, 255).astype(np.uint8)
        left = column * (side + gap)
        picture.paste(Image.fromarray(levels).resize((side, side), Image.Resampling.BICUBIC), (left, 0))
        first, last = EDGES[plane]
        edge: dict[str, Any] = {"fill": 242, "font": letters, "stroke_width": 2, "stroke_fill": 11}
        draw.text((left + 6, side / 2), first, anchor="lm", **edge)
        draw.text((left + side - 6, side / 2), last, anchor="rm", **edge)
    draw.rectangle((0, side + 6, picture.width - 1, side + 10), fill=60)
    if share > 0:
        draw.rectangle((0, side + 6, round(share * (picture.width - 1)), side + 10), fill=220)
    return picture


def _animated(frames: Sequence[Any], durations: Sequence[int]) -> bytes:
    buffer = io.BytesIO()
    first, *others = (frame.convert("RGB") for frame in frames)
    # Each frame by itself (kmax): between frames, the encoder takes small differences, which are the point, for none.
    first.save(
        buffer, format="WEBP", save_all=True, append_images=others, duration=list(durations), loop=0, quality=75,
        method=4, kmax=1,
    )  # fmt: skip
    return buffer.getvalue()
