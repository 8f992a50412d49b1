"""Montages: strips of axial, coronal and sagittal slices of a map over the scan, some through its strongest areas."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images.volume import Volume
from ..minus_sign import true_minus
from ..planes.colour_scale import ColourScale
from ..planes.slices import (
    CONVENTION,
    EDGES,
    PLANES,
    Box,
    Floats,
    Plane,
    as_float,
    brain_box,
    choose_slices,
    cut,
    hottest,
    scan_window,
)
from .canvas import FILM, Picture, as_webp, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DIRECTIONS: dict[Plane, tuple[str, str]] = {"axial": ("S", "I"), "coronal": ("A", "P"), "sagittal": ("R", "L")}
_DPI = 130
_COLUMNS = 7
_BAR_POINTS = 7.5  # of the colour bar's units


@dataclass(frozen=True)
class Backdrop:
    """The scan as background, prepared once for all montages of a report."""

    scan: Volume
    mask: Volume
    box: Box
    window: tuple[float, float]
    # Most slices of one map's montage are those of the others' too.
    _slices: dict[tuple[Plane, float], Floats] = field(init=False, repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(cls, scan: Volume, mask: Volume) -> Backdrop:
        scan = as_float(scan)
        return cls(scan, mask, brain_box(mask), scan_window(scan, mask))

    def scan_slice(self, plane: Plane, position: float) -> Floats:
        """One slice of the scan, as :func:`..planes.slices.cut` says; do not write into it."""
        if (plane, position) not in self._slices:
            self._slices[plane, position] = cut(self.scan, plane, position, self.box)
        return self._slices[plane, position]

    def in_brain(self, volume: Volume) -> Volume:
        """A map without what lies outside the brain (CAM reaches into the air, gradients speckle the skull); whole
        where the mask is empty."""
        inside = self.mask.array > 0
        return volume.with_array(np.where(inside, volume.array, 0)) if inside.any() else volume


@dataclass(frozen=True)
class Outline:
    """A contour line: the volume, its level, and how it looks."""

    volume: Volume
    level: float
    colour: str
    width: float = 0.8
    style: str = "-"


def map_montage(
    backdrop: Backdrop,
    volume: Volume,
    scale: ColourScale,
    title: str,
    units: str,
    also_through: Floats | None = None,
    outlines: tuple[Outline, ...] = (),
) -> Picture:
    """One map over the scan in three planes.

    Parameters
    ----------
    backdrop
        The scan.
    volume
        The map, on the scan's grid.
    scale
        Its colours.
    title, units
        For the colour bar and the alternative text.
    also_through
        A point (RAS mm) that slices also pass through, to compare methods there: the summary score's strongest area.
    outlines
        Contours drawn over it.

    Returns
    -------
    Picture
        WebP; caption with limits and convention.
    """
    values = backdrop.in_brain(as_float(volume))
    peak = hottest(values, backdrop.mask, backdrop.box)

    def overlay(plane: Plane, position: float) -> Floats:
        return scale.rgba(cut(values, plane, position, backdrop.box))

    data = strips(backdrop, [also_through, peak], overlay, outlines, bar=(scale, units))
    where = "" if peak is None else f" Its strongest area is at {describe_point(peak)}."
    alt = f"{title} over the scan: {_COLUMNS} axial, {_COLUMNS} coronal and {_COLUMNS} sagittal slices.{where}"
    caption = f"{scale.sentence} Only the brain is coloured. {CONVENTION}"
    if peak is not None:
        caption += " Slices marked ▲ pass through the strongest area of this map or of the summary score."
    return Picture(data, "image/webp", alt, caption)


def outline_montage(
    backdrop: Backdrop, outlines: tuple[Outline, ...], alt: str, caption: str, columns: int = 5
) -> Picture:
    """The scan with contours only, for instance the template's, to check the registration by eye."""
    data = strips(backdrop, [], None, outlines, bar=None, columns=columns)
    return Picture(data, "image/webp", alt, f"{caption} {CONVENTION}")


def describe_point(point: Floats) -> str:
    """A world coordinate in words: "R 24, P 12, I 18 mm"."""
    letters = (("R", "L"), ("A", "P"), ("S", "I"))
    parts = [
        f"{pair[0] if value >= 0 else pair[1]} {abs(value):.0f}" for pair, value in zip(letters, point, strict=True)
    ]
    return ", ".join(parts) + " mm"


def strips(
    backdrop: Backdrop,
    hot: list[Floats | None],
    overlay: Any,
    outlines: tuple[Outline, ...],
    bar: tuple[ColourScale, str] | None,
    columns: int = _COLUMNS,
) -> bytes:
    """The picture itself: a strip of slices for each plane, encoded as WebP.

    Parameters
    ----------
    backdrop
        The scan.
    hot
        Points (RAS mm) that slices pass through; None is skipped.
    overlay
        Makes the RGBA picture of a plane at a position, or None.
    outlines
        Contours drawn over it.
    bar
        The colour bar's scale and units, or None.
    columns
        Slices in a strip.
    """
    # Every strip fills the width; heights follow from each plane's proportions, so that 1 mm is 1 mm within a strip.
    width, gap, bar_width = 11.0, 0.03, 1.0 if bar else 0.0
    cell = (width - bar_width - gap * (columns + 1)) / columns
    sizes = [backdrop.box.size(plane) for plane in PLANES]
    heights = [cell * tall / wide for wide, tall in sizes]
    height = sum(heights) + gap * (len(PLANES) + 1)
    with new_figure(width, height, FILM) as figure:
        film = whole_film(figure)
        top = height - gap
        for plane, tall in zip(PLANES, heights, strict=True):
            slices = choose_slices(plane, backdrop.box, hot, columns)
            for column, position in enumerate(slices.positions):
                frame = Frame(gap + column * (cell + gap), top, cell, tall)
                draw_slice(film, frame, backdrop, plane, position, overlay, outlines, position in slices.hot)
            top -= tall + gap
        if bar:
            draw_bar(figure, (width - bar_width + 0.12) / width, bar_width / width, *bar)
        return as_webp(figure, _DPI)


def whole_film(figure: Figure) -> Axes:
    """Axes over the whole figure, in inches from its lower left: one for all slices, since axes are slow to make."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(0, figure.get_figheight()))
    axes.autoscale(False)
    return axes


@dataclass(frozen=True)
class Frame:
    """Position of a slice on the film, in inches."""

    left: float
    top: float
    width: float
    height: float

    def at(self, across: float, up: float) -> tuple[float, float]:
        """The place at these shares of width and height."""
        return self.left + across * self.width, self.top - (1 - up) * self.height

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        return self.left, self.left + self.width, self.top - self.height, self.top

    def pixel_centres(self, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Positions of the columns and rows of a picture that fills the frame."""
        rows, columns = shape
        across = (np.arange(columns) + 0.5) / columns
        down = (np.arange(rows) + 0.5) / rows
        return self.left + across * self.width, self.top - down * self.height


def draw_slice(
    film: Axes,
    frame: Frame,
    backdrop: Backdrop,
    plane: Plane,
    position: float,
    overlay: Any,
    outlines: tuple[Outline, ...],
    is_hot: bool,
) -> None:
    """One slice of the scan with its overlay, outlines, and letters for side and position, into a frame of the film."""
    from matplotlib.patheffects import withStroke

    low, high = backdrop.window
    place: dict[str, Any] = {"extent": frame.extent, "interpolation": "bilinear", "aspect": "auto"}
    film.imshow(backdrop.scan_slice(plane, position), cmap="gray", vmin=low, vmax=high, **place)
    if overlay is not None:
        film.imshow(overlay(plane, position), **place)
    for outline in outlines:
        shape = cut(outline.volume, plane, position, backdrop.box)
        if shape.min() < outline.level < shape.max():
            look: dict[str, Any] = {"linewidths": outline.width, "linestyles": outline.style}
            film.contour(*frame.pixel_centres(shape.shape), shape, [outline.level], colors=[outline.colour], **look)
    # A dark rim keeps letters readable where they lie on the skull.
    rim = [withStroke(linewidth=2.2, foreground=FILM)]
    write: dict[str, Any] = {"fontsize": 8, "color": "#f2f5f9", "path_effects": rim}
    first, last = EDGES[plane]
    film.text(*frame.at(0.03, 0.5), first, ha="left", va="center", fontweight="bold", **write)
    film.text(*frame.at(0.97, 0.5), last, ha="right", va="center", fontweight="bold", **write)
    positive, negative = _DIRECTIONS[plane]
    letter = positive if position >= 0 else negative
    text = f"{letter} {abs(position):.0f}"
    if is_hot:
        write = {**write, "color": "#ffd166"}
        text = "▲ " + text
    film.text(*frame.at(0.03, 0.97), text, ha="left", va="top", **write)


def draw_bar(figure: Figure, left: float, width: float, scale: ColourScale, units: str) -> None:
    """The colour bar: the map's colours as they look over mid-grey tissue, so transparency shows too."""
    lines = wrap(units, 14)
    written = (len(lines) * 1.2 * _BAR_POINTS / 72 + 0.08) / figure.get_figheight()
    bottom = max(0.2, written + 0.03)
    axes = figure.add_axes((left, bottom, 0.22 * width, min(0.6, 0.96 - bottom)))
    values = np.linspace(scale.low, scale.limit, 256)
    rgba = scale.rgba(values)
    alpha = rgba[:, 3:]
    over_grey = rgba[:, :3] * alpha + 0.25 * (1 - alpha)
    axes.imshow(over_grey[:, None, :], origin="lower", aspect="auto", extent=(0, 1, scale.low, scale.limit))
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks = [scale.low, (scale.low + scale.limit) / 2, scale.limit]
    axes.set_yticks(ticks, [_number(tick) for tick in ticks])
    axes.tick_params(colors="#e9eef5", labelsize=8, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(left, bottom - 0.03, "\n".join(lines), color="#e9eef5", fontsize=_BAR_POINTS, va="top", ha="left")


def _number(value: float) -> str:
    """Two significant digits, without an exponent where that is as short."""
    if value == 0:
        return "0"
    text = f"{value:.0f}" if 10 <= abs(value) < 1e5 else f"{value:.2g}"
    return true_minus(text)
