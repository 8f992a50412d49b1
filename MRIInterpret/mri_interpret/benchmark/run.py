"""The benchmark over subjects and networks: one file per subject and network, so that a stopped run goes on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..atomic import replacing, write_text
from ..errors import UserError
from ..images.volume import Grid, Volume, resample
from ..models.targets import output_weights, parse_target
from ..progress import ProgressCallback, silent
from .design import BenchmarkDesign, fast_methods, slow_methods
from .measurements import measure_subject
from .network_under_test import NetworkUnderTest, random_copy
from .simulated_subjects import AFFECTED, SimulatedSubject, strong_effect
from .stored_maps import maps_path, save_maps
from .subject_cache import SubjectStream

if TYPE_CHECKING:
    from torch import nn

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
    bundle: ModelBundle, target: str = TARGET, methods: Sequence[str] | None = None, device: str | None = None
) -> BenchmarkedModel:
    """A bundle made ready.

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

    Raises
    ------
    UserError
        If the model has no such classes.
    """
    classes = bundle.metadata.classes
    meaning = bundle.metadata.output
    _, weights = parse_target(target, classes, dict.fromkeys(classes, 0.0), meaning.single)
    labels, names = _atlas(grid_of(bundle))
    fast = fast_methods() if methods is None else fast_methods(methods)
    slow = slow_methods() if methods is None else slow_methods(methods)
    under_test = NetworkUnderTest(
        network=bundle.network,
        target=output_weights(weights, meaning),
        grid=grid_of(bundle),
        labels=labels,
        structures=affected_structures(names),
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


def affected_structures(names: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    """Labels (left and right) of each structure of :data:`.simulated.AFFECTED`."""
    return {
        structure: tuple(label for label, name in names.items() if name.lower().endswith(structure.lower()))
        for structure in AFFECTED
    }


def _atlas(grid: Grid) -> tuple[NDArray[np.int64], dict[int, str]]:
    from ..anatomy.atlas import load_default_atlas

    atlas = load_default_atlas()
    labels = np.asarray(resample(atlas.volume, grid, order=0).array, dtype=np.int64)
    return labels, {region.label: region.name for region in atlas.regions}


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
    )


def run_benchmark(
    models: Sequence[BenchmarkedModel],
    stream: SubjectStream,
    design: BenchmarkDesign,
    folder: Path,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """Measure what is missing in ``folder``, and return everything that is there of this plan and these networks.

    Raises
    ------
    UserError
        If the folder holds a benchmark with other settings.
    Cancelled
        If ``progress`` raised it; what is complete stays.
    """
    anatomies = len(stream.anatomies)
    _same_settings(folder / "settings.json", design, stream, models)
    missing = [
        (index, one)
        for index in range(design.subjects)
        for one in models
        if not _rows_path(folder, one, index).exists()
    ]
    untrained: dict[str, nn.Module] = {}
    given, at = None, -1
    for done, (index, one) in enumerate(missing):
        title = f"Subject {index + 1} of {design.subjects}"

        def part(_: str, fraction: float, done: int = done, title: str = title) -> None:
            progress(title, (done + min(fraction, 0.999)) / len(missing))

        part("", 0.0)
        if given is None or at != index:
            given, at = stream[index], index
        if one.name not in untrained:
            first = on_grid(stream[0], one.bundle).image
            untrained[one.name] = random_copy(one.under_test, first, design.seed)
        extra = design.extra(index, anatomies)
        frame, maps = measure_subject(
            one.under_test,
            on_grid(given, one.bundle),
            extra,
            untrained[one.name],
            seed=zlib.crc32(f"{design.seed} {index}".encode()),
            progress=part,
        )
        frame.insert(0, "network", one.name)
        frame.insert(1, "half", design.half(index, anatomies))
        if extra.pictured:
            save_maps(maps_path(folder, one.name, index), on_grid(given, one.bundle), maps)
        with replacing(_rows_path(folder, one, index)) as aside:
            frame.to_csv(aside, index=False, float_format="%.6g")
    progress(f"Subject {design.subjects} of {design.subjects}", 1.0)
    paths = [_rows_path(folder, one, index) for one in models for index in range(design.subjects)]
    return pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)


def _rows_path(folder: Path, one: BenchmarkedModel, index: int) -> Path:
    return folder / "rows" / f"{one.name}_{index:05d}.csv"


def _same_settings(
    path: Path, design: BenchmarkDesign, stream: SubjectStream, models: Sequence[BenchmarkedModel]
) -> None:
    """Rows of two designs must not mix."""
    methods = list(models[0].under_test.methods) + list(models[0].under_test.slow)
    target = [float(weight) for weight in models[0].under_test.target]
    wanted = {
        **design.record(),
        "anatomies": [anatomy.name for anatomy in stream.anatomies],
        "methods": methods,
        "target": target,
    }
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != wanted:
            different = sorted(key for key in wanted if found.get(key) != wanted[key])
            raise UserError(
                f"{path.parent} holds a benchmark with other settings ({', '.join(different)}): choose another output "
                "folder, or delete it."
            )
    else:
        write_text(path, json.dumps(wanted, indent=1) + "\n")
