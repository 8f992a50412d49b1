"""Which attributes of Qt's objects the module's own code asks for, recorded while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MODULE = str(Path(__file__).resolve().parents[3] / "MRIInterpret")


class Recordable:
    """Base class of the stand-in's Qt objects."""


@contextmanager
def recorded() -> Iterator[set[tuple[str, str]]]:
    """Within it, what is asked for: pairs of class and attribute."""
    pairs: set[tuple[str, str]] = set()

    def note(instance: Any, name: str) -> None:
        caller = sys._getframe(2).f_code
        # Qt's own calls of virtual methods also come from there, but the code does not name them.
        if caller.co_filename.startswith(_MODULE) and name in caller.co_names:
            pairs.add((type(instance).__name__, name))

    def get(self: Any, name: str) -> Any:
        note(self, name)
        return super(Recordable, self).__getattribute__(name)

    def put(self: Any, name: str, value: Any) -> None:
        note(self, name)
        super(Recordable, self).__setattr__(name, value)

    Recordable.__getattribute__ = get  # type: ignore[method-assign]
    Recordable.__setattr__ = put  # type: ignore[method-assign]
    try:
        yield pairs
    finally:
        del Recordable.__getattribute__
        del Recordable.__setattr__
