"""How much the best method has to count so that the summary score is as good as that method alone.

    python -m Testing.benchmarks.summary_weights --results DIR --bundle BUNDLE [--methods all] [--write]

DIR is a benchmark that the bundle took part in. On the choosing half's pictured AD subjects (of all networks there),
the summary score is made from the default methods that the bundle's metadata does not exclude, with weights 1, 2 ...
for the method that localises best. The smallest weight whose mean (relevance mass in the truth over chance) falls short
of the best method's by no more than that method's bootstrap interval over all AD subjects of the choosing half is
written into the bundle's metadata, and told on the reporting half.

With ``--methods all``: of every method whose maps are stored and pass the localisation check, see
``summary_candidates.py``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.atomic import write_text
from mri_interpret.benchmark.benchmarked_model import summary_methods, summary_weights
from mri_interpret.benchmark.methods import fast_methods
from mri_interpret.benchmark.simulated_subjects import strong_effect
from mri_interpret.benchmark.stored_maps import read_maps
from mri_interpret.benchmark.tables import correctly_classified
from mri_interpret.images.volume import Grid
from mri_interpret.metrics.bootstrap import mean_estimate
from mri_interpret.models.bundle import ModelBundle, load_bundle
from mri_interpret.summary import Preparation, join_densities
from mri_interpret.thresholds import LOCALISATION_TIMES_CHANCE

WEIGHTS = range(1, 11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--methods", default="default", help="default, or all: every one that was measured")
    parser.add_argument("--write", action="store_true", help="put the weight into the bundle's metadata")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.results / "rows").glob("*.csv"))])
    present = summary_methods(bundle, fast_methods())
    keys = well_localised(rows) if options.methods == "all" else present
    choice = choose(options.results, rows, keys, bundle.metadata.grid)
    print("\n".join(choice.lines))
    if choice.weight is None:
        raise SystemExit("No weight is enough.")
    print("\n".join(reported(options.results, rows, keys, choice, present, bundle)))
    if options.write:
        if options.methods == "all":
            raise SystemExit("--write knows the weights of the default methods only: make the others default first.")
        path = options.bundle / "configs" / "metadata.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        record["mri_interpret"]["summary_weights"] = {choice.best.split(" ")[0]: float(choice.weight)}
        write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Choice:
    """What the choosing half decides: the method that counts most and its weight (None if none is enough)."""

    best: str
    weight: int | None
    lines: list[str]


def well_localised(rows: pd.DataFrame) -> list[str]:
    """Methods that pass the localisation check in the mean over the choosing half, the best first."""
    right = correctly_classified(rows[rows["half"] == "choose"])
    means = right[right["measure"] == "times chance"].groupby("method")["value"].mean()
    bar = max(LOCALISATION_TIMES_CHANCE, float(means["edges"]))
    passing = means.drop("edges").sort_values(ascending=False)
    return [str(key) for key in passing[passing > bar].index]


def choose(results: Path, rows: pd.DataFrame, keys: list[str], grid: Grid) -> Choice:
    """The rule, on the choosing half."""
    right = correctly_classified(rows[rows["half"] == "choose"])
    gains = measured(results, right, keys, grid)
    alone = gains.groupby("subject")[[f"{key} alone" for key in keys]].mean().mean()
    best = str(alone.idxmax()).removesuffix(" alone")
    own = right[(right["measure"] == "times chance") & (right["method"] == best)]
    mean = mean_estimate(own.groupby("subject")["value"].mean())
    needed = mean.low / mean.value * alone.max()
    lines = [
        f"{best} alone, {own['subject'].nunique()} subjects: {mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})",
        f"{gains['subject'].nunique()} pictured subjects: {alone.max():.2f} alone, {needed:.2f} are needed",
        *(f"{name}: {value:.2f}" for name, value in alone.items()),
    ]
    chosen = None
    for weight in WEIGHTS:
        found = gains.groupby("subject")[f"{best} {weight}"].mean().mean()
        lines.append(f"weight {weight}: {found:.2f}")
        if chosen is None and found >= needed:
            chosen = weight
    return Choice(best, chosen, [*lines, f"chosen: {chosen}"])


def reported(
    results: Path, rows: pd.DataFrame, keys: list[str], choice: Choice, present: list[str], bundle: ModelBundle
) -> list[str]:
    """The choice on the half that decided nothing, beside the score as it is and every method alone."""
    right = correctly_classified(rows[rows["half"] == "report"])
    gains = measured(results, right, keys, bundle.metadata.grid)
    columns = {f"the choice ({choice.best} {choice.weight}, the others 1)": gains.get(f"{choice.best} {choice.weight}")}
    columns |= {f"{key} alone": gains.get(f"{key} alone") for key in keys}
    weights = summary_weights(bundle, fast_methods())
    if len(weights) == 1:
        ((key, weight),) = weights.items()
        now = measured(results, right, present, bundle.metadata.grid)
        columns[f"as it is ({key} {weight:g}, the others 1)"] = now.get(f"{key} {weight:g}")
    lines = [f"Reporting half, {right['subject'].nunique()} subjects:"]
    for name, values in columns.items():
        if values is not None:
            lines.append(f"{name}: {mean_estimate(values.groupby(gains['subject']).mean())}")
    return lines


def measured(results: Path, right: pd.DataFrame, keys: list[str], grid: Grid) -> pd.DataFrame:
    """Times chance of each method alone and of the weighted summary, a row per subject and network."""
    found = []
    for row in right.drop_duplicates(["subject", "network"]).to_dict("records"):
        number = int(row["subject"].split(" ")[1])
        stored = read_maps(results / "maps" / f"{row['network']}_{number:05d}.npz")
        if stored is None:
            continue
        mask = stored["mask"] > 0
        truth = strong_effect(stored["effect"].astype(np.float32), mask)
        maps = {key: stored[key] for key in keys}

        def gain(values: np.ndarray, mask: np.ndarray = mask, truth: np.ndarray = truth) -> float:
            return float(values[truth].mean() / values[mask].mean())

        one = {"subject": row["subject"], **{f"{key} alone": gain(np.abs(values)) for key, values in maps.items()}}
        # As summarise() joins them by default: densities of the maps' sizes at the common resolution.
        preparation = Preparation(mask, grid)
        sizes = [preparation.inside_values(values, "absolute") for values in maps.values()]
        hit = truth[mask]
        for place, best in enumerate(keys):
            for weight in WEIGHTS:
                shares = np.ones((len(keys), 1))
                shares[place] = weight
                joined = join_densities(sizes, shares / shares.sum())
                one[f"{best} {weight}"] = float(joined[hit].mean() / joined.mean())
        found.append(one)
    return pd.DataFrame(found)


if __name__ == "__main__":
    main()
