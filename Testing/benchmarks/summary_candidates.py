"""Maps of all methods that may join the summary score, to choose among them with ``summary_weights.py --methods``.

    python -m Testing.benchmarks.summary_candidates SEED1 SEED2 SEED3 --label-maps DIR -o DIR [--seconds 3000]
    python -m Testing.benchmarks.summary_weights --results DIR --bundle BUNDLE --methods all

The default methods that the bundle that ships does not exclude, the volume gradient, and SmoothGrad and integrated
gradients with 30 samples each, on the AD subjects of ``volume_methods.py``: each by one network, in turn. The same call
goes on after a stop.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mri_interpret.atomic import replacing
from mri_interpret.attribution.registry import create_method
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model, on_grid, summary_methods
from mri_interpret.benchmark.map_measurements import gain
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.stored_maps import maps_path, save_maps
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import FLUID
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.metrics.reference_maps import edge_map
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.registry import DEFAULT_MODEL, find_model
from mri_interpret.progress import silent

from Testing.benchmarks.ground_truth import HELD_OUT
from Testing.benchmarks.volume_methods import SEED

FURTHER: dict[str, dict[str, Any]] = {
    "volume_gradient": {},
    "smoothgrad": {"samples": 30},
    "integrated_gradients": {"steps": 30},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=32)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, help="where simulated subjects are kept; in the output folder if left out"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [with_candidates(benchmarked_model(load_bundle(path))) for path in options.bundles]
    anatomies = chosen_anatomies(options.label_maps, HELD_OUT, silent)
    stream = SubjectStream(anatomies, SEED, options.cache or options.output / "subjects", groups=("AD",))
    run(models, stream, options.subjects, options.output, options.seconds)


def with_candidates(one: BenchmarkedModel, settings: dict[str, dict[str, Any]] | None = None) -> BenchmarkedModel:
    """The model with the methods that may join its summary score, and no others."""
    fast = one.under_test.methods
    methods = {key: fast[key] for key in summary_methods(find_model(DEFAULT_MODEL), fast)}
    methods |= {name: create_method(name, **values) for name, values in (settings or FURTHER).items()}
    return replace(one, under_test=replace(one.under_test, methods=methods, slow={}))


def run(
    models: list[BenchmarkedModel],
    stream: SubjectStream,
    subjects: int,
    folder: Path,
    seconds: float = float("inf"),
) -> None:
    """Measure what is missing in ``folder``, each subject by one of the networks in turn."""
    ending = time.monotonic() + seconds
    for index in range(subjects):
        one = models[index % len(models)]
        path = folder / "rows" / f"{one.name}_{index:05d}.csv"
        if path.exists():
            continue
        if time.monotonic() > ending:
            print("out of time", flush=True)
            return
        given = on_grid(stream[index], one.bundle)
        frame, maps = measure(one, given)
        frame.insert(0, "half", ("choose", "report")[index % 2])
        save_maps(maps_path(folder, one.name, index), given, maps)
        with replacing(path) as aside:
            frame.to_csv(aside, index=False, float_format="%.6g")
        print(path.stem, round(time.process_time()), flush=True)


def measure(one: BenchmarkedModel, given: SimulatedSubject) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Times chance of each candidate and of an edge detector, and the candidates' maps."""
    under_test = one.under_test
    maps, _ = under_test.explain(
        under_test.network, given.image, given.mask, under_test.methods, given.shares.get(FLUID)
    )
    edges = np.where(given.mask, edge_map(given.image[0, 0].numpy()), 0)
    rows = [
        (key, "times chance", gain(np.abs(values), given.mask, given.truth))
        for key, values in {**maps, "edges": edges}.items()
    ]
    contrast = float(explained_values(under_test.network, given.image, list(under_test.target))[0])
    facts = {"network": one.name, "subject": given.name, "group": given.group, "called_ill": contrast > 0}
    frame = pd.DataFrame(rows, columns=["method", "measure", "value"]).assign(**facts)
    return frame[[*facts, "method", "measure", "value"]], dict(maps)


if __name__ == "__main__":
    main()
