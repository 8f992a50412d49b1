"""A preprocessed scan through a model: prediction, explained contrast, maps, and the trust checks' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.run_checks import run_checks
from ..checks.verdict import Verdict
from ..errors import UserError
from ..images.volume import Volume
from ..json_text import jsonable
from ..models.bundle import ModelBundle
from ..models.targets import parse_target
from ..preprocessing.pipeline import Preprocessed
from ..progress import ProgressCallback, step
from .facts import Prediction, Target

if TYPE_CHECKING:
    from ..attribution import Attribution, Attributions


def contrast_of(target: str, bundle: ModelBundle) -> str | list[float]:
    """The target as the explainer takes it: "predicted" is decided by the forward pass, all else is known before."""
    if target.strip().lower() == "predicted":
        return "predicted"
    classes = bundle.metadata.classes
    _, weights = parse_target(target, classes, dict.fromkeys(classes, 0.0))
    return [weights[label] for label in classes]


def attribute(
    bundle: ModelBundle,
    prepared: Preprocessed,
    labels: Volume,
    methods: Sequence[Any],
    target: str,
    contrast: str | list[float],
    device: str,
    progress: ProgressCallback,
) -> tuple[Prediction, Target, Attributions]:
    """Prediction, target and maps, all from one forward pass."""
    import torch

    from ..attribution import Explainer

    classes = bundle.metadata.classes
    found = Explainer(bundle.network).explain(
        torch.from_numpy(np.ascontiguousarray(prepared.image.array))[None, None],
        target=contrast,
        methods=list(methods),
        device=device,
        brain_mask=torch.from_numpy(prepared.model_mask.array > 0),
        regions=torch.from_numpy(labels.array.astype(np.int64)),
        progress=lambda title, fraction: progress("Explaining", min(0.99, fraction)),
    )
    if found.logits.shape != (1, len(classes)):
        raise UserError(
            f"The model {bundle.metadata.name} returned {found.logits.shape[1]} scores for {len(classes)} classes "
            f"({', '.join(classes)}): check the bundle."
        )
    scores = found.logits[0].double()
    logits = dict(zip(classes, map(float, scores), strict=True))
    probabilities = torch.softmax(scores / bundle.metadata.temperature, 0)
    name, weights = parse_target(target, classes, logits)
    prediction = Prediction(
        logits=logits,
        probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
        predicted=max(classes, key=lambda label: logits[label]),
    )
    value = sum(weights[label] * logits[label] for label in classes)
    return prediction, Target(name, weights, value), found


def checks_of(
    level: str,
    bundle: ModelBundle,
    prepared: Preprocessed,
    labels: Volume,
    methods: Sequence[Any],
    attributions: Attributions,
    device: str,
    progress: ProgressCallback,
) -> Callable[[Mapping[str, np.ndarray]], list[Verdict]]:
    """The function that runs the trust checks of ``level`` on maps on the model's grid; with "off" it runs none."""
    import torch

    from ..attribution import Explainer

    def check(maps: Mapping[str, np.ndarray]) -> list[Verdict]:
        if level == "off":
            return []
        grid = bundle.metadata.grid
        with step(progress, "Trust checks"):
            return run_checks(
                level,
                Explainer(bundle.network),
                torch.from_numpy(np.ascontiguousarray(prepared.image.array))[None, None],
                maps,
                target=attributions.weights[0].tolist(),
                mask=prepared.model_mask.array,
                labels=labels.array,
                spacing=(float(grid.spacing[0]), float(grid.spacing[1]), float(grid.spacing[2])),
                grid=grid,
                methods=methods if "summary" not in maps else [],
                details={name: found.details for name, found in attributions.items()},
                device=device,
                progress=lambda name, fraction: progress("Trust checks", min(0.99, fraction)),
            )

    return check


def reader_details(found: Attribution) -> dict[str, Any]:
    """Description, parameters and findings for this scan (lists over samples unwrapped), as JSON values."""
    from ..attribution import available_methods

    info = available_methods().get(found.name.partition("(")[0])
    about = {"description": info.description, "reference": info.reference} if info else {}
    single = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in found.details.items()
    }
    facts: dict[str, Any] = jsonable(about | single)
    return facts


def map_array(found: Attribution) -> np.ndarray:
    array = found.map.detach().cpu().numpy().astype(np.float32)
    return array.reshape(array.shape[-3:])
