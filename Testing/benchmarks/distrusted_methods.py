"""Which methods are excluded from a model's default summary score: the randomisation check over simulated subjects.

    python -m Testing.benchmarks.distrusted_methods --bundle BUNDLE --label-maps DIR --held-out 02,08,13,17
    python -m Testing.benchmarks.distrusted_methods ... --write    # puts the verdict into the bundle's metadata
    python -m Testing.benchmarks.distrusted_methods ... --rows results/rows.csv --write    # and that on localisation

For each subject the class that the model predicts is explained; the value of a method is the check's (the mean rank
correlation with maps of networks whose upper layers are random). A method whose mean over the subjects reaches the
check's threshold is distrusted: by default its maps of this model are excluded from the summary score. So are those
of methods whose maps do not find what was changed in simulated subjects (the localisation check, on the mean over the
choosing half of the AD subjects of a benchmark that this model took part in: ``--rows``).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.atomic import write_text
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, create_method
from mri_interpret.benchmark.methods import fast_methods
from mri_interpret.benchmark.simulated_subjects import atlas_on_model_grid, simulated_subjects
from mri_interpret.benchmark.tables import correctly_classified
from mri_interpret.checks.explained_image import ExplainedImage
from mri_interpret.checks.randomisation import check_randomisation
from mri_interpret.checks.run_checks import explain_function
from mri_interpret.models.bundle import load_bundle
from mri_interpret.simulation.anatomy import DISEASES, PUBLISHED, choose_label_maps
from mri_interpret.simulation.template_anatomy import template_anatomy
from mri_interpret.thresholds import LOCALISATION_TIMES_CHANCE, RANDOMISATION_SIMILARITY
from mri_interpret.training.anatomies import cached_anatomy

METHODS = tuple(dict.fromkeys((*DEFAULT_METHODS, "gradient", "gradient_x_input", "hires_cam", "guided_grad_cam")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--label-maps", type=Path, help="folder; the template's anatomy by default")
    parser.add_argument("--held-out", default="", help="names of the label maps to use: 02,08")
    parser.add_argument("--disease", choices=DISEASES, default=PUBLISHED, help="of the subjects")
    parser.add_argument("--cache", type=Path, help="keep registered label maps here")
    parser.add_argument("--subjects", type=int, default=9)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--rows", type=Path, help="rows.csv of a benchmark of this bundle: adds the localisation check")
    parser.add_argument("--write", action="store_true", help="put the verdict into the bundle's metadata")
    options = parser.parse_args()
    values = _values(options)
    print("\n".join(_table(values)))
    poor: dict[str, str] = {}
    if options.rows:
        gains, bar = localisation(options.rows, load_bundle(options.bundle).hash[:8])
        print("\n".join(_gain_table(gains, bar)))
        poor = {
            name: f"on simulated subjects its map lies where the brain was changed {gain:.1f} times as often as by "
            f"chance ({bar:.1f} are needed)"
            for name, gain in gains.items()
            if gain < bar
        }
    if options.write:
        _write(options.bundle, values, poor if options.rows else None)


def localisation(rows: Path, network: str) -> tuple[dict[str, float], float]:
    """Times chance of each method (registry name), mean over the choosing half's AD subjects that this network calls
    AD, and what the localisation check asks for: 2, or more if an edge detector reaches more."""
    table = pd.read_csv(rows)
    own = correctly_classified(table[(table["network"] == network) & (table["half"] == "choose")])
    means = own[own["measure"] == "times chance"].groupby("method")["value"].mean()
    keys = {method: key for key, method in fast_methods().items()}
    found = {name: float(means[keys[create_method(name)]]) for name in METHODS}
    return found, max(LOCALISATION_TIMES_CHANCE, float(means["edges"]))


def _gain_table(gains: dict[str, float], bar: float) -> list[str]:
    lines = ["", f"| method | times chance (needed: {bar:.1f}) | verdict |", "|---|---|---|"]
    return lines + [
        f"| {name} | {gain:.2f} | {'pass' if gain >= bar else '**fail**'} |" for name, gain in gains.items()
    ]


def _values(options: argparse.Namespace) -> dict[str, list[float]]:
    """Method to its value for each subject."""
    names = [name for name in options.held_out.split(",") if name]
    chosen = choose_label_maps(options.label_maps, names) if options.label_maps else []
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache or Path(folder)
        anatomies = [cached_anatomy(path, cache, disease=options.disease) for path in chosen] or [template_anatomy()]
    bundle = load_bundle(options.bundle)
    labels, _ = atlas_on_model_grid()
    values: dict[str, list[float]] = {name: [] for name in METHODS}
    for number, given in enumerate(
        simulated_subjects(anatomies, options.subjects, options.seed, disease=options.disease)
    ):
        found = Explainer(bundle.network).explain(given.image, target="predicted", methods=list(METHODS))
        subject = ExplainedImage(
            network=bundle.network,
            image=given.image,
            target=found.weights[0].tolist(),
            maps={name: one.map[0].numpy() for name, one in found.items()},
            mask=given.mask,
            labels=labels,
            explain=explain_function(METHODS, given.mask, labels),
        )
        for verdict in check_randomisation(subject, options.seed + number):
            if verdict.value is not None:
                values[verdict.method].append(float(verdict.value))
        print(f"{given.name} done", flush=True)
    return values


def _interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over subjects."""
    rng = np.random.default_rng(0)
    draws = rng.choice(values, (2000, len(values))).mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _table(values: dict[str, list[float]]) -> list[str]:
    lines = [
        "| method | similarity (95 % interval) | subjects at or above the threshold | verdict |",
        "|---|---|---|---|",
    ]
    for name, found in values.items():
        if not found:
            lines.append(f"| {name} | | | not applicable |")
            continue
        low, high = _interval(found)
        above = sum(value >= RANDOMISATION_SIMILARITY for value in found)
        verdict = "**fail**" if np.mean(found) >= RANDOMISATION_SIMILARITY else "pass"
        lines.append(
            f"| {name} | {np.mean(found):.2f} ({low:.2f} to {high:.2f}) | {above} of {len(found)} | {verdict} |"
        )
    return lines


def _write(bundle: Path, values: dict[str, list[float]], poor: dict[str, str] | None) -> None:
    path = bundle / "configs" / "metadata.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["mri_interpret"]["distrusted_methods"] = {
        name: f"on {len(found)} simulated subjects its map hardly changed when upper layers became random "
        f"(mean similarity {np.mean(found):.2f}, threshold {RANDOMISATION_SIMILARITY})"
        for name, found in values.items()
        if found and np.mean(found) >= RANDOMISATION_SIMILARITY
    }
    if poor is not None:
        record["mri_interpret"]["poorly_localised_methods"] = poor
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
