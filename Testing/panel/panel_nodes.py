"""Nodes and clicks for the panel's tests."""

from __future__ import annotations

from typing import Any

from mri_interpret.images.volume import Volume
from mri_interpret.scene.geometry import fill_volume_node
from mri_interpret.scene.views import nodes_of


def add_volume(scene: Any, volume: Volume, name: str) -> Any:
    """A scalar volume node."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    fill_volume_node(node, volume)
    node.CreateDefaultDisplayNodes()
    return node


def pick(combo, value):
    """Choose an item by its value, as a user does by its text."""
    index = [combo.itemData(n) for n in range(combo.count)].index(value)
    combo.setCurrentIndex(index)


def items(list_widget):
    import qt

    rows = (list_widget.item(n) for n in range(list_widget.count))
    return {item.data(qt.Qt.UserRole): item for item in rows}


def composites(scene):
    return nodes_of(scene, "vtkMRMLSliceCompositeNode")


def offsets(scene):
    return [
        [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)] for node in nodes_of(scene, "vtkMRMLSliceNode")
    ]
