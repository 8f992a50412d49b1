"""What the tests of the report share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mri_interpret.explanation.explanation import Explanation


@dataclass(frozen=True)
class Saved:
    explanation: Explanation
    folder: Path
    files: dict[str, Path]
