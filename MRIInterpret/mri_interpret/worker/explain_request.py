"""A request to explain a scan, as plain values, and how it is carried out: the same in this process and in a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..explanation.options import DEFAULTS
from ..progress import ProgressCallback, silent

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation
    from ..images.volume import Volume


@dataclass(frozen=True)
class ExplainRequest:
    """What to explain, with which model and methods, and where.

    ``scan``, ``mask_volume`` and ``inputs`` (further inputs of the model, by channel) are records of
    :mod:`images.array_files` in the job's folder; ``parameters`` holds, by the name of a method, parameters that differ
    from its defaults.
    """

    scan: dict[str, Any]
    model: str = DEFAULTS.model
    methods: tuple[str, ...] = DEFAULTS.methods
    target: str = DEFAULTS.target
    device: str = DEFAULTS.device
    mask: str = DEFAULTS.mask  # "auto", "none" or "given"
    space: str = DEFAULTS.space
    trust: str = DEFAULTS.trust
    mask_volume: dict[str, Any] | None = None
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Save as job.json."""
        path = folder / "job.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> ExplainRequest:
        """The request in a job.json."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["methods"] = tuple(content["methods"])
        return cls(**content)


def carry_out(
    request: ExplainRequest,
    scan: Volume,
    mask: Volume | None,
    progress: ProgressCallback = silent,
    inputs: Mapping[str, Volume] | None = None,
) -> Explanation:
    """Explain a scan as requested.

    Parameters
    ----------
    request
        What to do.
    scan, mask
        The volumes that the request's records stand for.
    progress
        Told about each step; may raise Cancelled.
    inputs
        The model's further inputs, by channel.
    """
    from ..attribution.registry import create_method
    from ..explanation.job import explain

    methods = [create_method(name, **_parameters(request, name)) for name in request.methods]
    return explain(
        scan,
        model=request.model,
        methods=methods,
        target=request.target,
        device=request.device,
        mask=mask if mask is not None else request.mask,
        space=request.space,
        trust=request.trust,
        inputs=inputs,
        progress=progress,
    )


def _parameters(request: ExplainRequest, method: str) -> dict[str, Any]:
    """A method's parameters; lists, which JSON makes of tuples, are tuples again."""
    given = request.parameters.get(method, {})
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
