"""An explanation as MRML nodes with their displays, and .mrb files. Needs slicer-core or a running 3D Slicer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build import build_scene
    from .mrb import write_mrb
    from .result_nodes import ResultNodes, find_result, remove_result

__all__ = ["ResultNodes", "build_scene", "find_result", "remove_result", "write_mrb"]

_HOME = {
    "ResultNodes": "result_nodes",
    "build_scene": "build",
    "find_result": "result_nodes",
    "remove_result": "result_nodes",
    "write_mrb": "mrb",
}


def __getattr__(name: str) -> Any:
    """Import on first use: looking for results needs neither pandas nor VTK's filters."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
