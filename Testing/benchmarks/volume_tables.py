"""The tables of the study of the volume methods, from what is measured so far.

    python -m Testing.benchmarks.volume_tables DIR -o Testing/benchmarks/volume_methods

DIR is the folder of ``volume_methods.py``. Writes tables.md, tables.csv and rows.csv.gz. The subject is the unit:
several networks that explain one subject are averaged first; intervals are 95 % percentile bootstrap over subjects.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.atomic import replacing, write_text
from mri_interpret.benchmark.tables import interval_table
from mri_interpret.benchmark.volume_truth import CORRELATION, REACHED, STRUCTURES
from mri_interpret.checks.volume_maps import COUNTERFACTUAL, GRADIENT
from mri_interpret.metrics.bootstrap import Estimate, bootstrap, mean_estimate
from mri_interpret.metrics.similarity import correlation
from mri_interpret.simulation.groups import FRACTION, even_fraction

from Testing.benchmarks.volume_continued import CONTINUED, check, typical_answers, with_continued
from Testing.benchmarks.volume_measurements import TWIN

HALVES = {"choose": "choosing half", "report": "reporting half"}
METHODS = ("gradient", GRADIENT, COUNTERFACTUAL)
CHANCE = "times chance"
ENOUGH = 60  # subjects that a goal is about
PLACEBOS = ("", "random network: ", "same classes: ")
UNDO, EVEN = "would undo", "to even odds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows = pd.concat([pd.read_csv(path) for path in sorted((options.results / "rows").glob("[!.]*.csv"))])
    levels = typical_answers(options.results)
    write_text(options.output / "tables.md", page(rows, levels))
    right = with_continued(called_ill(rows), levels)
    parts = [interval_table(part).assign(half=half) for half, part in right.groupby("half")]
    with replacing(options.output / "tables.csv") as aside:
        pd.concat(parts).to_csv(aside, index=False, float_format="%.4g")
    with replacing(options.output / "rows.csv.gz") as aside:
        rows.to_csv(aside, index=False, float_format="%.5g", compression="gzip")


def called_ill(rows: pd.DataFrame) -> pd.DataFrame:
    """Only explanations by networks to which the subject is nearer to AD than to CN: the others hold no disease."""
    return rows[rows["called_ill"]]


def page(rows: pd.DataFrame, levels: Mapping[str, float] | None = None) -> str:
    """All tables as Markdown; ``levels`` are the networks' answers for a typical healthy brain, by their names."""
    right = with_continued(called_ill(rows), levels or {})
    explained = right[right["measure"] == CHANCE]
    counts = ", ".join(
        f"{method} {part['subject'].nunique()} subjects ({len(part)} explanations)"
        for method, part in explained.groupby("method", sort=False)
    )
    parts = [
        f"AD subjects over {rows['anatomy'].nunique()} held-out anatomies, {rows['network'].nunique()} networks; "
        f"{anatomies(rows)}. "
        "Explained: the AD logit less the CN logit, where it is above 0. "
        f"Measured: {counts}. Mean [95 % bootstrap interval over subjects], n subjects where not all.",
        "## What was asked for\n\n" + goals_table(right),
        "## Where, and in which direction\n\nRelevance mass of absolute values where the brain changed by at least "
        "40 % of its strongest change, over chance; correlation of the map with the true log-volume change over the "
        "brain's voxels.\n\n" + measures_table(right, [CHANCE, CORRELATION]),
        "## How much, by structure\n\nChange of log-volume that the counterfactual asks for, and the one that would "
        "undo the disease (counted in the labels of the same brain with and without it). Asked: the map's mean over "
        "the structure; by warping: the structure moved along with the deformation.\n\n" + structures_table(right),
        "## The same, towards the answer without the disease\n\nNot to the boundary, but until the network answers as "
        "it does for the same brain, scanned alike, without the disease.\n\n" + structures_table(right, TWIN),
        "## Continued to the answer of a typical healthy brain\n\nUntil the network answers as it does in the median "
        "for healthy brains of the choosing anatomies: gone, or where that was not done reckoned from the way to the "
        "boundary, along which what is asked and the answer change in proportion; of those that reached the boundary. "
        f"{check(right)} {answer_words(right)}\n\n" + structures_table(right, CONTINUED),
        "## How near the hippocampus can come\n\nMean absolute error of its log-volume. The boundary does not ask for "
        "all that the disease did: an observer who knew the hippocampal share of the intracranial volume, and the "
        "simulated groups, would go to where AD and CN are as likely (even odds). Scaled: every answer times the one "
        "number that is best on the choosing half.\n\n" + ceiling_table(right),
        "## Placebos\n\nThe same subjects explained by a network with random parameters, and with two classes that do "
        "not differ.\n\n" + placebo_table(right),
        "## Checks\n\n" + measures_table(right, ["icc", "icc: noise", "icc: shift by 0.5 voxel", "randomised"]),
        "## What it took\n\n" + measures_table(right, ["steps", "plausible", "size", "CPU seconds, together"]),
    ]
    return "\n\n".join(parts) + "\n"


def anatomies(rows: pd.DataFrame) -> str:
    """The anatomies of each half, by the numbers of their label maps."""
    said = []
    for half, title in HALVES.items():
        names = sorted({str(name).rpartition("_")[2] for name in rows.loc[rows["half"] == half, "anatomy"]})
        said += [f"{title} {', '.join(names)}"] if names else []
    return "; ".join(said)


def by_subject(rows: pd.DataFrame, method: str, measure: str) -> pd.Series:
    """One number per subject: the mean over its networks."""
    own = rows[(rows["method"] == method) & (rows["measure"] == measure)]
    return own.groupby("subject")["value"].mean().dropna()


def goals_table(rows: pd.DataFrame) -> str:
    """The goals beside what was reached, the halves apart; a goal is met by the reporting half's value."""
    ratio = "volume gradient less gradient of intensities, times chance"
    goals: list[tuple[str, float, bool, Callable[[pd.DataFrame], Estimate]]] = [
        ("volume gradient, times chance", 10, True, lambda part: mean_estimate(by_subject(part, GRADIENT, CHANCE))),
        (ratio, 0, True, _difference),
        ("counterfactuals that reach the boundary", 0.95, True, _mean(COUNTERFACTUAL, REACHED)),
        ("hippocampus: correlation with what the disease made", 0.7, True, lambda part: agreement(part, "hippocampus")),
        ("hippocampus: mean absolute error", 0.12, False, _mean(COUNTERFACTUAL, "hippocampus: error")),
        ("the same against even odds: correlation", 0.7, True, lambda part: agreement(part, "hippocampus", made=EVEN)),
        ("the same against even odds: error", 0.12, False, _mean(COUNTERFACTUAL, f"hippocampus: error {EVEN}")),
        (
            "towards the answer without the disease: reached",
            *(0.95, True, _mean(COUNTERFACTUAL, TWIN + REACHED)),
        ),
        (
            "towards the answer without the disease: correlation",
            *(0.7, True, lambda part: agreement(part, "hippocampus", TWIN)),
        ),
        (
            "towards the answer without the disease: error",
            *(0.12, False, _mean(COUNTERFACTUAL, f"{TWIN}hippocampus: error")),
        ),
        (
            "continued to a typical healthy answer: correlation",
            *(0.7, True, lambda part: agreement(part, "hippocampus", CONTINUED)),
        ),
        (
            "continued to a typical healthy answer: error",
            *(0.12, False, _mean(COUNTERFACTUAL, f"{CONTINUED}hippocampus: error")),
        ),
        ("volume gradient, ICC of the region profile", 0.85, True, _mean(GRADIENT, "icc")),
        ("counterfactual, ICC of the region profile", 0.85, True, _mean(COUNTERFACTUAL, "icc")),
    ]
    lines = [f"| | goal | {' | '.join(HALVES.values())} | met |", "|---|---|---|---|---|"]
    for name, goal, at_least, measured in goals:
        found = {half: measured(rows[rows["half"] == half]) for half in HALVES}
        value = found["report"].value
        if math.isnan(value):
            verdict = "not measured"
        else:
            verdict = "yes" if (value >= goal if at_least else value <= goal) else "**no**"
            subjects = sum(one.n for one in found.values())
            verdict += f", on {subjects} subjects of {ENOUGH}" if subjects < ENOUGH else ""
        cells = " | ".join(cell(one) for one in found.values())
        lines.append(f"| {name} | {'>=' if at_least else '<='} {goal:g} | {cells} | {verdict} |")
    return "\n".join(lines)


def _mean(method: str, measure: str) -> Callable[[pd.DataFrame], Estimate]:
    return lambda part: mean_estimate(by_subject(part, method, measure))


def _difference(part: pd.DataFrame) -> Estimate:
    both = by_subject(part, GRADIENT, CHANCE) - by_subject(part, "gradient", CHANCE)
    return mean_estimate(both.dropna())


def pairs(part: pd.DataFrame, structure: str, prefix: str = "", made: str = UNDO) -> tuple[np.ndarray, np.ndarray]:
    """What is asked of a structure and what is right, a number per subject."""
    asked = by_subject(part, COUNTERFACTUAL, f"{prefix}{structure}: asked")
    right = by_subject(part, COUNTERFACTUAL, f"{prefix}{structure}: {made}")
    both = asked.index.intersection(right.index)
    return asked[both].to_numpy(), right[both].to_numpy()


def agreement(part: pd.DataFrame, structure: str, prefix: str = "", made: str = UNDO) -> Estimate:
    """Correlation over subjects of what is asked of a structure with what would undo the disease, or ``made``."""
    return correlated(*pairs(part, structure, prefix, made))


def answer_words(rows: pd.DataFrame) -> str:
    """How the explained value itself correlates over subjects with the hippocampal change that would undo the disease:
    a counterfactual can hardly know more than the answer that it explains."""
    own = rows[(rows["method"] == COUNTERFACTUAL) & (rows["measure"] == f"hippocampus: {UNDO}")]
    said = []
    for half, title in HALVES.items():
        means = own[own["half"] == half].groupby("subject")[["contrast", "value"]].mean()
        found = correlated(means["contrast"].to_numpy(), means["value"].to_numpy())
        said += [f"{cell(found)} on the {title}"] if found.n >= 3 else []
    words = " and ".join(said) or "not measured"
    return f"The explained value itself correlates with the hippocampal change that would undo the disease: {words}."


def correlated(a: np.ndarray, b: np.ndarray) -> Estimate:
    """Correlation of two numbers per subject, with its interval; NaN for fewer than three subjects."""
    if len(a) < 3:
        return Estimate(math.nan, math.nan, math.nan, len(a))

    def statistic(chosen: np.ndarray) -> float:
        value = correlation(a[chosen], b[chosen])
        return 0.0 if math.isnan(value) else value  # a resample of one subject

    return bootstrap(statistic, np.zeros(len(a)))


def ceiling_table(rows: pd.DataFrame) -> str:
    """The hippocampus' error as asked, after the best single scale, and of an ideal observer."""
    halves = {half: rows[rows["half"] == half] for half in HALVES}
    lines = [f"| | scale | {' | '.join(HALVES.values())} |", "|---" * (len(HALVES) + 2) + "|"]
    ways = {"": "to the boundary", TWIN: "towards the answer without the disease"}
    ways[CONTINUED] = "to a typical healthy answer"
    for prefix, title in ways.items():
        for made in (UNDO, EVEN) if not prefix else (UNDO,):
            asked, right = pairs(halves["choose"], "hippocampus", prefix, made)
            if len(asked) == 0:
                continue
            for scale in (1.0, best_scale(asked, right)):
                cells = []
                for part in halves.values():
                    a, b = pairs(part, "hippocampus", prefix, made)
                    cells.append(cell(mean_estimate(pd.Series(np.abs(scale * a - b)))))
                against = "would undo" if made == UNDO else "leads to even odds"
                lines.append(f"| {title}, against what {against} | {scale:.2f} | {' | '.join(cells)} |")
    ideal = []
    for part in halves.values():
        right, undo = (by_subject(part, COUNTERFACTUAL, f"hippocampus: {made}") for made in (EVEN, UNDO))
        ideal.append(cell(mean_estimate((right - undo).dropna().abs())))
    lines.append(f"| an ideal observer's boundary, against what {UNDO} | | {' | '.join(ideal)} |")
    further = math.log(FRACTION["CN"][0] / even_fraction("CN", "AD"))
    healthy = []
    for part in halves.values():
        right, undo = (by_subject(part, COUNTERFACTUAL, f"hippocampus: {made}") for made in (EVEN, UNDO))
        healthy.append(cell(mean_estimate((right + further - undo).dropna().abs())))
    lines.append(f"| an ideal observer's typical healthy brain, against what {UNDO} | | {' | '.join(healthy)} |")
    return "\n".join(lines)


def best_scale(asked: np.ndarray, right: np.ndarray) -> float:
    """The number by which to multiply what is asked so that the mean absolute error is least.

    A sum of absolute values |right - scale * asked| is least at one of its kinks, the ratios.
    """
    ratios = right[asked != 0] / asked[asked != 0]
    errors = [float(np.abs(ratio * asked - right).mean()) for ratio in ratios]
    return float(ratios[int(np.argmin(errors))]) if len(ratios) else math.nan


def measures_table(rows: pd.DataFrame, measures: list[str]) -> str:
    """Methods as rows, measures by half as columns."""
    shown = [name for name in measures if (rows["measure"] == name).any()]
    heads = [f"{name}, {half}" for name in shown for half in HALVES.values()]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for method in METHODS:
        if not (rows["method"] == method).any():
            continue
        cells = [
            cell(mean_estimate(by_subject(rows[rows["half"] == half], method, name)))
            for name in shown
            for half in HALVES
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def structures_table(rows: pd.DataFrame, prefix: str = "") -> str:
    """The counterfactual's structures as rows, for each half; ``prefix`` says towards what."""
    heads = ("half", "asked", "asked, by warping", "would undo", "absolute error", "correlation over subjects")
    lines = [f"| structure | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in STRUCTURES:
        for half, title in HALVES.items():
            part = rows[rows["half"] == half]
            means = [
                cell(mean_estimate(by_subject(part, COUNTERFACTUAL, f"{prefix}{name}: {what}")))
                for what in ("asked", "by warping", UNDO, "error")
            ]
            lines.append(f"| {name} | {title} | {' | '.join(means)} | {cell(agreement(part, name, prefix))} |")
    return "\n".join(lines)


def placebo_table(rows: pd.DataFrame) -> str:
    """What remains of each method without knowledge; both halves together, beside the trained network's own."""
    measured = rows[rows["measure"].str.startswith(PLACEBOS[1])]
    same = rows[rows["subject"].isin(set(measured["subject"]))]
    measures = (CHANCE, CORRELATION, REACHED, "size", "hippocampus: asked")
    lines = [f"| | explained | {' | '.join(measures)} |", "|---" * (len(measures) + 2) + "|"]
    for method in METHODS:
        for prefix in PLACEBOS:
            title = prefix.removesuffix(": ") or "the trained network"
            cells = [cell(mean_estimate(by_subject(same, method, prefix + name))) for name in measures]
            if any(cells):
                lines.append(f"| {method} | {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(found: Estimate) -> str:
    """A mean with its interval and number of subjects; empty if there is none."""
    if found.n == 0 or math.isnan(found.value):
        return ""
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}], n {found.n}"


if __name__ == "__main__":
    main()
