"""What a click on a result does, and what is said beside its map: threshold, regions, what lies under the mouse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..minus_sign import true_minus
from .result_tables import reader_name

if TYPE_CHECKING:
    from ..scene.magnitudes import Magnitudes
    from ..scene.result_nodes import ResultNodes

LEAST_TOP, MOST_TOP = 0.1, 100.0  # per cent of the brain's voxels between which a share can be chosen


def magnitudes_of(nodes: ResultNodes, key: str) -> Magnitudes | None:
    """The magnitudes of a map; None for labels, which have no threshold."""
    from ..scene import map_display

    return map_display.Magnitudes(map_display.node_of(nodes, key)) if map_display.has_threshold(nodes, key) else None


def threshold_of(magnitudes: Magnitudes | None, typed: float, top_percent: float) -> float | None:
    """The threshold that was chosen, in the map's units; None for labels.

    Parameters
    ----------
    magnitudes
        Of the map.
    typed
        As a value; 0 if it was chosen as a share.
    top_percent
        As a share of the brain's voxels.
    """
    if magnitudes is None:
        return None
    return float(typed or magnitudes.value_of_top(top_percent))


def read_threshold(text: str) -> float | None:
    """A typed threshold, a magnitude with a point or a comma; None if it is no number."""
    try:
        value = abs(float(text.replace(",", ".")))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def share_of(magnitudes: Magnitudes, value: float) -> float:
    """The share, in per cent, that a typed threshold stands for, within what can be chosen."""
    return min(max(magnitudes.top_of_value(value), LEAST_TOP), MOST_TOP)


def threshold_text(nodes: ResultNodes, key: str) -> str:
    """The threshold that is in force, which is what the display nodes say; empty for labels."""
    from ..scene import map_display

    return f"{map_display.shown_from(nodes, key):.4g}" if map_display.has_threshold(nodes, key) else ""


def go_to_region(scene: Any, nodes: ResultNodes, row: Sequence[float]) -> None:
    """Outline a region, and move the slices to the map's peak in it. ``row``: as :func:`region_table` keys its rows."""
    from ..scene import map_display
    from ..scene.atlas import highlight

    label, r, a, s = row
    highlight(nodes.atlas, int(label))
    map_display.jump_to_local(scene, nodes, (r, a, s))


def go_to_structure(scene: Any, nodes: ResultNodes, label: int) -> None:
    """Outline a structure, and move the slices to its centre."""
    from ..scene import views
    from ..scene.atlas import centre, highlight

    highlight(nodes.atlas, label)
    place = centre(nodes.atlas, label)
    if place is not None:
        views.jump_to(scene, place)


def cursor_text(
    nodes: ResultNodes,
    key: str,
    magnitudes: Magnitudes | None,
    point: Sequence[float],
    translate: Callable[[str], str] = str,
) -> str:
    """What lies at a place: the maps' values, the region, how much of the brain has as much; empty outside the maps.

    Parameters
    ----------
    nodes, key, magnitudes
        The result, the map that is shown, and its magnitudes.
    point
        RAS mm, in the world.
    translate
        To the user's language.
    """
    from ..scene.cursor import read_at

    reading = read_at(nodes, point)
    if reading is None:
        return ""
    values = [(nodes.volumes[name].GetName(), value) for name, value in reading.values.items() if value]
    parts = [", ".join(f"{name} {true_minus(f'{value:+.3g}')}" for name, value in values)]
    if reading.region:
        parts.append(reader_name(reading.region, reading.label))
    if magnitudes is not None and reading.values.get(key):
        share = magnitudes.top_of_value(abs(reading.values[key]))
        parts.append(translate("top {share:.3g} % of the shown map").format(share=share))
    return translate("Here: {what}").format(what="; ".join(filter(None, parts))) if any(parts) else ""
