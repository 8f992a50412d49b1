"""Colour tables of Resources/ColorTables as nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from ..planes.colour_scale import SEQUENTIAL_TABLE as SEQUENTIAL
from ..planes.colour_scale import SIGNED_TABLE as SIGNED
from ..planes.colour_scale import read_colour_table
from .nodes import NodeMaker

CONSENSUS = "MRIInterpretConsensus"

LEVELS = 256  # Slicer shows a window in
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


def add_colour_table(make: NodeMaker, name: str, title: str = "", method: str = "") -> Any:
    """A vtkMRMLColorTableNode with a shipped table; it is not listed among the data, for it is how data are shown.

    Parameters
    ----------
    make
        Where the node is added.
    name
        SIGNED, SEQUENTIAL, CONSENSUS, or another of WITHOUT_SIGN and WITH_SIGN.
    title
        The node's name, if not the table's usual one.
    method
        The map that it is for.
    """
    usual = _TITLES.get(name) or f"Relevance ({(WITHOUT_SIGN | WITH_SIGN)[name]})"
    node = make.create("vtkMRMLColorTableNode", title or usual, "colours", method)
    node.SetTypeToUser()
    node.SetHideFromEditors(1)
    fill_colour_table(node, name)
    return make.adopt(make.scene.AddNode(node), "colours", method)


def fill_colour_table(node: Any, name: str) -> None:
    """Give a colour node the colours of a shipped table."""
    _fill(node, name, read_colour_table(name))


def fill_signed_table(node: Any, name: str, stretch: float, hidden: float) -> None:
    """Give a colour node the colours of a diverging table for a window that is wider than the colours, and a gap.

    Slicer maps the window to 256 levels first, so there is a colour for each level, and a voxel is shown or not: the
    image's transparency has no steps between.

    Parameters
    ----------
    node
        vtkMRMLColorTableNode.
    name
        One of WITH_SIGN.
    stretch
        The window's end in parts of the value where the colours end, at least about 1.
    hidden
        Magnitudes below this share of the window's end are transparent; the least magnitude of a level counts.
    """
    rows = read_colour_table(name)
    table = np.array([colour[:3] for _, colour in rows])
    low, high = level_edges()
    middle = np.clip((low + high) / 2 * stretch, -1, 1)
    places = (middle + 1) / 2 * (len(rows) - 1)
    shown = np.minimum(np.abs(low), np.abs(high)) >= hidden - 1e-9
    shown[(low < 0) & (high > 0)] = False  # zero is never relevance
    colours = np.stack([np.interp(places, np.arange(len(rows)), channel) for channel in table.T], axis=1)
    _fill(
        node,
        name,
        [("", (float(r), float(g), float(b), float(a))) for (r, g, b), a in zip(colours, shown, strict=True)],
    )


def level_edges() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the greatest value of each of Slicer's 256 levels, where the window goes from -1 to 1.

    vtkImageMapToWindowLevelAddon cuts off the decimals of 255 times the place in the window; so the last level is the
    window's end, and what lies beyond.
    """
    edges = 2 * np.arange(LEVELS + 1) / (LEVELS - 1) - 1
    return edges[:-1], edges[1:]


def _fill(node: Any, name: str, rows: list[tuple[str, tuple[float, float, float, float]]]) -> None:
    with slicer.util.NodeModify(node):
        node.SetNumberOfColors(len(rows))
        for index, (label, colour) in enumerate(rows):
            node.SetColor(index, label, *colour)
        node.GetLookupTable().SetRange(0, len(rows) - 1)
        node.SetAttribute(TABLE, name)
