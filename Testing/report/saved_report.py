"""What the tests of the report share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MRIInterpretLib.explanation import Explanation
from MRIInterpretLib.trust.verdict import Verdict


@dataclass(frozen=True)
class Saved:
    explanation: Explanation
    verdicts: tuple[Verdict, ...]
    folder: Path
    files: dict[str, Path]
