"""A request to explain a cohort, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..explanation.options import DEFAULTS

if TYPE_CHECKING:
    from ..cohort.planning import Options


@dataclass(frozen=True)
class CohortRequest:
    """A cohort to explain or, without ``participants``, an output folder whose group results are to be shown.

    ``options`` are fields of :class:`cohort.planning.Options`; ``workers`` is the number of worker processes.
    """

    participants: str
    output: str
    device: str = DEFAULTS.device
    workers: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Save as job.json."""
        path = folder / "job.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> CohortRequest:
        """The request in a job.json."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def planning(self) -> Options:
        """The options as the planning takes them; what JSON made lists of are tuples again."""
        from ..cohort.cluster import ClusterOptions
        from ..cohort.planning import Options

        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()
        }
        return Options(**given, cluster=ClusterOptions(workers=self.workers, device=self.device))
