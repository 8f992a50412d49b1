"""Nodes for the panel's tests."""

from __future__ import annotations

from typing import Any

from MRIInterpretLib.scene.geometry import fill_volume_node
from MRIInterpretLib.volume import Volume


def add_volume(scene: Any, volume: Volume, name: str) -> Any:
    """A scalar volume node."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    fill_volume_node(node, volume)
    node.CreateDefaultDisplayNodes()
    return node
