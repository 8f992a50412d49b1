"""A preprocessed scan through a model: prediction, explained contrast, maps, and the trust checks' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.run_checks import run_checks
from ..checks.verdict import Verdict
from ..gpu_memory import on_device_or_cpu
from ..images.volume import Volume
from ..json_text import jsonable
from ..models.bundle import ModelBundle
from ..models.members import MemberLogits
from ..models.outputs import OutputMeaning, read_answer
from ..models.targets import PREDICTED, is_predicted, output_weights, read_target
from ..preprocessing.pipeline import PreprocessedScan
from ..progress import ProgressCallback, step
from .facts import Prediction, Target
from .member_spread import members_facts
from .recovery_inputs import structures_on_grid, towards_disease

if TYPE_CHECKING:
    from torch import Tensor

    from ..anatomy.segmentation import Segmentation
    from ..attribution import Attribution, Attributions, Explainer
    from ..attribution.target import Target as ExplainerTarget


def contrast_of(target: str, bundle: ModelBundle) -> ExplainerTarget:
    """The target as the explainer takes it: "predicted" is decided by the forward pass, all else is known before.

    Raises
    ------
    UserError
        If the model has no such target.
    """
    meaning = bundle.metadata.output
    contrast = read_target(target, meaning)
    if meaning.is_quantity or not is_predicted(target):
        return output_weights(contrast.weights, meaning)
    if meaning.count == len(meaning.classes):
        return "predicted"
    return lambda logits: _towards_the_predicted(logits, meaning)


def _towards_the_predicted(outputs: Tensor, meaning: OutputMeaning) -> Tensor:
    """Weights of the outputs where they are fewer than the classes, so that the predicted one is not just the largest.

    Of a network whose probabilities are all that is known, :func:`attribute` finds out that they are not log-odds.
    """
    logits = replace(meaning, kind="logit") if meaning.single else meaning
    rows = [
        output_weights(read_target(PREDICTED, meaning, read_answer(row, logits).predicted).weights, meaning)
        for row in outputs.double().tolist()
    ]
    return outputs.new_tensor(rows)


def explainer_of(bundle: ModelBundle) -> Explainer:
    """The network to be explained as its metadata reads it: a quantity is explained as it is returned."""
    from ..attribution import Explainer

    meaning = bundle.metadata.output
    return Explainer(bundle.network, classes=meaning.count, undo_activation=not meaning.is_quantity)


def any_needs_lengths(methods: Sequence[Any]) -> bool:
    """Whether one of the methods deforms the brain, so that it wants to know its voxels' size and its fluid."""
    from ..attribution.registry import resolve_methods

    return any(method.needs_lengths for method in resolve_methods(list(methods)).values())


def attribute(
    bundle: ModelBundle,
    prepared: PreprocessedScan,
    labels: Volume,
    methods: Sequence[Any],
    target: str,
    contrast: ExplainerTarget,
    device: str,
    progress: ProgressCallback,
    fluid: Volume | None = None,
) -> tuple[Prediction, Target, Attributions]:
    """Prediction, target and maps, all from one forward pass.

    The maps of a quantity's difference from a value are those of the quantity: the value belongs to no voxel.
    ``fluid`` is what volume methods want to know of this brain, on the model's grid.
    """
    import torch

    meaning = bundle.metadata.output
    image = torch.from_numpy(np.ascontiguousarray(prepared.channels))[None]

    def explained(wanted: ExplainerTarget) -> Attributions:
        return explainer_of(bundle).explain(
            image,
            target=wanted,
            methods=list(methods),
            device=device,
            brain_mask=torch.from_numpy(prepared.model_mask.array > 0),
            regions=torch.from_numpy(labels.array.astype(np.int64)),
            spacing=prepared.grid.spacing.tolist(),
            fluid=None if fluid is None else torch.from_numpy(fluid.array),
            progress=lambda title, fraction: progress("Explaining", min(0.99, fraction)),
        )

    members = MemberLogits(bundle.network)
    with members.watching():
        found = explained(contrast)
    activation = found.output.activation if found.output.undone else ""
    answer = read_answer(found.logits[0].double().tolist(), meaning, activation, found.output.scale)
    chosen = read_target(target, meaning, answer.predicted)
    weights = output_weights(chosen.weights, meaning)
    if found.weights[0].tolist() != weights:  # the answer was not what the numbers looked like
        found = explained(weights)
    for name, one in found.items():
        found[name] = replace(one, units=one.units.replace("logit", meaning.scale))
    prediction = Prediction(
        logits=answer.values,
        probabilities=answer.probabilities,
        predicted=answer.predicted,
        **members_facts(members, image, found.output, meaning),
    )
    return prediction, Target(chosen.name, chosen.weights, chosen.of(answer.values), chosen.reference), found


def checks_of(
    level: str,
    bundle: ModelBundle,
    prepared: PreprocessedScan,
    labels: Volume,
    methods: Sequence[Any],
    attributions: Attributions,
    device: str,
    progress: ProgressCallback,
    fluid: Volume | None = None,
    anatomy: Segmentation | None = None,
) -> Callable[[Mapping[str, np.ndarray]], list[Verdict]]:
    """The function that runs the trust checks of ``level`` on maps on the model's grid; with "off" it runs none.

    The level "full" changes the structures of ``anatomy``, this brain's.
    """
    import torch

    changeable = structures_on_grid(anatomy, prepared.grid, prepared) if level == "full" and anatomy else {}

    answers: dict[Any, Any] = {}  # methods are checked first, the summary later: the network is asked once

    def check(maps: Mapping[str, np.ndarray]) -> list[Verdict]:
        if level == "off":
            return []
        grid = prepared.grid

        def on(chosen: str) -> list[Verdict]:
            return run_checks(
                level,
                explainer_of(bundle),
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
                answers=answers,
                structures=changeable,
                towards=towards_disease(bundle.metadata.output),
                fluid=None if fluid is None else fluid.array,
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
