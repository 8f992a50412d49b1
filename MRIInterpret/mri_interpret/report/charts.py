"""Charts: top regions, agreement between methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..anatomy.top_regions import large_enough
from ..drawing.canvas import ACCENT, INK, WARM, Picture, as_svg, new_figure
from ..drawing.html import fixed
from ..drawing.value_matrix import draw_value_matrix

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MEASURES = (
    ("spearman", "Rank correlation in the brain", -1.0),
    ("dice_top5", "Overlap (Dice) of the top 5 %", 0.0),
    ("region_correlation", "Correlation of region profiles", -1.0),
)


def region_rows(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The rows of the region table that the report shows: the summary's, in native space, if the table has them.

    Returns
    -------
    name, rows
        The method they belong to, and the rows of real regions (label > 0).
    """
    method = "summary" if (table["method"] == "summary").any() else str(table["method"].iloc[0])
    rows = table[(table["method"] == method) & (table["label"] > 0)]
    if (rows["space"] == "native").any():
        rows = rows[rows["space"] == "native"]
    return method, rows


def region_chart(table: pd.DataFrame, top: int = 12) -> Picture | None:
    """Two bar charts: regions by their share of the relevance, and by gain; None for a table without regions.

    Regions that are too small for a statement are left out.
    """
    if table.empty:
        return None
    method, rows = region_rows(table)
    rows = large_enough(rows)
    if rows.empty:
        return None
    by_share = rows.sort_values("share", ascending=False).head(top)
    by_gain = rows.sort_values("gain", ascending=False).head(top)
    with new_figure(10.5, 0.26 * len(by_share) + 1.0) as figure:
        bottom, tall = 0.62 / figure.get_figheight(), 1 - 0.95 / figure.get_figheight()
        _bars(figure.add_axes((0.17, bottom, 0.29, tall)), by_share, "share", ACCENT, "share of all relevance (%)", 100)
        right = figure.add_axes((0.67, bottom, 0.29, tall))
        _bars(right, by_gain, "gain", WARM, "gain: density relative to the brain's mean density", 1)
        right.axvline(1, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        data = as_svg(figure)
    share, gain = by_share.iloc[0], by_gain.iloc[0]
    alt = (
        f"Top regions of the {method}. Largest share: {share['region']} ({share['share']:.1%}). "
        f"Largest gain: {gain['region']} ({gain['gain']:.1f} times the brain's mean density)."
    )
    caption = (
        "Left: the share of all relevance that lies in a region, so large regions lead. Right: its density there, "
        "relative to the brain's mean (dashed line: 1), whatever the region's size."
    )
    return Picture(data, "image/svg+xml", alt, caption)


def _bars(axes: Axes, rows: pd.DataFrame, column: str, colour: str, label: str, factor: float) -> None:
    values = np.nan_to_num(rows[column].to_numpy(dtype=float)) * factor
    places = np.arange(len(rows))[::-1]
    axes.barh(places, values, height=0.66, color=colour)
    axes.set_yticks(places, [_shorten(str(name)) for name in rows["region"]])
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.set_xlabel(label, fontsize=8.5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    if np.abs(values).max(initial=0) > 0:
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:.1f}", (max(value, 0), place), (3, 0), textcoords="offset points", va="center", fontsize=7.5
            )
        axes.margins(x=0.12)


def _shorten(name: str, longest: int = 28) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def agreement_matrix(agreement: pd.DataFrame, measure: str, methods: list[str]) -> NDArray[np.float64]:
    """A symmetric matrix (methods x methods) from the table of pairs: 1 on the diagonal, NaN for missing pairs."""
    matrix = np.full((len(methods), len(methods)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    place = {name: index for index, name in enumerate(methods)}
    for first, second, value in zip(agreement["method_a"], agreement["method_b"], agreement[measure], strict=True):
        if first in place and second in place:
            matrix[place[first], place[second]] = matrix[place[second], place[first]] = float(value)
    return matrix


def agreement_chart(agreement: pd.DataFrame, titles: dict[str, str]) -> Picture | None:
    """Three matrices, one per measure; None if there are fewer than two methods.

    Parameters
    ----------
    agreement
        One row per pair: method_a, method_b, spearman, dice_top5, region_correlation.
    titles
        The methods' titles by name, in the order of rows and columns.
    """
    methods = list(titles)
    if len(methods) < 2 or agreement.empty:
        return None
    side = 2.7
    with new_figure(10.5, side + 1.55) as figure:
        height = figure.get_figheight()
        for column, (measure, label, low) in enumerate(_MEASURES):
            left = (1.75 + column * (side + 0.22)) / 10.5
            axes = figure.add_axes((left, 1.15 / height, side / 10.5, side / height))
            matrix = agreement_matrix(agreement, measure, methods)
            texts = [
                [fixed(value) if row != column and np.isfinite(value) else "" for column, value in enumerate(line)]
                for row, line in enumerate(matrix)
            ]
            size = min(8.5, 58 / len(methods))
            draw_value_matrix(axes, matrix, texts, low=low, aspect="equal", font_size=size)
            axes.set_title(label, fontsize=9.5, fontweight="bold", pad=6)
            ticks = range(len(methods))
            labels = [_shorten(titles[name], 24) for name in methods]
            axes.set_xticks(ticks, labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=7.5)
            axes.set_yticks(ticks, labels if column == 0 else [], fontsize=8)
        data = as_svg(figure)
    pairs = agreement["spearman"].to_numpy(dtype=float)
    alt = f"Agreement of {len(methods)} methods pair by pair. Median rank correlation {np.nanmedian(pairs):.2f}."
    return Picture(data, "image/svg+xml", alt)
