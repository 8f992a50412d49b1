"""The folder in the subject hierarchy that holds all nodes of a result."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

from .nodes import RUN

_OWNERS = {  # classes that users look for in the data tree -> Slicer's plugin that gives them icon and menu
    "vtkMRMLLabelMapVolumeNode": "LabelMaps",  # before its base class
    "vtkMRMLScalarVolumeNode": "Volumes",
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLModelNode": "Models",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Plots",
    "vtkMRMLPlotSeriesNode": "Plots",
    "vtkMRMLTextNode": "Texts",
    "vtkMRMLGridTransformNode": "Transforms",
}
_FOLDERS = "Folder"  # the plugin of folders
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
    folder = _create_folder(tree, tree.GetSceneItemID(), name)
    tree.SetItemAttribute(folder, RUN, name)  # whatever the user calls it, and wherever it is moved
    try:
        inner: dict[str, int] = {}
        for node, role in nodes:
            owner = owner_of(node)
            if owner:
                _move(tree, node, _place(tree, folder, inner, role), owner)
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
            item = _create_folder(tree, folder, title)
            tree.SetItemExpanded(item, title == "Maps")
        inner[title] = item
    return inner[title]


def owner_of(node: Any) -> str:
    """The plugin that gives a node its icon in the data tree; empty for nodes that are not listed there.

    A node that no plugin owns would have a question mark for an icon (qSlicerSubjectHierarchyDefaultPlugin::icon), as
    colour tables have: these are left out of the tree.
    """
    return next((owner for kind, owner in _OWNERS.items() if node.IsA(kind)), "")


def _create_folder(tree: Any, parent: int, name: str) -> int:
    item = tree.CreateFolderItem(parent, name)
    tree.SetItemOwnerPluginName(item, _FOLDERS)
    return int(item)


def _move(tree: Any, node: Any, parent: int, owner: str) -> None:
    """In Slicer's window nodes get items, and items owners, by themselves; in a scene without a window they do not."""
    item = tree.GetItemByDataNode(node)
    if item == tree.GetInvalidItemID():
        tree.CreateItem(parent, node, owner)
    else:
        tree.SetItemParent(item, parent)


def remove_folder(scene: Any, folder: int) -> None:
    """Remove a folder and its inner folders; data nodes stay, and those of others, put there by hand, stay listed."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    run, parent = tree.GetItemAttribute(folder, RUN) or tree.GetItemName(folder), tree.GetItemParent(folder)
    for item in _below(tree, folder):
        node = tree.GetItemDataNode(item)
        if node is not None and scene.IsNodePresent(node) and node.GetAttribute(RUN) != run:
            tree.SetItemParent(item, parent)
    tree.RemoveItem(folder, False, True)


def rename_folder(scene: Any, folder: int, name: str) -> None:
    """Give a result's folder the result's other name; a name that the user gave it stays."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    before = tree.GetItemAttribute(folder, RUN)
    tree.SetItemAttribute(folder, RUN, name)
    if tree.GetItemName(folder) == before or not before:
        tree.SetItemName(folder, name)


def folder_named(scene: Any, name: str) -> int | None:
    """The folder of a result: the one that was made for it, or, in scenes of earlier versions, that has its name."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemChildWithName(tree.GetSceneItemID(), name)
    there = item != tree.GetInvalidItemID()
    if there and tree.GetItemAttribute(item, RUN) in ("", name):
        return int(item)
    return next(
        (item for item in _below(tree, tree.GetSceneItemID()) if tree.GetItemAttribute(item, RUN) == name), None
    )


def folder_above(scene: Any, node: Any) -> int | None:
    """The folder of a result in which a node's item lies, at whatever depth; None if it lies in none."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemByDataNode(node)
    while item not in (tree.GetInvalidItemID(), tree.GetSceneItemID()):
        if tree.GetItemAttribute(item, RUN):
            return int(item)
        item = tree.GetItemParent(item)
    return None


def _below(tree: Any, item: int) -> list[int]:
    """All items in an item, at any depth."""
    found = vtkIdList()
    tree.GetItemChildren(item, found, True)
    return [int(found.GetId(n)) for n in range(found.GetNumberOfIds())]
