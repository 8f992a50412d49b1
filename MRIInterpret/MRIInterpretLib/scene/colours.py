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

TABLE = "MRIInterpret.ColourTable"  # on a colour node: the shipped table that it was made from

# Shipped tables to choose from, with what they are called; all perceptually uniform, none a rainbow.
WITHOUT_SIGN = {
    SEQUENTIAL: "Inferno",
    "MRIInterpretMagma": "Magma",
    "MRIInterpretPlasma": "Plasma",
    "MRIInterpretViridis": "Viridis",
    "MRIInterpretCividis": "Cividis",
}
WITH_SIGN = {
    SIGNED: "Blue and red, dark at zero",
    "MRIInterpretSignedPurpleGreen": "Purple and green, dark at zero",
    "MRIInterpretSignedLight": "Blue and red, light at zero",
}
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
    """The summary's colours cover the brain's top fifth, and the rest is transparent.

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


def add_colour_table(make: NodeMaker, name: str, title: str = "") -> Any:
    """A vtkMRMLColorTableNode with a shipped table.

    Parameters
    ----------
    make
        Where the node is added.
    name
        SIGNED, SEQUENTIAL, CONSENSUS, or another of WITHOUT_SIGN and WITH_SIGN.
    title
        The node's name, if not the table's usual one.
    """
    usual = _TITLES.get(name) or f"Relevance ({(WITHOUT_SIGN | WITH_SIGN)[name]})"
    node = make.add("vtkMRMLColorTableNode", title or usual, "colours")
    node.SetTypeToUser()
    node.SetHideFromEditors(0)
    fill_colour_table(node, name)
    return node


def fill_colour_table(node: Any, name: str) -> None:
    """Give a colour node the colours of a shipped table."""
    rows = read_table(name)
    node.SetNumberOfColors(len(rows))
    for index, (label, colour) in enumerate(rows):
        node.SetColor(index, label, *colour)
    node.GetLookupTable().SetRange(0, len(rows) - 1)
    node.SetAttribute(TABLE, name)
