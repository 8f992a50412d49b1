"""A request to add a model, as plain values, and how it is carried out: the same in this process and in a worker."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..progress import ProgressCallback, silent

if TYPE_CHECKING:
    from ..models.adding import Added


@dataclass(frozen=True)
class AddModelRequest:
    """What :func:`models.adding.add_model` is asked; ``answers`` are the fields of ``Answers``, or None."""

    source: str
    name: str = ""
    recipe: str = ""
    options: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Any] | None = None
    trusted_class: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Save as job.json."""
        path = folder / "job.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> AddModelRequest:
        """The request in a job.json."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def carry_out(request: AddModelRequest, place: str = "", progress: ProgressCallback = silent) -> Added:
    """Add the model.

    Parameters
    ----------
    request
        What to do.
    place
        Name of the folder in which it is put together, for a caller who may end this process.
    progress
        Told about each step; may raise Cancelled.

    Raises
    ------
    UserError
        As :func:`models.adding.add_model`.
    """
    from ..models.adding import add_model
    from ..models.answers import Answers

    answers = None
    if request.answers is not None:
        # Lists, which JSON makes of tuples, are tuples again.
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in request.answers.items()}
        answers = Answers(**given)
    return add_model(
        request.source,
        name=request.name,
        recipe=request.recipe,
        options=request.options,
        answers=answers,
        trusted_class=request.trusted_class,
        arguments=request.arguments,
        place=place,
        progress=progress,
    )
