"""The folder in the subject hierarchy that holds all nodes of a result."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import slicer

_SHOWN = (  # classes that users look for in the data tree
    "vtkMRMLScalarVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLTableNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLTextNode",
    "vtkMRMLGridTransformNode",
)
_INNER = {  # role -> name of a folder inside the result's folder
    "map": "Maps",
    "probabilities": "Tables and charts",
    "quantity": "Tables and charts",
    "top-regions": "Tables and charts",
    "regions": "Tables and charts",
    "agreement": "Tables and charts",
    "trust": "Tables and charts",
    "volumes": "Tables and charts",
    "volume_changes": "Tables and charts",
    "changed-volumes": "Tables and charts",
}


def add_folder(scene: Any, name: str, nodes: Iterable[tuple[Any, str]]) -> Generator[None, None, int]:
    """Make a folder and move the items of ``nodes`` into it, one per step; if not finished, it is removed again.

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
    try:
        inner: dict[str, int] = {}
        for node, role in nodes:
            if any(node.IsA(kind) for kind in _SHOWN):
                _move(tree, node, _place(tree, folder, inner, role))
                yield
    except BaseException:
        if tree.GetScene() is scene:
            remove_folder(scene, folder)
        raise
    return int(folder)


def _place(tree: Any, folder: int, inner: dict[str, int], role: str) -> int:
    """The inner folder for a role, made on first use; the folder itself for roles without one."""
    title = _INNER.get(role.removesuffix("-chart").removesuffix("-series"))
    if title is None:
        return folder
    if title not in inner:
        item = tree.GetItemChildWithName(folder, title)
        if item == tree.GetInvalidItemID():
            item = tree.CreateFolderItem(folder, title)
            tree.SetItemExpanded(item, title == "Maps")
        inner[title] = item
    return inner[title]


def _move(tree: Any, node: Any, parent: int) -> None:
    item = tree.GetItemByDataNode(node)  # in Slicer's window, nodes get items by themselves
    if item == tree.GetInvalidItemID():
        tree.CreateItem(parent, node)
    else:
        tree.SetItemParent(item, parent)


def remove_folder(scene: Any, folder: int) -> None:
    """Remove a folder and its inner folders; the data nodes in it stay."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    tree.RemoveItem(folder, False, True)


def rename_folder(scene: Any, folder: int, name: str) -> None:
    """Give a folder another name."""
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene).SetItemName(folder, name)


def folder_named(scene: Any, name: str) -> int | None:
    """The top folder with this name, if there is one."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemChildWithName(tree.GetSceneItemID(), name)
    return None if item == tree.GetInvalidItemID() else int(item)
