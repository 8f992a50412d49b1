"""Explanation to MRML nodes, displays, volume rendering, and .mrb files. Needs slicer-core or a running 3D Slicer."""

from .build import SceneNodes, build_scene, find_result, remove_result
from .mrb import write_mrb

__all__ = ["SceneNodes", "build_scene", "find_result", "remove_result", "write_mrb"]
