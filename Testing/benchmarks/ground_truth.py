"""Attribution methods against simulated atrophy, whose place is known voxel by voxel. See README.md in this folder.

    python Testing/benchmarks/ground_truth.py --out results                       # the bundled network, 200 subjects
    python Testing/benchmarks/ground_truth.py --out results --bundle A --bundle B  # several training seeds
    python Testing/benchmarks/ground_truth.py --out results --anatomies FOLDER     # FreeSurfer-style label maps

Each subject is measured once and kept in OUT/rows: a run that was stopped goes on where it was. At its end OUT holds
rows.csv (everything measured), tables.md (means, intervals, ranks) and maps.webp (true effect beside the mean maps).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mean_maps import MeanMaps, mean_map_picture
from MRIInterpretLib.atomic import replacing, write_bytes, write_text
from MRIInterpretLib.attribution import available_methods
from MRIInterpretLib.models.bundle import load_bundle
from MRIInterpretLib.models.registry import DEFAULT_MODEL, find_model
from MRIInterpretLib.simulation.anatomy import MODEL_GRID, Anatomy, list_label_maps, read_anatomy
from MRIInterpretLib.simulation.template_anatomy import template_anatomy
from MRIInterpretLib.trust.benchmark import measure_subject
from MRIInterpretLib.trust.benchmark_tables import result_page
from MRIInterpretLib.trust.simulated import (
    TruthSubject,
    affected_labels,
    atlas_on_model_grid,
    truth_subjects,
)

METHODS = (
    "lrp",
    "guided_backprop",
    "grad_cam",
    "grad_cam_pp",
    "guided_grad_cam_pp",
    "lrp_grad_cam_pp",
    "gradient",
    "gradient_x_input",
    "integrated_gradients",
)
SEED = 20261122


def main() -> None:
    options = arguments()
    anatomies = chosen_anatomies(options.anatomies)
    labels, names = atlas_on_model_grid()
    affected = affected_labels(names)
    bundles = [load_bundle(path) for path in options.bundle] or [find_model(DEFAULT_MODEL)]
    methods = options.methods.split(",") if options.methods else METHODS
    means = MeanMaps()
    for index, given in enumerate(truth_subjects(anatomies, options.subjects, options.seed)):
        for number, bundle in enumerate(bundles):
            path = options.out / "rows" / f"{number}_{index:05d}.csv"
            stored = options.out / "maps" / f"{number}_{index:05d}.npz"
            if not path.exists():
                with_stability = index < options.stability
                rows, maps = measure_subject(
                    bundle.network,
                    given,
                    methods,
                    labels,
                    affected,
                    MODEL_GRID,
                    device=options.device,
                    with_stability=with_stability,
                )
                rows.insert(0, "network", number)
                if given.group == "AD":
                    keep_maps(stored, given, maps)
                with replacing(path) as aside:
                    rows.to_csv(aside, index=False)
                print(f"subject {index + 1} of {options.subjects}, network {number}: {given.name}", flush=True)
            if stored.exists():
                means.add(stored)
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.out / "rows").glob("*.csv"))], ignore_index=True)
    with replacing(options.out / "rows.csv") as aside:
        rows.to_csv(aside, index=False)
    write_text(options.out / "tables.md", result_page(rows, titles()))
    if means.count:
        write_bytes(options.out / "maps.webp", mean_map_picture(means, MODEL_GRID))
    print((options.out / "tables.md").read_text(encoding="utf-8"))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; a run there is resumed")
    parser.add_argument("--bundle", action="append", default=[], type=Path, help="a bundle's folder; may be repeated")
    parser.add_argument("--anatomies", type=Path, help="folder of label maps; the template's anatomy if left out")
    parser.add_argument("--subjects", type=int, default=200)
    parser.add_argument("--stability", type=int, default=30, help="how many subjects are also explained when changed")
    parser.add_argument("--methods", default="", help="comma-separated names; the usual ones if left out")
    parser.add_argument("--device", default=None, help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def titles() -> dict[str, str]:
    return {name: info.title for name, info in available_methods().items()} | {"summary": "**Summary score**"}


def chosen_anatomies(folder: Path | None) -> Sequence[Anatomy]:
    return [template_anatomy()] if folder is None else [read_anatomy(path) for path in list_label_maps(folder)]


def keep_maps(path: Path, given: TruthSubject, maps: Any) -> None:
    """Half precision is enough for a picture of means."""
    scaled = {name: values / max(float(np.abs(values).max()), 1e-30) for name, values in maps.items()}
    arrays = {name: values.astype(np.float16) for name, values in scaled.items()}
    with replacing(path) as aside:
        np.savez_compressed(
            aside, image=given.image[0, 0].numpy().astype(np.float16), effect=given.effect.astype(np.float16), **arrays
        )


if __name__ == "__main__":
    main()
