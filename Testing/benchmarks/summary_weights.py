"""How much the best method has to count so that the summary score is as good as that method alone.

    python -m Testing.benchmarks.summary_weights --results DIR --bundle BUNDLE [--write]

DIR is a benchmark that the bundle took part in. On the choosing half's pictured AD subjects (of all networks there),
the summary score is made from the default methods that the bundle's metadata does not exclude, with weights 1, 2 ...
for the method that localises best. The smallest weight whose mean (relevance mass in the truth over chance) falls short
of the best method's by no more than that method's bootstrap interval over all AD subjects of the choosing half is
written into the bundle's metadata.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.atomic import write_text
from mri_interpret.benchmark.benchmarked_model import summary_methods
from mri_interpret.benchmark.methods import fast_methods
from mri_interpret.benchmark.simulated_subjects import strong_effect
from mri_interpret.benchmark.stored_maps import read_maps
from mri_interpret.benchmark.tables import correctly_classified
from mri_interpret.images.volume import Grid
from mri_interpret.metrics.bootstrap import mean_estimate
from mri_interpret.models.bundle import load_bundle
from mri_interpret.summary import Preparation, join_densities

WEIGHTS = range(1, 11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="put the weight into the bundle's metadata")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    keys = summary_methods(bundle, fast_methods())
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.results / "rows").glob("*.csv"))])
    right = correctly_classified(rows[rows["half"] == "choose"])
    gains = measured(options.results, right, keys, bundle.metadata.grid)
    alone = gains.groupby("subject")[[f"{key} alone" for key in keys]].mean().mean()
    best = str(alone.idxmax()).removesuffix(" alone")
    own = right[(right["measure"] == "times chance") & (right["method"] == best)]
    mean = mean_estimate(own.groupby("subject")["value"].mean())
    print(f"{best} alone, {own['subject'].nunique()} subjects: {mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})")
    needed = mean.low / mean.value * alone.max()
    print(f"{gains['subject'].nunique()} pictured subjects: {alone.max():.2f} alone, {needed:.2f} are needed")
    chosen = None
    for weight in WEIGHTS:
        found = gains.groupby("subject")[f"{best} {weight}"].mean().mean()
        print(f"weight {weight}: {found:.2f}")
        if chosen is None and found >= needed:
            chosen = weight
    if chosen is None:
        raise SystemExit("No weight is enough.")
    print(f"chosen: {chosen}")
    if options.write:
        path = options.bundle / "configs" / "metadata.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        record["mri_interpret"]["summary_weights"] = {best.split(" ")[0]: float(chosen)}
        write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


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
