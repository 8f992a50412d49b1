"""Attribution maps of any 3D classifier, many methods from one forward pass.

``Explainer(model).explain(x, target, methods)`` gives the maps; :func:`available_methods` lists the methods without
loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .method import Method, MethodInfo
from .registry import DEFAULT_METHODS, available_methods, create_method
from .result import Attribution, Attributions

if TYPE_CHECKING:
    from .engine.errors import UnsupportedOperation
    from .explainer import Explainer

__all__ = [
    "DEFAULT_METHODS",
    "Attribution",
    "Attributions",
    "Explainer",
    "Method",
    "MethodInfo",
    "UnsupportedOperation",
    "available_methods",
    "create_method",
]


def __getattr__(name: str) -> Any:
    # What needs torch is imported on first use, so that a panel can list the methods at once.
    if name == "Explainer":
        from .explainer import Explainer

        return Explainer
    if name == "UnsupportedOperation":
        from .engine.errors import UnsupportedOperation

        return UnsupportedOperation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
