"""Changes of volume in one sentence: the structures that change most, and how little the others do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..minus_sign import true_minus
from .structure_changes import StructureChange

WORTH_NAMING = 0.03  # a change of volume below 3 % is named only if nothing is above
_MOST = 3  # structures (of both sides together) that a sentence names


def named_changes(changes: Sequence[StructureChange]) -> tuple[list[list[StructureChange]], float]:
    """The structures that a sentence names, each with its other side if that changes as notably, and the rest's bound.

    Returns
    -------
    named, rest
        Left before right; and the largest change among all others that are large enough for a statement, NaN without
        any.
    """
    known = [one for one in changes if not one.too_small and not math.isnan(one.change)]
    notable = [one for one in known if abs(one.change) >= WORTH_NAMING] or known
    named = _by_structure(notable, lambda one: abs(one.change))
    chosen = {one.name for row in named for one in row}
    rest = max((abs(one.change) for one in known if one.name not in chosen), default=math.nan)
    return named, rest


def changes_words(changes: Sequence[StructureChange]) -> str:
    """ "left hippocampus +18 % (16 to 21 %; +0.55 ml), right +21 % (...), ..., every other structure below 3 %".

    In brackets, the range over the starts, and the volume. Empty without a structure that is large enough.
    """
    named, rest = named_changes(changes)
    parts = [_row(row, _amount) for row in named]
    if not parts:
        return ""
    others = "" if math.isnan(rest) else f"every other structure below {max(1, math.ceil(100 * rest)):d} %"
    return ", ".join(filter(None, [*parts, others]))


def effects_words(changes: Sequence[StructureChange]) -> str:
    """ "left hippocampus −0.031, right −0.029, left amygdala −0.012": the strongest effects of 1 % more volume."""
    known = [one for one in changes if not one.too_small and not math.isnan(one.effect) and one.effect != 0]
    rows = _by_structure(known, lambda one: abs(one.effect))
    return ", ".join(_row(row, lambda one: _signed(one.effect, ".2g")) for row in rows)


def percent_change(value: float, decimals: int = 0) -> str:
    """A change in per cent with its sign and a true minus: "+18 %"."""
    return "–" if math.isnan(value) else f"{_signed(100 * value, f'.{decimals}f')} %"


def range_words(one: StructureChange) -> str:
    """The range over the starts: "16 to 21 %"; "" if there is none."""
    if math.isnan(one.low) or math.isnan(one.high):
        return ""
    low, high = (_plain(100 * value) for value in (one.low, one.high))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _by_structure(
    ranked: Sequence[StructureChange], size: Callable[[StructureChange], float]
) -> list[list[StructureChange]]:
    """The rows of the largest size, left beside right, the largest structure first."""
    rows: dict[str, list[StructureChange]] = {}
    for one in sorted(ranked, key=size, reverse=True):
        if one.words in rows or len(rows) < _MOST:
            rows.setdefault(one.words, []).append(one)
    return [sorted(row, key=lambda one: one.side) for row in rows.values()]


def _row(row: list[StructureChange], amount: Callable[[StructureChange], str]) -> str:
    first, *others = row
    start = f"{first.side} {first.words}" if first.side else first.words
    return ", ".join([f"{start} {amount(first)}", *(f"{one.side} {amount(one)}".strip() for one in others)])


def _amount(one: StructureChange) -> str:
    about = "; ".join(filter(None, [range_words(one), f"{_signed(one.change_ml, '.2f')} ml"]))
    return f"{percent_change(one.change)} ({about})"


def _signed(value: float, form: str) -> str:
    text = format(value, "+" + form)
    # What rounds to zero has no direction.
    return text.lstrip("+-") if float(text) == 0 else true_minus(text)


def _plain(value: float) -> str:
    text = true_minus(f"{value:.0f}")
    return "0" if text == "−0" else text
