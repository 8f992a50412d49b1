"""Four maps side by side, each over the scan in an axial view of its own, in a layout of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

from .map_display import behind, node_of
from .rendering import paused
from .result_nodes import ResultNodes
from .views import COMPARED, fit_slices, nodes_of, set_layers

LAYOUT = 18731  # Slicer's own layouts have numbers up to 100; extensions choose one above
_BEFORE = "MRIInterpret.LayoutBefore"  # on the layout node: what *Compare methods* goes back to
_GROUP = 7  # views of one group pan, zoom and scroll together
_COLOURS = ("#F34A33", "#EDD54C", "#6EB04B", "#4A8FE0")


def page_of(keys: Sequence[str], key: str) -> list[str]:
    """The four maps of the list among which one is: the list is leafed through by fours."""
    first = len(COMPARED) * (list(keys).index(key) // len(COMPARED)) if key in keys else 0
    return list(keys)[first : first + len(COMPARED)]


def description() -> str:
    """The layout as Slicer's layout node takes it: two rows of two linked axial views."""
    rows = (COMPARED[:2], COMPARED[2:])
    return (
        '<layout type="vertical">'
        + "".join(f'<item><layout type="horizontal">{"".join(map(_item, row))}</layout></item>' for row in rows)
        + "</layout>"
    )


def _item(name: str) -> str:
    number = COMPARED.index(name)
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{number + 1}</property>'
        f'<property name="viewcolor" action="default">{_COLOURS[number]}</property>'
        f'<property name="viewgroup" action="default">{_GROUP}</property>'
        "</view></item>"
    )


def is_open(scene: Any) -> bool:
    """Whether the layout is on the screen."""
    layout = _layout(scene)
    return layout is not None and layout.GetViewArrangement() == LAYOUT


def offer(scene: Any) -> None:
    """Make the layout known, so that a scene that was saved with it opens with it."""
    layout = _layout(scene)
    if layout is not None and not layout.IsLayoutDescription(LAYOUT):
        layout.AddLayoutDescription(LAYOUT, description())
        if layout.GetViewArrangement() == LAYOUT:
            layout.SetViewArrangement(LAYOUT)  # it was named before it was known


def open_layout(scene: Any) -> None:
    """Put the four views on the screen; :func:`close_layout` goes back."""
    offer(scene)
    layout = _layout(scene)
    if layout is not None and not is_open(scene):
        layout.SetAttribute(_BEFORE, str(layout.GetViewArrangement()))
        layout.SetViewArrangement(LAYOUT)


def close_layout(scene: Any) -> None:
    """The layout that was there before comes back."""
    layout = _layout(scene)
    if layout is not None and is_open(scene):
        layout.SetViewArrangement(int(layout.GetAttribute(_BEFORE) or layout.SlicerLayoutFourUpView))


def show(scene: Any, nodes: ResultNodes, keys: Sequence[str], opacity: float) -> None:
    """Show a map in each view; views that are left over show the scan alone.

    Parameters
    ----------
    scene
        vtkMRMLScene, with the views of the layout.
    nodes
        The result.
    keys
        Up to four of its maps.
    opacity
        Of the maps over the scan, 0 to 1.
    """
    scan = behind(scene, nodes)
    with paused():
        for number, name in enumerate(COMPARED):
            shown = node_of(nodes, keys[number]) if number < len(keys) else None
            set_layers(_composite(scene, name), scan, shown, opacity)


def fit(scene: Any, nodes: ResultNodes) -> None:
    """Each view shows the whole scan, through the point where the first of the other views cuts."""
    whole = behind(scene, nodes) or nodes.summary  # the scan may have been deleted
    slices = nodes_of(scene, "vtkMRMLSliceNode")
    own = [node for node in slices if node.GetLayoutName() in COMPARED]
    others = [node for node in slices if node.GetLayoutName() not in COMPARED and node.GetOrientation() == "Axial"]
    with paused():
        fit_slices(scene, whole, own)
        for node in own if others else ():
            with slicer.util.NodeModify(node):
                node.SetSliceOffset(others[0].GetSliceOffset())


def _layout(scene: Any) -> Any:
    nodes = nodes_of(scene, "vtkMRMLLayoutNode")
    return nodes[0] if nodes else None


def _composite(scene: Any, name: str) -> Any:
    """The node that says what a view shows; Slicer's views bring it, elsewhere it is made."""
    for node in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        if node.GetLayoutName() == name:
            return node
    node = scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
    node.SetName(name)
    node.SetLayoutName(name)
    node.SetSingletonTag(name)
    return scene.AddNode(node)
