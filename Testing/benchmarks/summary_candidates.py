"""Maps of all methods that may join the summary score, to choose among them with ``summary_weights.py --methods all``.

    python -m Testing.benchmarks.summary_candidates BUNDLE [BUNDLE ...] --label-maps DIR -o DIR
        [--disease published] [--choosing 12] [--reporting 16] [--seconds 3000]
    python -m Testing.benchmarks.summary_weights --results DIR --bundle BUNDLE --methods all

The default methods that are not distrusted (by the bundle's own metadata or that of the one that ships), the volume
gradient, and SmoothGrad and integrated gradients with 30 samples each; on AD subjects over the held-out anatomies, each
by one network, in turn. 02 and 13 choose, 08 and 17 report. Each subject's rows are kept at once: the same call goes on
after a stop, and one with higher numbers adds to what is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mri_interpret.atomic import replacing
from mri_interpret.attribution.registry import DEFAULT_METHODS, create_method
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model, on_grid
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
from mri_interpret.simulation.anatomy import DISEASES, PUBLISHED

from Testing.benchmarks.ground_truth import HELD_OUT
from Testing.benchmarks.volume_methods import SEED

FURTHER: dict[str, dict[str, Any]] = {
    "volume_gradient": {},
    "smoothgrad": {"samples": 30},
    "integrated_gradients": {"steps": 30},
}
HALVES = ("choose", "report")  # of subject 0, 1, 2 ... in turn: the anatomies are 02, 08, 13, 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--disease", choices=DISEASES, default=PUBLISHED)
    parser.add_argument("--choosing", type=int, default=12, help="subjects over the anatomies 02 and 13")
    parser.add_argument("--reporting", type=int, default=16, help="subjects over the anatomies 08 and 17")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, help="where anatomies and subjects are kept; in the output folder if left out"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [
        with_candidates(benchmarked_model(bundle, disease=options.disease), bundle.metadata.distrusted)
        for bundle in map(load_bundle, options.bundles)
    ]
    cache = options.cache or options.output / "subjects"
    anatomies = chosen_anatomies(options.label_maps, HELD_OUT, silent, options.disease, cache / "anatomies")
    stream = SubjectStream(anatomies, SEED, cache, groups=("AD",), disease=options.disease)
    run(models, stream, subjects_of(options.choosing, options.reporting), options.output, options.seconds)


def subjects_of(choosing: int, reporting: int) -> list[int]:
    """Numbers of the subjects, the halves in turn as long as both have some left."""
    return sorted([2 * place for place in range(choosing)] + [2 * place + 1 for place in range(reporting)])


def with_candidates(
    one: BenchmarkedModel,
    distrusted: Mapping[str, str] | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
) -> BenchmarkedModel:
    """The model with the methods that may join its summary score, and no others.

    Methods whose maps hardly depend on what a network learned (``distrusted``, and those of the network that ships) are
    left out. Whether a map lies in the right place is asked anew, so methods that are excluded for that take part.
    """
    keys = {method: key for key, method in one.under_test.methods.items()}
    out = {**find_model(DEFAULT_MODEL).metadata.distrusted, **(distrusted or {})}
    usual = [create_method(name) for name in DEFAULT_METHODS if name not in out]
    methods = {keys[method]: method for method in usual if method in keys}
    methods |= {name: create_method(name, **values) for name, values in (settings or FURTHER).items()}
    return replace(one, under_test=replace(one.under_test, methods=methods, slow={}))


def run(
    models: list[BenchmarkedModel],
    stream: SubjectStream,
    subjects: list[int],
    folder: Path,
    seconds: float = float("inf"),
) -> None:
    """Measure what is missing in ``folder``, each subject by one of the networks in turn."""
    ending = time.monotonic() + seconds
    for index in subjects:
        one = models[index % len(models)]
        path = folder / "rows" / f"{one.name}_{index:05d}.csv"
        if path.exists():
            continue
        if time.monotonic() > ending:
            print("out of time", flush=True)
            return
        given = on_grid(stream[index], one.bundle)
        frame, maps = measure(one, given)
        frame.insert(0, "half", HALVES[index % 2])
        if maps:
            save_maps(maps_path(folder, one.name, index), given, maps)
        with replacing(path) as aside:
            frame.to_csv(aside, index=False, float_format="%.6g")
        print(path.stem, round(time.process_time()), flush=True)


def measure(one: BenchmarkedModel, given: SimulatedSubject) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Times chance of each candidate and of an edge detector, and the candidates' maps; none of a subject that the
    network does not call ill, which nothing is chosen by."""
    under_test = one.under_test
    contrast = float(explained_values(under_test.network, given.image, list(under_test.target))[0])
    facts = {"network": one.name, "subject": given.name, "group": given.group, "called_ill": contrast > 0}
    columns = ["method", "measure", "value"]
    if contrast <= 0:
        return pd.DataFrame([("", "contrast", contrast)], columns=columns).assign(**facts)[[*facts, *columns]], {}
    maps, _ = under_test.explain(
        under_test.network, given.image, given.mask, under_test.methods, given.shares.get(FLUID)
    )
    edges = np.where(given.mask, edge_map(given.image[0, 0].numpy()), 0)
    rows = [
        (key, "times chance", gain(np.abs(values), given.mask, given.truth))
        for key, values in {**maps, "edges": edges}.items()
    ]
    frame = pd.DataFrame(rows, columns=columns).assign(**facts)
    return frame[[*facts, *columns]], dict(maps)


if __name__ == "__main__":
    main()
