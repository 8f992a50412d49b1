"""A step from the scan to the network's input, and the error that names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ...errors import UserError
from .partial_input import PartialInput, ScanInTemplate


class Step(ABC):
    """One step; a subclass is a frozen dataclass whose fields are its parameters."""

    name: ClassVar[str] = ""

    @abstractmethod
    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        """What the step makes of the image.

        Raises
        ------
        StepError
            If the image is none that the step can work on.
        """


class StepError(UserError):
    """A step that cannot be done, named."""

    def __init__(self, step: Step | str, reason: str) -> None:
        name = step if isinstance(step, str) else step.name
        super().__init__(f"Preprocessing step '{name}': {reason}.")


def choice(step: Step, key: str, value: Any, known: Iterable[str]) -> None:
    """Refuse a value that is not among those known."""
    known = tuple(known)
    if value not in known:
        raise StepError(step, f"'{key}' is {value!r}, and must be one of {', '.join(known)}")


def positive(step: Step, key: str, values: Sequence[float]) -> None:
    """Refuse what is not three positive numbers."""
    if len(values) != 3 or min(values) <= 0:
        raise StepError(step, f"'{key}' must hold three positive numbers")
