"""Whole counterfactuals under several metrics, on the same subjects: what do they ask for, and is it truer?

    python -m Testing.benchmarks.volume_metric_paired SEED1 SEED2 SEED3 --label-maps DIR -o DIR
        [--metrics "now" "apart, 6 mm"] [--subjects 2 6 8 12 14 16]

Where ``volume_metric.py`` compares first steps, this goes the whole way, until the network answers as for the same
brain without the disease (``volume_methods.py``: twins), and compares each structure's change with the one that would
undo the disease. Subjects of the choosing half (even numbers); one network each, in turn. Rows are kept one by one in
DIR, and so are the answers for the brains without the disease, so a stopped run goes on; the table of differences from
the metric that ships, with intervals over the subjects, goes to volume_metric_paired.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from mri_interpret.atomic import replacing, write_text
from mri_interpret.attribution import counterfactual
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model, on_grid
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import STRUCTURES
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.deformation.giving import GIVING_MM, Giving
from mri_interpret.deformation.head import Head
from mri_interpret.deformation.metric import Metric, metric_of
from mri_interpret.metrics.bootstrap import mean_estimate
from mri_interpret.models.bundle import load_bundle
from mri_interpret.progress import silent
from torch import Tensor

from Testing.benchmarks.ground_truth import HELD_OUT
from Testing.benchmarks.volume_measurements import TWIN, goal_rows
from Testing.benchmarks.volume_methods import SEED

NOW = "now: apart and giving (tissue 0.12), 5 mm"
OUT = Path(__file__).with_suffix(".md")
MEASURES = [
    *(f"{name}: {what}" for name in STRUCTURES for what in ("by warping", "error by warping")),
    *("times chance", "correlation with the true change", "reached"),
]


def metrics() -> dict[str, Callable[[Head, Tensor, float], Metric]]:
    """By title, what makes a metric of a head, shares of fluid on its image, and a smoothing that is not used."""

    def kinds(head: Head, fluid: Tensor) -> tuple[Tensor, Tensor]:
        wet = head.cells_of(fluid.float()).clamp(0, 1) * head.inside
        return torch.stack((head.inside - wet, wet)), wet

    def apart(sigma: float) -> Callable[[Head, Tensor, float], Metric]:
        return lambda head, fluid, _: Metric(kinds(head, fluid)[0], None, sigma, head.box)

    def giving(sigma: float, tissue: float, reach: float = GIVING_MM) -> Callable[[Head, Tensor, float], Metric]:
        def made(head: Head, fluid: Tensor, _: float) -> Metric:
            parts, wet = kinds(head, fluid)
            return Metric(parts, Giving(wet + tissue * head.inside, head.box, reach), sigma, head.box)

        return made

    return {
        NOW: lambda head, fluid, _: metric_of(head, fluid),
        "one kind of matter, 6 mm": lambda head, _fluid, _: Metric(head.inside[None], None, 6.0, head.box),
        "tissue and fluid apart, 6 mm": apart(6.0),
        "apart and giving (fluid alone), 5 mm": giving(5.0, 0.0),
        "apart and giving (fluid alone), 6 mm": giving(6.0, 0.0),
        "apart and giving (tissue 0.12), 3 mm": giving(3.0, 0.12),
        "apart and giving (tissue 0.12), 8 mm": giving(8.0, 0.12),
        "apart and giving (fluid alone, within 6 mm), 6 mm": giving(6.0, 0.0, 6.0),
    }


def measure(one: BenchmarkedModel, given: SimulatedSubject, level: float, made: Any) -> pd.DataFrame:
    """Measure and value of one subject under one metric, towards the answer without the disease."""
    with patch.object(counterfactual, "metric_of", made):
        rows = {name: value for _, name, value in goal_rows(replace(one.under_test, slow={}), given, level, TWIN)}
    found = {name.removeprefix(TWIN): value for name, value in rows.items()}
    for name in STRUCTURES:
        found[f"{name}: error by warping"] = abs(found[f"{name}: by warping"] - given.undoing[name])
    return pd.DataFrame({"measure": list(found), "value": list(found.values())})


def level_without_disease(one: BenchmarkedModel, stream: SubjectStream, number: int, folder: Path) -> float:
    """The explained value of a subject's brain without the disease; kept, because simulating it takes longest."""
    path = folder / "levels" / f"{number:05d} {one.name}.txt"
    if not path.exists():
        twin = on_grid(replace(stream[number], image=stream.twin(number)), one.bundle).image
        level = float(explained_values(one.bundle.network, twin, list(one.under_test.target))[0])
        write_text(path, f"{level!r}\n")
    return float(path.read_text(encoding="utf-8"))


def table(rows: pd.DataFrame) -> str:
    """Markdown: for each metric, the mean of each measure on its subjects, that of the one that ships on the same ones,
    and the mean paired difference with its 95 % interval."""
    wide = rows.pivot_table(index=["metric", "subject"], columns="measure", values="value")
    lines = []
    for name in [one for one in metrics() if one != NOW and one in wide.index]:
        both = wide.loc[name].add_suffix(" other").join(wide.loc[NOW], how="inner")
        lines += [
            f"\n## {name}\n",
            f"{len(both)} subjects: {', '.join(str(one) for one in both.index)}.\n",
            "| measure | now | this | difference |",
            "|---|---|---|---|",
        ]
        for measure_name in MEASURES:
            now, other = both[measure_name], both[f"{measure_name} other"]
            found = mean_estimate(other - now)
            if math.isnan(found.value):
                continue
            lines.append(
                f"| {measure_name} | {now.mean():.3f} | {other.mean():.3f} | {found.value:+.3f} "
                f"[{found.low:+.3f}, {found.high:+.3f}] |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--metrics", nargs="+", default=list(metrics()), choices=list(metrics()))
    parser.add_argument("--subjects", nargs="+", type=int, default=[2, 6, 8, 12, 14, 16])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, help="where simulated subjects are kept; in the output folder if left out"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [benchmarked_model(load_bundle(path), methods=["gradient"]) for path in options.bundles]
    anatomies = chosen_anatomies(options.label_maps, HELD_OUT, silent)
    stream = SubjectStream(anatomies, SEED, options.cache or options.output / "subjects", groups=("AD",))
    for number in options.subjects:
        one, subject = models[number % len(models)], stream[number]
        given = on_grid(subject, one.bundle)
        contrast = float(explained_values(one.bundle.network, given.image, list(one.under_test.target))[0])
        if contrast <= 0:
            continue  # holds no disease for this network
        level: float | None = None
        for place, (name, made) in enumerate(metrics().items()):
            path = options.output / "rows" / f"{number:05d} {place}.csv"
            if name not in options.metrics or path.exists():
                continue
            if level is None:
                level = level_without_disease(one, stream, number, options.output)
            with replacing(path) as aside:
                frame = measure(one, given, level, made).assign(metric=name, subject=number)
                frame.to_csv(aside, index=False, float_format="%.6g")
            print(number, name, flush=True)
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.output / "rows").glob("[!.]*.csv"))])
    intro = OUT.read_text(encoding="utf-8").split("\n## ")[0].rstrip() if OUT.exists() else "# Metrics, paired"
    write_text(OUT, f"{intro}\n{table(rows)}\n")


if __name__ == "__main__":
    main()
