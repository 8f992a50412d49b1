"""What an attribution method is: a small frozen object with its parameters, and facts about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from .recorded_pass import RecordedPass

Reading = Literal["slope", "share", "size"]
"""What a map says a change of the scan would do, see :attr:`Method.reading`."""


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
    reading
        What the map says a change of the scan would do, see :attr:`Method.reading`.
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
    reading: Reading
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Method(ABC):
    """Base of all methods. A subclass is a frozen dataclass whose fields are its parameters.

    Class attributes are the facts of :class:`MethodInfo`; :meth:`compute` makes the map. A ``strict`` method needs a
    rule of its own for every operation of the network (LRP, guided backpropagation), and refuses a network that has
    another one. One that ``measures_lengths`` wants to know the voxel size.

    ``reading`` says what the map predicts for a scan whose voxel changes from x to x'. ``"slope"``: the map is the
    score's change per unit of intensity, so the score falls by R (x - x'). ``"share"``: the map is the part of the
    score that the voxel's intensity over a baseline b makes, so the score falls by R (x - x') / (x - b). ``"size"``:
    neither; the map only says where a change moves the score, not by how much nor in which direction.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    description: ClassVar[str] = ""
    units: ClassVar[str] = "logit"
    signed: ClassVar[bool] = True
    conserving: ClassVar[bool] = False
    class_discriminative: ClassVar[bool] = True
    strict: ClassVar[bool] = False
    measures_lengths: ClassVar[bool] = False
    reading: ClassVar[Reading] = "size"

    @abstractmethod
    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        """Make the map.

        Parameters
        ----------
        recorded
            The recorded forward pass of the input.

        Returns
        -------
        map, details
            The map, shape (N, *spatial) on the input's grid, and what there is to say about it (JSON-like).
        """

    def check(self, x: Tensor) -> None:
        """Refuse with a UserError, before the network runs, an input (N, C, *spatial) that cannot be explained so."""
        for component in self.components():
            component.check(x)

    def title_of(self, details: Mapping[str, Any]) -> str:
        """The title of a map with these details: the method's, and what had to be done otherwise than it says."""
        return self.title

    def components(self) -> tuple[Method, ...]:
        """The methods whose maps this one combines."""
        return ()

    @property
    def read_as(self) -> Reading:
        """The reading of a map by these parameters: that of the class, unless they take it away."""
        return self.reading

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the modules whose outputs are needed, by this method or its components."""
        return tuple(layer for component in self.components() for layer in component.layers)

    @property
    def needs_rules(self) -> bool:
        """Whether this method or one of its components is strict."""
        return self.strict or any(component.needs_rules for component in self.components())

    @property
    def needs_lengths(self) -> bool:
        """Whether this method or one of its components measures lengths."""
        return self.measures_lengths or any(component.needs_lengths for component in self.components())

    @property
    def map_units(self) -> str:
        """What one unit of the map is; a method that wraps another one has that one's units."""
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
            cls.reading,
            defaults,
        )
