"""Colour tables of Resources/ColorTables as nodes, and which values they are stretched over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..resources import resource
from ..volume import Array
from .nodes import NodeMaker

SIGNED, SEQUENTIAL, CONSENSUS = "MRIInterpretSigned", "MRIInterpretSequential", "MRIInterpretConsensus"
HIDDEN = 0.15  # magnitudes within this share of the range around zero are transparent

_TITLES = {
    SIGNED: "Relevance (signed)",
    SEQUENTIAL: "Relevance (sequential)",
    CONSENSUS: "Consensus of the methods",
}


@dataclass(frozen=True)
class DisplayRange:
    """What a map's colours are stretched over, in the map's units."""

    lower: float
    upper: float
    hidden_below: float  # magnitudes below this are transparent


def display_range(values: Array, signed: bool, quantile: float = 0.999) -> DisplayRange:
    """Colour limits that a few extreme voxels cannot spoil: centred at zero if signed, else from zero.

    Parameters
    ----------
    values
        A map, any shape; zeros (the background) do not count.
    signed
        Whether both signs carry meaning.
    quantile
        Share of the non-zero magnitudes that the colours cover.
    """
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0)]).astype(float)
    upper = float(np.quantile(magnitudes, quantile)) if magnitudes.size else 1.0
    return DisplayRange(-upper if signed else 0.0, upper, HIDDEN * upper)


def summary_range(values: Array) -> DisplayRange:
    """The summary is a rank in the brain, so its colours cover the brain's top fifth, and the rest is transparent.

    Parameters
    ----------
    values
        The summary, any shape; zeros (outside the brain) do not count.
    """
    inside = values[values > 0]
    upper = float(inside.max()) if inside.size else 1.0
    lower = min(float(np.quantile(inside, 0.8)) if inside.size else 0.5, 0.95 * upper)
    return DisplayRange(lower, upper, lower)


def read_table(name: str) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Names and RGBA colours (0..1) of a shipped colour table, in the order of its indices."""
    rows = []
    for line in resource("ColorTables", f"{name}.ctbl").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            _, label, *values = line.split()
            red, green, blue, alpha = (int(v) / 255 for v in values)
            rows.append((label.replace("_", " "), (red, green, blue, alpha)))
    return rows


def add_colour_table(make: NodeMaker, name: str, hidden: float | None = None, title: str = "") -> Any:
    """A vtkMRMLColorTableNode with a shipped table.

    Parameters
    ----------
    make
        Where the node is added.
    name
        One of SIGNED, SEQUENTIAL, CONSENSUS.
    hidden
        For SIGNED: share of the range around zero that is transparent, if not the table's own.
    title
        The node's name, if not the table's usual one.
    """
    node = make.add("vtkMRMLColorTableNode", title or _TITLES[name], "colours")
    node.SetTypeToUser()
    node.SetHideFromEditors(0)
    rows = read_table(name)
    node.SetNumberOfColors(len(rows))
    for index, (label, (red, green, blue, alpha)) in enumerate(rows):
        if hidden is not None:
            alpha = float(abs(2 * index / (len(rows) - 1) - 1) >= hidden)
        node.SetColor(index, label, red, green, blue, alpha)
    node.GetLookupTable().SetRange(0, len(rows) - 1)
    return node
