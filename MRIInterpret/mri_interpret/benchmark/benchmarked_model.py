"""A model of a benchmark: its bundle, its methods, and the simulated subjects as it takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.volume import Grid, Volume, resample
from ..models.targets import output_weights, read_target
from ..simulation.anatomy import STYLISED
from .methods import fast_methods, slow_methods
from .network_under_test import NetworkUnderTest
from .simulated_subjects import AFFECTED, SimulatedSubject, atlas_on_grid, strong_effect

if TYPE_CHECKING:
    from ..attribution import Method
    from ..models.bundle import ModelBundle

TARGET = "AD-CN"


@dataclass(frozen=True)
class BenchmarkedModel:
    """One network of a benchmark: what is explained, and under which name its rows are kept."""

    name: str
    bundle: ModelBundle
    under_test: NetworkUnderTest


def benchmarked_model(
    bundle: ModelBundle,
    target: str = TARGET,
    methods: Sequence[str] | None = None,
    device: str | None = None,
    disease: str = STYLISED,
) -> BenchmarkedModel:
    """A bundle made ready for the benchmark.

    Parameters
    ----------
    bundle
        Any model whose classes allow the target.
    target
        The disease's class minus the healthy one's, as for the main job.
    methods
        Names; every method if left out.
    device
        Where to compute.
    disease
        Of the subjects, "published" or "stylised": it says which structures are affected.

    Raises
    ------
    UserError
        If the model has no such classes.
    """
    meaning = bundle.metadata.output
    if meaning.is_quantity:
        raise UserError(
            f"The model {bundle.metadata.name} returns a quantity ({meaning.classes[0]}); the benchmark needs classes, "
            "such as AD and CN, between which the simulated subjects differ."
        )
    weights = read_target(target, meaning).weights
    labels, names = atlas_on_grid(grid_of(bundle))
    fast = fast_methods() if methods is None else fast_methods(methods)
    slow = slow_methods() if methods is None else slow_methods(methods)
    under_test = NetworkUnderTest(
        network=bundle.network,
        target=output_weights(weights, meaning),
        grid=grid_of(bundle),
        labels=labels,
        structures=affected_structures(names, disease),
        methods=fast,
        slow=slow,
        summary_methods=summary_methods(bundle, fast),
        summary_weights=summary_weights(bundle, fast),
        device=device,
    )
    return BenchmarkedModel(bundle.hash[:8], bundle, under_test)


def summary_methods(bundle: ModelBundle, methods: Mapping[str, Method]) -> list[str]:
    """Keys of the default methods, less those that the bundle's metadata leaves out of the summary score."""
    from ..attribution.registry import DEFAULT_METHODS, create_method

    keys = {method: key for key, method in methods.items()}
    out = {**bundle.metadata.distrusted, **bundle.metadata.poorly_localised}
    chosen = [name for name in DEFAULT_METHODS if name not in out] or list(DEFAULT_METHODS)
    return [keys[method] for method in map(create_method, chosen) if method in keys]


def summary_weights(bundle: ModelBundle, methods: Mapping[str, Method]) -> dict[str, float]:
    """The bundle's weights of the summary score, by the methods' keys in the benchmark."""
    from ..attribution.registry import create_method

    keys = {method: key for key, method in methods.items()}
    found = {create_method(name): weight for name, weight in bundle.metadata.summary_weights.items()}
    return {keys[method]: weight for method, weight in found.items() if method in keys}


def affected_structures(names: Mapping[int, str], disease: str = STYLISED) -> dict[str, tuple[int, ...]]:
    """Labels (left and right) of each structure of :data:`.simulated_subjects.AFFECTED` of a disease."""
    return {
        structure: tuple(label for label, name in names.items() if name.lower().endswith(structure.lower()))
        for structure in AFFECTED[disease]
    }


def grid_of(bundle: ModelBundle) -> Grid:
    """The model's grid in template space, where the simulated subjects lie.

    Raises
    ------
    UserError
        If its input does not lie there.
    """
    grid = bundle.metadata.grid
    if grid is None:
        raise UserError(
            f"The benchmark's subjects lie in template space, and the inputs of {bundle.metadata.name} do not."
        )
    return grid


def on_grid(given: SimulatedSubject, bundle: ModelBundle) -> SimulatedSubject:
    """The subject as this model takes it: prepared by the model's own steps."""
    import torch

    from ..preprocessing.steps.chain import default_steps
    from ..preprocessing.steps.partial_input import ScanInTemplate
    from ..simulation.anatomy import MODEL_GRID

    chain, grid = bundle.metadata.preprocessing, grid_of(bundle)
    if chain == default_steps(MODEL_GRID, (0.5, 99.5)):
        return given

    def moved(array: NDArray[Any], order: int = 1) -> NDArray[Any]:
        volume = Volume(np.asarray(array, dtype=np.float32), MODEL_GRID.affine)
        return np.asarray(resample(volume, grid, order=order).array)

    scan = Volume(given.image[0, 0].numpy(), MODEL_GRID.affine, "the simulated subject")
    brain = scan.with_array(np.asarray(given.mask, dtype=np.uint8))
    made = chain.run(scan, ScanInTemplate(brain, lambda kind: np.eye(4)))
    mask = np.asarray(made.inside.array) > 0
    effect = moved(given.effect).astype(np.float32)
    return replace(
        given,
        image=torch.from_numpy(np.ascontiguousarray(made.channels))[None],
        mask=mask,
        effect=effect,
        truth=strong_effect(effect, mask),
        hippocampus=moved(given.hippocampus, 0) > 0.5,
        shares={name: moved(share) for name, share in given.shares.items()},
    )
