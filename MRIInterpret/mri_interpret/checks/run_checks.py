"""All checks by name and level, and their verdicts on one explained image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array, Grid
from ..progress import ProgressCallback, silent
from .conservation import check_conservation
from .explained_image import UNSIGNED, Explain, ExplainedImage, Maps
from .faithfulness_checks import FULL_SETS, check_correlation, check_curves
from .imputation import template_imputation, template_mask
from .localisation import check_localisation
from .outside_brain import check_outside_brain
from .random_logit import CHECK as OTHER_CLASS
from .random_logit import check_random_logit
from .randomisation import CHECK as RANDOMISATION
from .randomisation import check_randomisation
from .recovery import CHECK as RECOVERY
from .recovery import check_recovery
from .silhouette import SILHOUETTE, check_silhouette
from .stability import check_stability
from .verdict import Verdict
from .volume_maps import check_plausibility, once, volume_maps, without_costly, without_counterfactuals

if TYPE_CHECKING:
    import torch

    from ..attribution import Explainer, Method
    from ..attribution.method import Reading
    from ..attribution.outputs import OutputChoice

LEVELS = ("fast", "full")
FINITE = "finite values"
IMPUTED = "imputed brain"  # among the answers: the template's brain with this image's intensities


@dataclass(frozen=True)
class Check:
    """One check of the registry.

    Attributes
    ----------
    name
        In progress messages and lists.
    level
        "fast": always run. "full": only on request, because it takes many passes through the network.
    run
        From an explained image, a seed and progress to verdicts: one or more for each map; or some on the model and the
        scan, where there is a map that can be computed again (the summary's turn does not ask again).
    run_fast
        What runs instead at the level "fast".
    """

    name: str
    level: str
    run: Callable[[ExplainedImage, int, ProgressCallback], list[Verdict]]
    run_fast: Callable[[ExplainedImage, int, ProgressCallback], list[Verdict]] | None = None


CHECKS: tuple[Check, ...] = (
    Check("conservation", "fast", lambda explained, seed, progress: check_conservation(explained)),
    Check("outside the brain", "fast", lambda explained, seed, progress: check_outside_brain(explained)),
    Check("localisation", "fast", lambda explained, seed, progress: check_localisation(explained)),
    Check("plausibility", "fast", lambda explained, seed, progress: check_plausibility(explained)),
    Check(RANDOMISATION, "fast", check_randomisation, without_costly(RANDOMISATION, check_randomisation)),
    Check(
        "faithfulness",
        "fast",
        lambda explained, seed, progress: check_correlation(explained, seed, progress, FULL_SETS),
        lambda explained, seed, progress: check_correlation(explained, seed, progress),
    ),
    Check(
        OTHER_CLASS,
        "full",
        without_counterfactuals(OTHER_CLASS, lambda explained, seed, progress: check_random_logit(explained, progress)),
    ),
    Check("deletion, insertion", "full", lambda explained, seed, progress: check_curves(explained, seed, progress)),
    Check("stability", "full", lambda explained, seed, progress: check_stability(explained, seed, progress)),
    Check(SILHOUETTE, "full", check_silhouette),
    Check(RECOVERY, "full", check_recovery),
)


def run_checks(
    level: str,
    explainer: Explainer,
    image: torch.Tensor,
    maps: Maps,
    *,
    target: Sequence[float],
    mask: Array,
    labels: Array,
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0),
    methods: Sequence[str | Method] | None = None,
    details: Mapping[str, Mapping[str, Any]] | None = None,
    truth: Array | None = None,
    affected: Sequence[int] = (),
    device: str | None = None,
    grid: Grid | None = None,
    seed: int = 0,
    progress: ProgressCallback = silent,
    output: OutputChoice | None = None,
    fluid: Array | None = None,
    answers: MutableMapping[Any, NDArray[Any]] | None = None,
    structures: Mapping[str, Array] | None = None,
    towards: Sequence[float] | None = None,
) -> list[Verdict]:
    """Check the maps of one image.

    Parameters
    ----------
    level
        "fast" (a few passes through the network) or "full".
    explainer
        Of the network that was explained.
    image
        (1, C, I, J, K), what the network saw.
    maps
        Raw relevance by method, (I, J, K); may hold "summary".
    target
        A weight for each logit.
    mask, labels
        Brain and atlas labels, (I, J, K).
    spacing
        Voxel size in mm.
    methods
        The methods as they were given to the explainer, if any was configured; their keys are those of ``maps``.
    details
        By method, from the attributions.
    truth, affected
        For simulated subjects: where the image was changed, and in which regions.
    device
        Where the network computes, and maps are computed again; where the model is if left out. It is moved back.
    grid
        The model's grid in template space. With it, the template takes the place of removed parts of the brain; without
        it, or where there are several channels, the blurred brain of each.
    seed
        Random seed.
    progress
        Called after each step; may raise :class:`~mri_interpret.errors.Cancelled`.
    output
        Which of the model's outputs was explained, from the attributions.
    fluid
        Share of each voxel that is fluid, (I, J, K), as the explainer got it.
    answers
        One dictionary for all calls with the same network, image and target: what does not depend on the maps is found
        once.
    structures
        Share of each voxel, (I, J, K), that each structure of this brain fills, by the names of
        :data:`.recovery.STRUCTURES`; for the level "full".
    towards
        A weight for each logit: the answer that rises as these structures waste; None if the model has none.

    Returns
    -------
    list of Verdict
        Sorted by method, in the order of ``maps``; those on the model itself come last.

    Raises
    ------
    ValueError
        If the level is unknown or shapes differ.
    """
    from ..attribution.device import on_device

    known: MutableMapping[Any, NDArray[Any]] = {} if answers is None else answers
    # The template is T1-weighted: several inputs are filled with their own blurred brains.
    by_template = grid is not None and image.shape[1] == 1
    if by_template and grid is not None and IMPUTED not in known:
        known[IMPUTED] = template_imputation(image[0, 0].detach().cpu().numpy(), mask, grid)
    again = methods if methods is not None else [name for name in maps if name != "summary"]
    # Checks ask the network far more often than the explanation did: they must not be left on the CPU.
    with on_device(explainer.model, device) as place:
        explained = ExplainedImage(
            network=explainer.model,
            image=image.to(place),
            target=target,
            maps=maps,
            mask=mask,
            labels=labels,
            spacing=spacing,
            explain=explain_function(again, mask, labels, device, explainer.undoes_activation, spacing, fluid),
            unsigned=(*UNSIGNED, *volume_maps(maps)),
            readings=readings_of(again),
            details=details or {},
            truth=truth,
            affected=affected,
            output=output,
            imputed=known[IMPUTED] if by_template else None,
            structures=structures or {},
            towards=towards,
            template_mask=None if grid is None else template_mask(grid),
            answers=known,
        )
        return check_explained(level, explained, seed, progress)


def check_explained(
    level: str, explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent
) -> list[Verdict]:
    """Run every check of a level; see :func:`run_checks`."""
    if level not in LEVELS:
        raise ValueError(f"level must be one of {LEVELS}, not {level!r}")
    from ..attribution.evaluation_mode import evaluation_mode

    names = tuple(explained.maps)
    verdicts, explained = _without_broken_maps(explained)
    with evaluation_mode(explained.network):
        for check in CHECKS:
            if level == "full":
                verdicts += check.run(explained, seed, progress)
            elif check.level == "fast":
                verdicts += (check.run_fast or check.run)(explained, seed, progress)
    place = {name: index for index, name in enumerate(names)}
    return sorted(verdicts, key=lambda verdict: place.get(verdict.method, len(place)))


def _without_broken_maps(explained: ExplainedImage) -> tuple[list[Verdict], ExplainedImage]:
    """Maps with NaN or infinite values fail at once; the other checks see the rest."""
    verdicts, good = [], {}
    for name, values in explained.maps.items():
        broken = int(np.count_nonzero(~np.isfinite(values)))
        if not broken:
            good[name] = values
            continue
        sentence = f"{broken} voxels of the map are not finite numbers: the method failed on this model."
        verdicts.append(Verdict(name, FINITE, broken, 0.0, "fail", sentence))
    return verdicts, replace(explained, maps=good)


def readings_of(methods: Sequence[str | Method]) -> dict[str, Reading]:
    """How the map of each method is read, by its key; see :attr:`Method.reading`."""
    from ..attribution.registry import resolve_methods

    return {key: method.read_as for key, method in resolve_methods(list(methods)).items()} if methods else {}


def explain_function(
    methods: Sequence[str | Method],
    mask: Array,
    labels: Array,
    device: str | None = None,
    undo_activation: bool = True,
    spacing: Sequence[float] | None = None,
    fluid: Array | None = None,
) -> Explain:
    """The function that computes maps for another network or image, with the methods as they were configured."""
    from ..attribution.registry import resolve_methods

    configured = {key: once(method) for key, method in resolve_methods(list(methods)).items()} if methods else {}

    def explain(network: Any, image: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
        import torch

        from ..attribution import Explainer

        if not names:
            return {}
        wanted = [configured[name] for name in names]
        found = Explainer(network, undo_activation=undo_activation).explain(
            image,
            target=list(target),
            methods=wanted,
            device=device,
            brain_mask=torch.as_tensor(np.asarray(mask) > 0),
            regions=torch.as_tensor(np.asarray(labels).astype(np.int64)),
            spacing=spacing,
            fluid=None if fluid is None else torch.as_tensor(np.asarray(fluid, dtype=np.float32)),
        )
        arrays = (_array(one.map) for one in found.values())
        return dict(zip(names, arrays, strict=True))

    return explain


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array = values.detach().cpu().numpy().astype(np.float32)
    return array.reshape(array.shape[-3:])


def failed_randomisation(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Methods that fail the randomisation check, with the reason: the summary score excludes them."""
    return {
        verdict.method: f"its map hardly changes when the network's upper half becomes random ({verdict.value:.2f})"
        for verdict in verdicts
        if verdict.check == RANDOMISATION and verdict.verdict == "fail"
    }
