"""Calls of torch functions, the tables of functions that record them, and the error that refuses one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from ...errors import UserError
from .aten import aten_name, operator_name
from .axes import Origins
from .deferred import Deferred
from .operation import Operation
from .pooled_convolution import SlabPolicy
from .tag import Tag


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

    @property
    def of_input(self) -> Callable[[Tensor], Any]:
        """The function called, of its first argument alone, with the others as in this call."""
        function, rest = self.func, self.args[1:]
        kwargs = {key: value for key, value in self.kwargs.items() if key != "input"}
        return lambda x: function(x, *rest, **kwargs)

    @property
    def from_program(self) -> bool:
        """Whether an operator of ``torch.ops`` was called, whose arguments and results may differ from Python's."""
        return operator_name(self.func) != ""


class UnsupportedOperation(UserError):
    """The network uses an operation that cannot be followed, or for which no relevance rule is known.

    Parameters
    ----------
    operation
        The operation's name as torch calls it, such as ``"fft_rfft"``.
    module
        Dotted name of the module that was running; empty for the model's own ``forward``.
    reason
        One clause that says why, or what would help.
    """

    def __init__(self, operation: str, module: str, reason: str) -> None:
        self.operation = operation
        self.module = module
        where = f"module '{module}'" if module else "the model's own forward()"
        super().__init__(f"Operation '{operation}' in {where} cannot be explained: {reason}.")


class Recording(Protocol):
    """What a handler may ask of the recorder; :class:`recorder.Recorder` documents the methods."""

    slabs: SlabPolicy | None
    defers: bool
    strict: bool
    outputs: dict[str, Tensor]
    ruled: set[str]

    @property
    def module(self) -> str:
        """Dotted name of the module that is running."""

    def record(
        self,
        operation: Operation,
        *inputs: Tensor,
        geometry: Origins | None = None,
        gate: bool = False,
        module: str | None = None,
        label: str | None = None,
    ) -> Tensor:
        """Run ``operation`` on ``inputs`` and put it into the graph."""

    def own_tag(self, value: Any) -> Tag | None:
        """The tag of a tensor that depends on this recording's input; None for any other value."""

    def tag(self, tensor: Tensor, tag: Tag) -> Tensor:
        """Tag ``tensor`` as one that depends on this recording's input, and return it."""

    def defer(self, value: Deferred, tag: Tag) -> Tensor:
        """Let ``value`` stand for a tensor that ``tag.pending`` computes."""

    def plain(self, call: Call, geometry: Origins | None = None) -> Any:
        """Run a function whose gradient is also its relevance rule."""

    def geometry(self, *tensors: Tensor) -> Origins | None:
        """Where what is computed from ``tensors`` value by value lies."""

    def note_feature(self, output: Tensor, geometry: Origins, layer: str) -> None:
        """Remember that ``output`` is a feature map."""

    def decomposed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of ``function``, whose calls of torch functions are recorded one by one."""

    def unsupported(self, call: Call, reason: str) -> UnsupportedOperation:
        """The error that refuses ``call``."""

    def peek(self, value: Any) -> Any:
        """What stands for ``value`` now, without computing it."""


Handler = Callable[[Recording, Call], Any]
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
    operator = aten_name(func) or operator_name(func)
    if operator:
        return operator
    name = getattr(func, "__name__", type(func).__name__)
    if name in ("__get__", "__set__"):
        owner = getattr(func, "__self__", None)
        prefix = "" if name == "__get__" else "set "
        return prefix + getattr(owner, "__name__", name)
    # Other libraries offer functions of their own to be overridden, which may share a name with one of torch's.
    library = getattr(func, "__module__", None) or "torch"
    return name if library.partition(".")[0] in ("torch", "builtins") else f"{library}.{name}"
