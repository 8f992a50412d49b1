"""Making nodes: a failure half-way leaves the scene as it was, and they are found again after reopening."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ROLE = "MRIInterpret.Role"  # what a node is in a result: "summary", "map", "consensus", ...
RUN = "MRIInterpret.Run"  # nodes of one explanation share this
METHOD = "MRIInterpret.Method"  # the registry's name of the method, on nodes of one map
BRAIN_VOXELS = "MRIInterpret.BrainVoxels"  # on a map: how many voxels the brain has
UNFINISHED = "MRIInterpret.Unfinished"  # on the first node of a result that is still being put into the scene


class NodeMaker:
    """Adds nodes to a scene, marks them with their run and role, and can take them all away again.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    run
        Name that all nodes of this result share; unique in the scene.
    description
        Stored in each node: the research-only banner, shown by Slicer in node tooltips.
    building
        Whether the result is not to be listed before :meth:`finish`.
    """

    def __init__(self, scene: Any, run: str, description: str, building: bool = False) -> None:
        self._building = building
        self.scene = scene
        self.run = run
        self.description = description
        self.made: list[Any] = []

    def add(self, class_name: str, name: str, role: str, method: str = "") -> Any:
        """A new node of ``class_name``, marked."""
        return self.adopt(self.scene.AddNewNodeByClass(class_name, self.scene.GenerateUniqueName(name)), role, method)

    def adopt(self, node: Any, role: str, method: str = "") -> Any:
        """Mark a node that some logic has just made as part of this result."""
        node.SetAttribute(RUN, self.run)
        node.SetAttribute(ROLE, role)
        if method:
            node.SetAttribute(METHOD, method)
        node.SetDescription(self.description)
        if self._building and not self.made:
            node.SetAttribute(UNFINISHED, "1")
        self.made.append(node)
        return node

    def finish(self) -> None:
        """All nodes are there: from now on the result is listed."""
        self.made[0].RemoveAttribute(UNFINISHED)

    def all_there(self) -> bool:
        """Whether every node made so far is still in the scene."""
        return all(self.scene.IsNodePresent(node) for node in self.made)

    def remove_all(self) -> None:
        """Take away every node made so far, the last one first, with the display and storage nodes that they own."""
        for node in reversed(self.made):
            remove_with_dependents(self.scene, node)
        self.made.clear()


def remove_with_dependents(scene: Any, node: Any) -> None:
    """Remove a node from the scene together with its display nodes and storage node."""
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
    """Let a segmentation go of its label volume before it is destroyed; other nodes are left alone.

    Segments that share one volume are separated from it one by one when a segmentation is destroyed: with the hundred
    regions of an atlas that takes seconds, and there is nothing to be kept.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            segmentation.GetNthSegment(index).RemoveAllRepresentations()


def release_all(scene: Any) -> None:
    """Do so for every atlas of ours; to be called when a scene is about to be closed."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLSegmentationNode")
        if node.GetAttribute(RUN):
            release(node)


def nodes_of_run(scene: Any, run: str) -> list[Any]:
    """All nodes that belong to one result, in the order they were added."""
    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return [node for node in nodes if node.GetAttribute(RUN) == run]


def runs(scene: Any, unfinished: bool = False) -> list[str]:
    """The results in a scene, oldest first; those that are still being put into it only if wanted."""
    found: dict[str, bool] = {}
    for n in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(n)
        run = node.GetAttribute(RUN)
        if run:
            found[run] = found.get(run, False) or bool(node.GetAttribute(UNFINISHED))
    return [run for run, building in found.items() if unfinished or not building]


@contextmanager
def batch(scene: Any) -> Iterator[None]:
    """Views and widgets catch up once, at the end, instead of after each node."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)
