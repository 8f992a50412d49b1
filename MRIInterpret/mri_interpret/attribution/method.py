"""What an attribution method is: a small frozen object with its parameters, and facts about it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from .run import Run


@dataclass(frozen=True)
class MethodInfo:
    """What a list of methods shows.

    Attributes
    ----------
    signed
        Whether the map tells evidence for the target (positive) from evidence against it (negative).
    conserving
        Whether the map's sum is meant to be the value that is explained.
    class_discriminative
        Whether the map depends on the target's class by construction.
    parameters
        Name to default value of what can be configured.
    """

    name: str
    title: str
    reference: str
    description: str
    signed: bool
    conserving: bool
    class_discriminative: bool
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Method:
    """Base of all methods. A subclass is a frozen dataclass whose fields are its parameters.

    Class attributes say what the method is; :meth:`compute` makes the map. ``strict`` methods need a relevance or
    guided rule for every operation of the network; ``layers`` names the modules whose outputs are wanted.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    description: ClassVar[str] = ""
    units: ClassVar[str] = "logit"
    signed: ClassVar[bool] = True
    conserving: ClassVar[bool] = False
    class_discriminative: ClassVar[bool] = True
    needs_graph: ClassVar[bool] = True
    strict: ClassVar[bool] = False

    def compute(self, run: Run) -> tuple[Tensor, dict[str, Any]]:
        """The map, shape (N, *spatial) on the input's grid, and details worth telling."""
        raise AssertionError(f"{type(self).__name__} computes nothing")

    def parts(self) -> tuple[Method, ...]:
        """Methods that this one is made of."""
        return ()

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of modules whose outputs are needed, of this method and its parts."""
        return tuple(layer for part in self.parts() for layer in part.layers)

    @property
    def needs_rules(self) -> bool:
        """Whether the method or one of its parts needs a rule for every operation."""
        return self.strict or any(part.needs_rules for part in self.parts())

    @property
    def wants_graph(self) -> bool:
        """Whether the method or one of its parts needs the recorded forward pass."""
        return self.needs_graph or any(part.wants_graph for part in self.parts())

    @property
    def map_units(self) -> str:
        """What one unit of this object's map is; a method that wraps another one has that one's."""
        return self.units

    def parameters(self) -> dict[str, Any]:
        """Name to value of the parameters."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def info(cls) -> MethodInfo:
        """The facts about this method, for lists."""
        defaults: dict[str, Any] = {}
        for item in fields(cls):
            if item.default is not MISSING:
                defaults[item.name] = item.default
            elif item.default_factory is not MISSING:
                defaults[item.name] = item.default_factory()
        return MethodInfo(
            cls.name,
            cls.title,
            cls.reference,
            cls.description,
            cls.signed,
            cls.conserving,
            cls.class_discriminative,
            defaults,
        )
