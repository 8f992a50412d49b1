"""Calls of torch functions, and the tables of functions that record them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .aten import aten_name

if TYPE_CHECKING:
    from .recorder import Recorder

#: In-place operations whose out-of-place twin has another name.
_TWINS = {"__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "div", "__idiv__": "div"}


@dataclass
class Call:
    """One call of a torch function, with in-place spelling removed and the model's weights detached."""

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at ``position`` or under ``name``."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


Handler = Callable[["Recorder", Call], Any]
HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register a function as the one that records the torch functions called ``names``."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


JOINS: dict[str, Handler] = {}


def joins(name: str) -> Callable[[Handler], Handler]:
    """Register a function that lets the torch function ``name`` join a pending operation, or returns None."""

    def register(handler: Handler) -> Handler:
        JOINS[name] = handler
        return handler

    return register


def function_name(func: Callable[..., Any]) -> str:
    """The name by which an intercepted function is looked up; a property's getter goes by the property's name."""
    known = aten_name(func)
    if known is not None:
        return known
    name = getattr(func, "__name__", type(func).__name__)
    if name in ("__get__", "__set__"):
        owner = getattr(func, "__self__", None)
        prefix = "" if name == "__get__" else "set "
        return prefix + getattr(owner, "__name__", name)
    return name


def without_in_place(name: str, args: Any, kwargs: Any) -> tuple[str, bool]:
    """The name of the out-of-place operation, and whether it was called in place."""
    if name in _TWINS:
        return _TWINS[name], True
    if name == "__setitem__":
        return name, True
    if name.endswith("_") and not name.endswith("__") and name not in ("requires_grad_", "retain_grad_"):
        return name[:-1], True
    position = {"relu": 1, "leaky_relu": 2, "elu": 2, "silu": 1, "hardtanh": 3, "relu6": 1, "selu": 1, "celu": 2}
    position |= {
        "dropout": 3,
        "dropout3d": 3,
        "dropout2d": 3,
        "hardswish": 1,
        "hardsigmoid": 1,
        "mish": 1,
        "threshold": 3,
    }
    in_place = kwargs.get("inplace", False)
    if name in position and len(args) > position[name]:
        in_place = in_place or bool(args[position[name]])
    return name, bool(in_place)
