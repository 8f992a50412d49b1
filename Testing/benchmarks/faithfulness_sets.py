"""How often faithfulness is passed with more random eighths of the brain replaced, and by maps that know nothing.

    python -m Testing.benchmarks.faithfulness_sets BUNDLE --label-maps DIR -o rows.csv [--subjects 16] [--cache DIR]
    python -m Testing.benchmarks.faithfulness_sets --tables rows.csv

Simulated subjects over 08 and 17, CN and AD in turn, which the bundle must not have seen; the default methods, the
summary score, and five maps of blurred noise, which may pass in one of twenty subjects. The fewer sets are the first of
the many. Nothing is chosen by the outcome. Each subject's rows are kept at once: the same call goes on after a stop.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.atomic import replacing
from mri_interpret.attribution.registry import DEFAULT_METHODS
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model, on_grid
from mri_interpret.benchmark.network_measurements import as_explained_image, joined_maps
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import FLUID
from mri_interpret.checks.faithfulness_checks import CORRELATION, check_correlation, replaced_eighths
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.models.bundle import load_bundle
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import PUBLISHED
from scipy import ndimage

ANATOMIES, GROUPS, SEED = ("08", "17"), ("CN", "AD"), 20261127
SETS = (32, 64, 128, 256)
PLACEBOS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--label-maps", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--subjects", type=int, default=16)
    parser.add_argument("--cache", type=Path, help="where simulated subjects are kept")
    parser.add_argument("--tables", type=Path, help="print the table of these rows")
    options = parser.parse_args()
    if options.tables:
        print(table(pd.read_csv(options.tables)))
        return
    torch.set_num_threads(1)
    one = benchmarked_model(load_bundle(options.bundle), methods=list(DEFAULT_METHODS), disease=PUBLISHED)
    cache = options.cache or options.output.parent / "subjects"
    anatomies = chosen_anatomies(options.label_maps, ANATOMIES, silent, PUBLISHED, cache / "anatomies")
    stream = SubjectStream(anatomies, SEED, cache, groups=GROUPS, disease=PUBLISHED)
    kept = pd.read_csv(options.output) if options.output.exists() else pd.DataFrame()
    for number in range(options.subjects):
        if len(kept) and number in set(kept["number"]):
            continue
        rows = measured(one, on_grid(stream[number], one.bundle), number)
        kept = pd.concat([kept, rows])
        with replacing(options.output) as aside:
            kept.to_csv(aside, index=False, float_format="%.4g")
        print(number, flush=True)


def measured(one: BenchmarkedModel, given: SimulatedSubject, number: int) -> pd.DataFrame:
    """A row for each map and number of sets: correlation, what chance reaches, and whether it passes."""
    under_test = one.under_test
    maps, resolution = under_test.explain(
        under_test.network, given.image, given.mask, under_test.methods, given.shares.get(FLUID)
    )
    joined = joined_maps(under_test, maps, given.mask, resolution)
    noise = np.random.default_rng((SEED, number))
    placebos = {
        f"noise {index}": np.abs(ndimage.gaussian_filter(noise.normal(size=given.mask.shape), 2)).astype(np.float32)
        for index in range(PLACEBOS)
    }
    all_maps = {**maps, **joined, **placebos}
    explained = as_explained_image(under_test, given, under_test.network, given.image, all_maps)
    explained = replace(explained, unsigned=(*explained.unsigned, *joined, *placebos))
    _, _, drops = replaced_eighths(explained, number, sets=max(SETS))
    rows = []
    for sets in SETS:
        explained.answers[CORRELATION, number, sets] = drops[:sets]
        for verdict in check_correlation(explained, number, sets=sets):
            rows.append((sets, verdict.method, verdict.value, verdict.threshold, verdict.verdict == "pass"))
    found = pd.DataFrame(rows, columns=["sets", "method", "correlation", "chance", "passes"])
    return found.assign(number=number, group=given.group, anatomy=given.anatomy)


def table(rows: pd.DataFrame) -> str:
    """Mean correlation and share of subjects that pass, by map and number of sets, as Markdown."""
    rows = rows[~rows["method"].str.contains("|", regex=False)]  # other ways to join maps than the summary score
    rows = rows.assign(method=rows["method"].str.replace(r" \d+$", "", regex=True))
    lines = [
        "| map | " + " | ".join(f"{sets} sets: correlation | passes" for sets in SETS) + " |",
        "|---" * (1 + 2 * len(SETS)) + "|",
    ]
    for method, part in rows.groupby("method", sort=False):
        cells = [part[part["sets"] == sets] for sets in SETS]
        shown = (f"{cell['correlation'].mean():.2f} | {cell['passes'].sum()} of {len(cell)}" for cell in cells)
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
