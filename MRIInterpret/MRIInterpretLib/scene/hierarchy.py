"""All nodes of one result under one folder of the subject hierarchy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer

_SHOWN = (  # classes that people look for in the tree; displays, properties and series stay with their owners
    "vtkMRMLScalarVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLTableNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLTextNode",
    "vtkMRMLColorTableNode",
)
_INNER = {  # role -> name of the folder inside the result's folder
    "map": "Maps",
    "probabilities": "Tables and charts",
    "top-regions": "Tables and charts",
    "regions": "Tables and charts",
    "agreement": "Tables and charts",
    "trust": "Tables and charts",
    "colours": "Colours",
}


def add_folder(scene: Any, name: str, nodes: Iterable[tuple[Any, str]]) -> int:
    """Make a folder and move the items of ``nodes`` into it.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    name
        The folder's name.
    nodes
        Nodes with their roles, in the order in which they should be listed.

    Returns
    -------
    int
        The folder's item.
    """
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = tree.CreateFolderItem(tree.GetSceneItemID(), name)
    inner: dict[str, int] = {}
    for node, role in nodes:
        if not any(node.IsA(kind) for kind in _SHOWN):
            continue
        parent = folder
        title = _INNER.get(role.removesuffix("-chart").removesuffix("-series"))
        if title is not None:
            if title not in inner:
                inner[title] = tree.CreateFolderItem(folder, title)
                tree.SetItemExpanded(inner[title], title == "Maps")
            parent = inner[title]
        item = tree.GetItemByDataNode(node)  # Slicer's window makes items by itself
        if item == tree.GetInvalidItemID():
            tree.CreateItem(parent, node)
        else:
            tree.SetItemParent(item, parent)
    return int(folder)


def remove_folder(scene: Any, folder: int) -> None:
    """Remove a folder and its inner folders; the data nodes in it are left alone."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    tree.RemoveItem(folder, False, True)


def folder_named(scene: Any, name: str) -> int | None:
    """The top folder with this name, if there is one."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemChildWithName(tree.GetSceneItemID(), name)
    return None if item == tree.GetInvalidItemID() else int(item)
