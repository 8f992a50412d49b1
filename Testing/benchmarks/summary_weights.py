"""What joins the summary score, and how much the best method has to count so that the score is as good as it alone.

    python -m Testing.benchmarks.summary_weights --results DIR --bundle BUNDLE [--methods all] [--write]

DIR is a benchmark that the bundle took part in. On the choosing half's pictured AD subjects (of all networks there),
the summary score is made from the default methods that the bundle's metadata does not exclude, with weights 1, 2 ...
for the method that localises best. The smallest weight whose mean (relevance mass in the truth over chance) falls short
of the best method's by no more than that method's bootstrap interval over all AD subjects of the choosing half is
written into the bundle's metadata, and told on the reporting half.

With ``--methods all``, for what ``summary_candidates.py`` stored: of every method whose maps pass the localisation
check and that the bundle's metadata does not distrust. Where no weight is enough, the one that localises worst is left
out, and so on. The same is asked of the methods that take one pass back each, because a summary that the panel makes by
default has a second. The table, with the differences from the score as it is, goes to summary_weights.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.atomic import write_text
from mri_interpret.attribution.registry import create_method
from mri_interpret.benchmark.benchmarked_model import summary_methods, summary_weights
from mri_interpret.benchmark.methods import SLOW, fast_methods
from mri_interpret.benchmark.simulated_subjects import strong_effect
from mri_interpret.benchmark.stored_maps import read_maps
from mri_interpret.benchmark.tables import correctly_classified
from mri_interpret.images.volume import Grid
from mri_interpret.metrics.bootstrap import Estimate, mean_estimate
from mri_interpret.models.bundle import load_bundle
from mri_interpret.summary import Preparation, join_densities
from mri_interpret.thresholds import LOCALISATION_TIMES_CHANCE

WEIGHTS = range(1, 11)
CHANCE = "times chance"
TITLES = {"choose": "choosing half", "report": "reporting half"}
OUT = Path(__file__).with_suffix(".md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="whose metadata say what joins now")
    parser.add_argument("--methods", default="default", choices=("default", "all"))
    parser.add_argument("--write", action="store_true", help="put the weight into the bundle's metadata")
    options = parser.parse_args()
    if options.write and options.methods == "all":
        raise SystemExit("--write knows the weights of the default methods only: make the others default first.")
    bundle = load_bundle(options.bundle)
    assert bundle.metadata.grid is not None
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.results / "rows").glob("[!.]*.csv"))])
    present = summary_methods(bundle, fast_methods())
    for half, words in TITLES.items():
        if correctly_classified(rows)["half"].ne(half).all():
            raise SystemExit(f"The network calls no AD subject of the {words} AD: measure more of them.")
    distrusted = {create_method(name) for name in bundle.metadata.distrusted}
    out = {key for key, method in fast_methods().items() if method in distrusted}
    keys = [key for key in well_localised(rows) if key not in out] if options.methods == "all" else present
    gains = measured(options.results, rows, [*dict.fromkeys([*keys, *present])], bundle.metadata.grid)
    now = Choice(present, {key: 1.0 for key in present} | summary_weights(bundle, fast_methods()), [])
    if options.methods == "all":
        text = page(rows, gains, keys, now)
        print(text)
        known = OUT.read_text(encoding="utf-8") if OUT.exists() else "# What the summary joins"
        intro = known.split("\n## ")[0].rstrip()
        write_text(OUT, f"{intro}\n\n{text}")
        return
    choice = choose(rows, gains, keys)
    print("\n".join(choice.lines))
    if choice.weights is None:
        raise SystemExit("No weight is enough.")
    print(comparison(gains, {"the choice": choice}, now))
    if options.write:
        path = options.bundle / "configs" / "metadata.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        best = max(choice.weights, key=choice.weights.__getitem__)
        record["mri_interpret"]["summary_weights"] = {best.split(" ")[0]: choice.weights[best]}
        write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Choice:
    """Methods that join, the best first, with their weights (None if none up to ten is enough), and how it came."""

    keys: list[str]
    weights: dict[str, float] | None
    lines: list[str]

    @property
    def words(self) -> str:
        return ", ".join(f"{key} {weight:g}" for key, weight in (self.weights or {}).items())


def well_localised(rows: pd.DataFrame) -> list[str]:
    """Methods that pass the localisation check in the mean over the choosing half, the best first."""
    right = correctly_classified(rows[rows["half"] == "choose"])
    means = right[right["measure"] == CHANCE].groupby("method")["value"].mean()
    bar = max(LOCALISATION_TIMES_CHANCE, float(means["edges"]))
    passing = means.drop("edges").sort_values(ascending=False)
    return [str(key) for key in passing[passing > bar].index]


def measured(results: Path, rows: pd.DataFrame, keys: list[str], grid: Grid) -> pd.DataFrame:
    """Times chance of each method, as it is and smoothed as the summary smooths it, a row per subject and network.

    Columns: half, subject, and for each method ``(key, "alone")`` and ``(key, "smoothed")`` as "key alone" and "key
    smoothed". Only of AD subjects that the network calls AD, and whose maps are stored.
    """
    found = []
    for row in correctly_classified(rows).drop_duplicates(["subject", "network"]).to_dict("records"):
        number = int(row["subject"].split(" ")[1])
        stored = read_maps(results / "maps" / f"{row['network']}_{number:05d}.npz")
        if stored is None:
            continue
        mask = stored["mask"] > 0
        truth = strong_effect(stored["effect"].astype(np.float32), mask)
        preparation, one = Preparation(mask, grid), {"half": row["half"], "subject": row["subject"]}
        for key in keys:
            size = np.abs(stored[key])
            one[f"{key} alone"] = float(size[truth].mean() / size[mask].mean())
            # As summarise() joins them by default: densities of the maps' sizes at the common resolution. A density's
            # mean is 1, so what the weighted mean of several has in the truth is the weighted mean of these.
            density = join_densities([preparation.inside_values(stored[key], "absolute")], np.ones((1, 1)))
            one[f"{key} smoothed"] = float(density[truth[mask]].mean())
        found.append(one)
    return pd.DataFrame(found)


def joined(gains: pd.DataFrame, weights: Mapping[str, float]) -> pd.Series:
    """Times chance of the weighted summary, a number per subject (the mean over its networks)."""
    total = sum(weights.values())
    summary = sum(weight / total * gains[f"{key} smoothed"] for key, weight in weights.items())
    return pd.Series(summary).groupby(gains["subject"]).mean()


def choose(rows: pd.DataFrame, gains: pd.DataFrame, keys: list[str]) -> Choice:
    """The rule, on the choosing half."""
    right = correctly_classified(rows[rows["half"] == "choose"])
    own = gains[gains["half"] == "choose"]
    alone = own.groupby("subject")[[f"{key} alone" for key in keys]].mean().mean()
    best = str(alone.idxmax()).removesuffix(" alone")
    values = right[(right["measure"] == CHANCE) & (right["method"] == best)]
    mean = mean_estimate(values.groupby("subject")["value"].mean())
    needed = mean.low / mean.value * alone.max()
    lines = [
        f"{best} alone, {mean.n} subjects: {mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})",
        f"{own['subject'].nunique()} pictured subjects: {alone.max():.2f} alone, {needed:.2f} are needed",
    ]
    chosen = None
    for weight in WEIGHTS:
        weights = {key: float(weight) if key == best else 1.0 for key in keys}
        found = joined(own, weights).mean()
        lines.append(f"weight {weight}: {found:.2f}")
        if chosen is None and found >= needed:
            chosen = weights
    return Choice(keys, chosen, lines)


def chosen_set(rows: pd.DataFrame, gains: pd.DataFrame, keys: list[str]) -> Choice:
    """The rule with as many of the methods, the best first, as have a weight that is enough."""
    for number in range(len(keys), 0, -1):
        choice = choose(rows, gains, keys[:number])
        if choice.weights is not None:
            return choice
    return choice


def page(rows: pd.DataFrame, gains: pd.DataFrame, keys: list[str], now: Choice) -> str:
    """Both tables as Markdown: the methods alone, and what the rule makes of them beside the score as it is."""
    right = correctly_classified(rows)
    found = right[right["measure"] == CHANCE]
    methods = found.groupby(["method", "half"])["value"]
    lines = [
        "## Methods alone\n",
        "Mass of absolute values in the truth over chance, as the map is, and smoothed to the summary's 8 mm; "
        "AD subjects that the network calls AD, mean [95 % bootstrap interval over subjects], n subjects.\n",
        f"| method | {' | '.join(TITLES.values())} | {', smoothed | '.join(TITLES.values())}, smoothed |",
        "|---" * 5 + "|",
    ]
    for key in sorted(set(found["method"]), key=lambda name: -methods.mean().get((name, "choose"), 0.0)):
        cells = [cell(mean_estimate(methods.get_group((key, half)))) for half in TITLES]
        if f"{key} smoothed" in gains:
            cells += [cell(mean_estimate(joined(gains[gains["half"] == half], {key: 1.0}))) for half in TITLES]
        cells = [*cells, "", ""][:4]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    choices = {"all that localise": chosen_set(rows, gains, keys)}
    one_pass = [key for key in keys if key not in SLOW]
    if one_pass and one_pass != keys:
        choices["of those, one pass back each"] = chosen_set(rows, gains, one_pass)
    lines += ["\n## What the rule chooses\n", comparison(gains, choices, now), "\n### How\n"]
    for name, choice in choices.items():
        lines += [f"- {name}: {choice.words or 'no weight is enough'}", *(f"  - {line}" for line in choice.lines)]
    return "\n".join(lines) + "\n"


def comparison(gains: pd.DataFrame, choices: Mapping[str, Choice], now: Choice) -> str:
    """The chosen summaries on both halves, and their paired difference from the score as it is."""
    lines = [
        "| summary | weights | choosing half | reporting half | difference, choosing | difference, reporting |",
        "|---|---|---|---|---|---|",
    ]
    halves = [gains[gains["half"] == half] for half in TITLES]
    for name, choice in {"as it is": now, **choices}.items():
        if choice.weights is None:
            continue
        values = [joined(half, choice.weights) for half in halves]
        cells = [cell(mean_estimate(one)) for one in values]
        if choice is not now:
            differences = [one - joined(half, now.weights or {}) for one, half in zip(values, halves, strict=True)]
            cells += [cell(mean_estimate(one)) for one in differences]
        lines.append(f"| {name} | {choice.words} | {' | '.join([*cells, '', ''][:4])} |")
    return "\n".join(lines)


def cell(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}], n {found.n}" if found.n else ""


if __name__ == "__main__":
    main()
