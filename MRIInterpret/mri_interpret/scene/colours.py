"""Colour tables of Resources/ColorTables as nodes."""

from __future__ import annotations

from typing import Any

from ..drawing.colour_scale import SEQUENTIAL_TABLE as SEQUENTIAL
from ..drawing.colour_scale import SIGNED_TABLE as SIGNED
from ..drawing.colour_scale import read_colour_table
from .nodes import NodeMaker

CONSENSUS = "MRIInterpretConsensus"

TABLE = "MRIInterpret.ColourTable"  # on a colour node: the shipped table that it holds

# Shipped tables to choose from, with their titles; all are perceptually uniform.
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
    rows = read_colour_table(name)
    node.SetNumberOfColors(len(rows))
    for index, (label, colour) in enumerate(rows):
        node.SetColor(index, label, *colour)
    node.GetLookupTable().SetRange(0, len(rows) - 1)
    node.SetAttribute(TABLE, name)
