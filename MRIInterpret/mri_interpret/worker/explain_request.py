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

    ``scan``, ``mask_volume``, ``segmentation_volume`` and ``inputs`` (further inputs of the model, by channel) are
    records of :mod:`images.array_files` in the job's folder; ``segmentation_names`` pairs labels of the user's own
    segmentation with their names; ``parameters`` holds, by the name of a method, parameters that differ from its
    defaults.
    """

    scan: dict[str, Any]
    model: str = DEFAULTS.model
    methods: tuple[str, ...] = DEFAULTS.methods
    target: str = DEFAULTS.target
    goal: str = DEFAULTS.goal
    device: str = DEFAULTS.device
    mask: str = DEFAULTS.mask  # "auto", "none" or "given"
    space: str = DEFAULTS.space
    regions: str = DEFAULTS.regions
    segmentation: str = DEFAULTS.segmentation  # "" or "given"
    trust: str = DEFAULTS.trust
    mask_volume: dict[str, Any] | None = None
    segmentation_volume: dict[str, Any] | None = None
    segmentation_names: tuple[tuple[int, str], ...] = ()
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
        content["segmentation_names"] = tuple((int(label), name) for label, name in content["segmentation_names"])
        return cls(**content)


def carry_out(
    request: ExplainRequest,
    scan: Volume,
    mask: Volume | None,
    progress: ProgressCallback = silent,
    inputs: Mapping[str, Volume] | None = None,
    *,
    segmentation: Volume | None = None,
) -> Explanation:
    """Explain a scan as requested.

    Parameters
    ----------
    request
        What to do.
    scan, mask, segmentation
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
        goal=request.goal,
        device=request.device,
        mask=mask if mask is not None else request.mask,
        space=request.space,
        regions=request.regions,
        segmentation=_own(request, segmentation, scan),
        trust=request.trust,
        inputs=inputs,
        progress=progress,
    )


def _own(request: ExplainRequest, labels: Volume | None, scan: Volume) -> Any:
    """The user's own segmentation with the names that its labels have."""
    if labels is None:
        return DEFAULTS.segmentation
    from ..anatomy.segmentation import segmentation_of_user

    return segmentation_of_user(labels, scan, names=dict(request.segmentation_names))


def _parameters(request: ExplainRequest, method: str) -> dict[str, Any]:
    """A method's parameters; lists, which JSON makes of tuples, are tuples again."""
    given = request.parameters.get(method, {})
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
