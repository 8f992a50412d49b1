"""The lines that the worker process writes: one JSON object per line, nothing else on standard output."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

WRITING = "Passing the result on"  # the worker's last step
BUILDING = "Putting the result into the scene"  # the step after it, which Slicer does itself


@dataclass(frozen=True)
class Progress:
    """A step under way; ``overall`` and ``seconds_left`` are estimates for the whole job."""

    step: str
    fraction: float
    overall: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class Heartbeat:
    """Nothing new, but the worker has not hung."""


@dataclass(frozen=True)
class Notice:
    """A sentence to show, for instance that the job goes on without the GPU."""

    text: str


@dataclass(frozen=True)
class Done:
    """The result lies in ``folder``."""

    folder: str


@dataclass(frozen=True)
class Failed:
    """One sentence for the panel, and details (a traceback) for the log."""

    sentence: str
    details: str = ""


Message = Progress | Heartbeat | Notice | Done | Failed
_KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in (Progress, Heartbeat, Notice, Done, Failed)}


def encode(message: Message) -> str:
    """A message as one line, without the line's end."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}, ensure_ascii=True)


def decode(line: str) -> Message | None:
    """The message of a line; None for a line that is none, such as a library's own printing."""
    try:
        content = json.loads(line)
        return _KINDS[content.pop("kind")](**content)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
