"""Nodes that carry the name of their result and their role in it, so that they can be found and removed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ROLE = "MRIInterpret.Role"  # of a node in its result: "summary", "map", "consensus", ...
RUN = "MRIInterpret.Run"  # name of the result that a node belongs to
METHOD = "MRIInterpret.Method"  # the registry's name of the method, on nodes of one map
BRAIN_VOXELS = "MRIInterpret.BrainVoxels"  # on a map: how many voxels the brain has
COLOUR_LIMIT = "MRIInterpret.ColourLimit"  # on a map: where its colours end, whatever the window shows
UNITS = "MRIInterpret.Units"  # on a map: what its values are in
UNFINISHED = "MRIInterpret.Unfinished"  # on the first node of a result that is still being put into the scene


class NodeMaker:
    """Adds nodes to a scene, marked with their result and role, and can remove them all again.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    run
        Name of the result; unique in the scene.
    description
        Stored in each node: the research-only banner, shown by Slicer in node tooltips.
    building
        Whether the result is listed only after :meth:`finish`.
    """

    def __init__(self, scene: Any, run: str, description: str, building: bool = False) -> None:
        self._building = building
        self.scene = scene
        self.run = run
        self.description = description
        self.made: list[Any] = []

    def add(self, class_name: str, name: str, role: str, method: str = "") -> Any:
        """Add a node of ``class_name``, marked. Its name may occur in other results: folders tell them apart."""
        return self.adopt(self.scene.AddNode(self.create(class_name, name, role, method)), role, method)

    def create(self, class_name: str, name: str, role: str, method: str = "") -> Any:
        """A marked node that is not in the scene yet: what is set until :meth:`adopt` tells nobody."""
        node = self.scene.CreateNodeByClass(class_name)
        node.SetName(name)
        return self._mark(node, role, method)

    def adopt(self, node: Any, role: str, method: str = "") -> Any:
        """Mark a node, made by others, as part of this result."""
        self._mark(node, role, method)
        if self._building and not self.made:
            node.SetAttribute(UNFINISHED, "1")
        self.made.append(node)
        return node

    def _mark(self, node: Any, role: str, method: str) -> Any:
        node.SetAttribute(RUN, self.run)
        node.SetAttribute(ROLE, role)
        if method:
            node.SetAttribute(METHOD, method)
        node.SetDescription(self.description)
        return node

    def finish(self) -> None:
        """The result is complete: list it."""
        self.made[0].RemoveAttribute(UNFINISHED)

    def all_there(self) -> bool:
        """Whether every node made so far is still in the scene."""
        return all(self.scene.IsNodePresent(node) for node in self.made)

    def remove_all(self) -> None:
        """Remove every node made so far, the last one first, with its display and storage nodes."""
        for node in reversed(self.made):
            remove_with_dependents(self.scene, node)
        self.made.clear()


def remove_with_dependents(scene: Any, node: Any) -> None:
    """Remove a node with its display nodes and storage node."""
    release(node)
    owned = []
    if hasattr(node, "GetNumberOfDisplayNodes"):
        owned += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    if hasattr(node, "GetStorageNode"):
        owned.append(node.GetStorageNode())
    for candidate in [node, *owned]:
        if candidate is not None and scene.IsNodePresent(candidate):
            scene.RemoveNode(candidate)


def release(node: Any) -> None:
    """Drop the voxels of a volume or segmentation before the node is destroyed; other nodes are left alone.

    When a segmentation is destroyed, Slicer separates the segments that share a volume one by one, which takes seconds
    with the hundred regions of an atlas; and each volume that goes while a view shows it is looked through again.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            segmentation.GetNthSegment(index).RemoveAllRepresentations()
    elif node.IsA("vtkMRMLVolumeNode"):
        node.SetAndObserveImageData(None)


def release_all(scene: Any) -> None:
    """Do so for the nodes of every result, with nobody told; called when a scene is about to be closed."""
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLVolumeNode"):
        for index in range(scene.GetNumberOfNodesByClass(kind)):
            node = scene.GetNthNodeByClass(index, kind)
            if node.GetAttribute(RUN):
                silenced = node.GetDisableModifiedEvent()
                node.DisableModifiedEventOn()
                release(node)
                node.SetDisableModifiedEvent(silenced)


def rename_run(scene: Any, run: str, name: str) -> None:
    """Give a result another name, which no other result has."""
    for node in nodes_of_run(scene, run):
        node.SetAttribute(RUN, name)


def nodes_of_run(scene: Any, run: str) -> list[Any]:
    """All nodes of a result, in the order they were added."""
    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetAttribute(RUN) == run]


def runs(scene: Any, unfinished: bool = False) -> list[str]:
    """Names of the results in a scene, oldest first; those that are still being built only if ``unfinished``."""
    building: dict[str, bool] = {}
    for n in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(n)
        run = node.GetAttribute(RUN)
        if run:
            building[run] = building.get(run, False) or bool(node.GetAttribute(UNFINISHED))
    return [run for run, incomplete in building.items() if unfinished or not incomplete]


@contextmanager
def batch(scene: Any) -> Iterator[None]:
    """Let views and widgets update once, at the end, instead of after each node."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)
