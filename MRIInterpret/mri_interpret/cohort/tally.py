"""How far the cohort is: done, failed, seconds for each subject, time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .subjects import Outcome


@dataclass
class Tally:
    """Counts outcomes as they come in.

    Attributes
    ----------
    total
        Subjects to be run now.
    skipped
        Subjects that were complete before.
    """

    total: int
    skipped: int = 0
    now: Callable[[], float] = time.monotonic
    done: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.now()

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.done.append(outcome)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.done if outcome.failed]

    @property
    def fraction(self) -> float:
        """Share of the subjects to be run that came to an end."""
        return len(self.done) / self.total if self.total else 1.0

    def seconds_each(self) -> float | None:
        """Mean seconds of work per successful subject, whichever worker did it; None before the first."""
        times = [outcome.seconds for outcome in self.done if not outcome.failed]
        return sum(times) / len(times) if times else None

    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, from the pace of all workers together; None before the first."""
        if not self.done:
            return None
        return (self.now() - self._start) / len(self.done) * (self.total - len(self.done))

    def sentence(self) -> str:
        """ "12 of 133 subjects done, 1 failed, 8.2 s per subject"."""
        parts = [f"{len(self.done)} of {self.total} subjects done"]
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        each = self.seconds_each()
        if each is not None:
            parts.append(f"{each:.1f} s per subject")
        if self.skipped:
            parts.append(f"{self.skipped} were complete before")
        return ", ".join(parts)
