"""Charts of volume methods: bars by structure, left beside right, and the explained value on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.change_words import percent_change
from ..anatomy.structure_changes import StructureChange
from ..drawing.canvas import ACCENT, INK, MUTED, WARM, Picture, as_svg, new_figure
from ..drawing.html import number
from ..explanation.counterfactual import Counterfactual

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 10
_SIDES = {"left": (ACCENT, 0.2, "left"), "right": (WARM, -0.2, "right"), "": (MUTED, 0.0, "midline")}


def top_changes(changes: Sequence[StructureChange], rows: int = _ROWS) -> list[list[StructureChange]]:
    """The structures that change most or count most, largest first; each with whatever sides it has, left first."""
    sized: dict[str, list[StructureChange]] = {}
    for one in changes:
        if not one.too_small and not math.isnan(_value(one)):
            sized.setdefault(one.words, []).append(one)
    ranked = sorted(sized.values(), key=lambda row: max(abs(_value(one)) for one in row), reverse=True)
    return [sorted(row, key=lambda one: one.side) for row in ranked[:rows]]


def change_chart(changes: Sequence[StructureChange], target: str) -> Picture | None:
    """Bars of the changes of volume with their ranges over the starts, or of the effects of 1 % more volume.

    Parameters
    ----------
    changes
        Of one method.
    target
        The explained value's name, for the effects' axis.
    """
    rows = top_changes(changes)
    if not rows:
        return None
    asked = not math.isnan(rows[0][0].change)
    factor = 100 if asked else 1
    with new_figure(8.2, 0.36 * len(rows) + 1.1) as figure:
        tall = figure.get_figheight()
        axes = figure.add_axes((0.3, 0.55 / tall, 0.66, 1 - 0.87 / tall))
        named: set[str] = set()
        for place, row in zip(range(len(rows))[::-1], rows, strict=True):
            for one in row:
                named.add(one.side)
                _bar(axes, place, one, factor)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(rows))[::-1], [row[0].words for row in rows])
        axes.tick_params(axis="y", length=0, labelsize=8.5)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.margins(x=0.14)
        label = "change of volume (%)" if asked else f"change of {_with_minus(target)} for 1 % more volume"
        axes.set_xlabel(label, fontsize=8.5)
        for side in ("left", "right", ""):
            if side in named:
                colour, _, word = _SIDES[side]
                axes.barh(0, 0, color=colour, label=word)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8)  # above the bars
        data = as_svg(figure)
    told = "; ".join(f"{one.side} {one.words} {_text(one)}".strip() for row in rows[:4] for one in row)
    caption = "Structures that are large enough for a statement, largest first."
    if asked and any(one.starts for row in rows for one in row):
        caption += " Whiskers: the range over the starts."
    return Picture(data, "image/svg+xml", f"Bars by structure: {told}.", caption)


def path_chart(found: Counterfactual, target: str) -> Picture | None:
    """The explained value along the deformation; None for a path of a single point."""
    if len(found.path) < 2:
        return None
    sizes, values = [p.size for p in found.path], [p.value for p in found.path]
    with new_figure(5.4, 2.5) as figure:
        axes = figure.add_axes((0.14, 0.27, 0.82, 0.68))
        axes.plot(sizes, values, color=ACCENT, marker="o", markersize=3.2, linewidth=1.6)
        before, after = found.criterion
        # Where the goal is one of the explained value itself, it is a line.
        if np.isclose(before, values[0], atol=1e-3) and np.isclose(after, values[-1], atol=1e-3):
            axes.axhline(found.goal_value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.annotate(
                _with_minus(found.goal), (0, found.goal_value), (3, 3), textcoords="offset points", fontsize=7.5,
                xycoords=("axes fraction", "data"), color=INK,
            )  # fmt: skip
        axes.set_xlabel(f"size of the deformation\n({found.size_unit})", fontsize=8.5)
        axes.set_ylabel(_with_minus(target), fontsize=8.5)
        axes.margins(y=0.12)
        data = as_svg(figure)
    alt = f"{target} goes from {number(values[0])} to {number(values[-1])} in {len(values) - 1} steps."
    caption = "The explained value along the deformation: each point is one step."
    return Picture(data, "image/svg+xml", alt, caption)


def _with_minus(name: str) -> str:
    """ "AD - CN" as sentences have it: with a true minus."""
    return name.replace(" - ", " − ")


def _value(one: StructureChange) -> float:
    return one.effect if math.isnan(one.change) else one.change


def _text(one: StructureChange) -> str:
    return number(one.effect, 2) if math.isnan(one.change) else percent_change(one.change)


def _bar(axes: Axes, place: int, one: StructureChange, factor: float) -> None:
    colour, offset, _ = _SIDES[one.side]
    at, value = place + offset, factor * _value(one)
    axes.barh(at, value, height=0.36, color=colour)
    ends = [value]
    if not math.isnan(one.low):
        low, high = factor * one.low, factor * one.high
        axes.plot([low, high], [at, at], color=INK, linewidth=1)
        ends += [low, high]
    tip = max(ends) if value >= 0 else min(ends)
    axes.annotate(
        _text(one), (tip, at), (4 if value >= 0 else -4, 0), textcoords="offset points", va="center",
        ha="left" if value >= 0 else "right", fontsize=7.5,
    )  # fmt: skip
