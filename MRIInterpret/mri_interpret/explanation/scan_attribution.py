"""A preprocessed scan through a model: prediction, explained contrast, maps, and the trust checks' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.run_checks import run_checks
from ..checks.verdict import Verdict
from ..errors import UserError
from ..gpu_memory import on_device_or_cpu
from ..images.volume import Volume
from ..json_text import jsonable
from ..models.bundle import ModelBundle
from ..models.outputs import read_answer
from ..models.targets import output_weights, parse_target
from ..preprocessing.pipeline import PreprocessedScan
from ..progress import ProgressCallback, step
from .facts import Prediction, Target

if TYPE_CHECKING:
    from torch import Tensor

    from ..attribution import Attribution, Attributions
    from ..attribution.target import Target as ExplainerTarget


def contrast_of(target: str, bundle: ModelBundle) -> ExplainerTarget:
    """The target as the explainer takes it: "predicted" is decided by the forward pass, all else is known before.

    Raises
    ------
    UserError
        If the model has no such target, or is a regression.
    """
    meaning = bundle.metadata.output
    if meaning.kind == "regression":
        raise UserError(
            f"The model {bundle.metadata.name} returns a quantity ({meaning.classes[0]}), and scans are explained for "
            "classes only so far."
        )
    if target.strip().lower() == "predicted":
        # One number stands for two classes: for the first of them its sign is turned.
        return _towards_the_predicted if meaning.single else "predicted"
    _, weights = parse_target(target, meaning.classes, dict.fromkeys(meaning.classes, 0.0), meaning.single)
    return output_weights(weights, meaning)


def _towards_the_predicted(logits: Tensor) -> Tensor:
    return (logits >= 0).to(logits.dtype) * 2 - 1


def attribute(
    bundle: ModelBundle,
    prepared: PreprocessedScan,
    labels: Volume,
    methods: Sequence[Any],
    target: str,
    contrast: ExplainerTarget,
    device: str,
    progress: ProgressCallback,
) -> tuple[Prediction, Target, Attributions]:
    """Prediction, target and maps, all from one forward pass."""
    import torch

    from ..attribution import Explainer

    meaning = bundle.metadata.output
    found = Explainer(bundle.network, classes=meaning.count).explain(
        torch.from_numpy(np.ascontiguousarray(prepared.channels))[None],
        target=contrast,
        methods=list(methods),
        device=device,
        brain_mask=torch.from_numpy(prepared.model_mask.array > 0),
        regions=torch.from_numpy(labels.array.astype(np.int64)),
        progress=lambda title, fraction: progress("Explaining", min(0.99, fraction)),
    )
    activation = found.output.activation if found.output.undone else ""
    answer = read_answer(found.logits[0].double().tolist(), meaning, activation, found.output.scale)
    decided = {name: float(name == answer.predicted) for name in meaning.classes}
    name, weights = parse_target(target, meaning.classes, decided, meaning.single)
    value = sum(weights[label] * answer.values[label] for label in meaning.classes)
    prediction = Prediction(logits=answer.values, probabilities=answer.probabilities, predicted=answer.predicted)
    return prediction, Target(name, weights, value), found


def checks_of(
    level: str,
    bundle: ModelBundle,
    prepared: PreprocessedScan,
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
        grid = prepared.grid

        def on(chosen: str) -> list[Verdict]:
            return run_checks(
                level,
                Explainer(bundle.network),
                torch.from_numpy(np.ascontiguousarray(prepared.channels))[None],
                maps,
                target=attributions.weights[0].tolist(),
                mask=prepared.model_mask.array,
                labels=labels.array,
                spacing=(float(grid.spacing[0]), float(grid.spacing[1]), float(grid.spacing[2])),
                grid=grid,
                methods=methods if "summary" not in maps else [],
                details={name: found.details for name, found in attributions.items()},
                device=chosen,
                output=attributions.output,
                progress=lambda name, fraction: progress("Trust checks", min(0.99, fraction)),
            )

        with step(progress, "Trust checks"):
            return on_device_or_cpu(on, device, progress)

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
