"""What the trust checks find on simulated subjects: numbers behind their thresholds, and how each map is read best.

    python -m Testing.benchmarks.trust_checks --label-maps DIR --bundles A B C --out FOLDER    # resumes
    python -m Testing.benchmarks.trust_checks --tables Testing/benchmarks/trust_checks         # prints the tables

Anatomies 02 and 13 choose, 08 and 17 report. Each subject is given to one network, in turn: faithfulness of each map
by each reading that it could have, eMPRT beside rank correlation, silhouette and mask edge, recovery of the subject's
own hippocampi, amygdalae and ventricles, and the answer's noise. ``edges`` stands for a map that ignores the network.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.attribution import DEFAULT_METHODS, Explainer
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.benchmark.benchmarked_model import benchmarked_model
from mri_interpret.benchmark.simulated_subjects import GROUPS, SimulatedSubject, atlas_on_model_grid
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.checks.answer_noise import answer_noise
from mri_interpret.checks.explained_image import ExplainedImage
from mri_interpret.checks.faithfulness import chance_correlation, faithfulness_correlation, infidelity
from mri_interpret.checks.faithfulness_checks import replaced_eighths
from mri_interpret.checks.imputation import template_imputation, template_mask
from mri_interpret.checks.predicted_change import imputed_image, predicted_change
from mri_interpret.checks.randomisation import upper_half_similarity
from mri_interpret.checks.recovery import check_recovery
from mri_interpret.checks.run_checks import explain_function, readings_of
from mri_interpret.checks.silhouette import silhouette
from mri_interpret.models.bundle import load_bundle
from mri_interpret.simulation.anatomy import DISEASES, MODEL_GRID, PUBLISHED, choose_label_maps
from mri_interpret.training.anatomies import cached_anatomy

CHOOSING, REPORTING = ("02", "13"), ("08", "17")
SEED = 20261126
METHODS = (*DEFAULT_METHODS, "gradient_x_input", LRP(composite="epsilon"), "edges")
Row = tuple[str, str, float]


def cases(label_maps: Path, rounds: int, disease: str, cache: Path) -> Iterator[tuple[str, SimulatedSubject]]:
    """Half and subject: every anatomy in every group, ``rounds`` times; the halves in turn, so that both grow."""
    streams = {
        half: SubjectStream(
            [cached_anatomy(path, cache, disease=disease) for path in choose_label_maps(label_maps, names)],
            SEED,
            disease=disease,
        )
        for half, names in (("choose", CHOOSING), ("report", REPORTING))
    }
    for index in range(rounds * len(GROUPS) * len(CHOOSING)):
        for half, stream in streams.items():
            yield half, stream[index]


def explained_case(bundle: Path, given: SimulatedSubject) -> ExplainedImage:
    """The AD - CN logit of one network on one subject, with the subject's own structures."""
    one = benchmarked_model(load_bundle(bundle), methods=["gradient"])
    target = list(one.under_test.target)
    labels, _ = atlas_on_model_grid()
    found = Explainer(one.under_test.network).explain(given.image, target=target, methods=list(METHODS))
    maps = {name: result.map[0].numpy() for name, result in found.items()}
    shares = given.shares
    return ExplainedImage(
        network=one.under_test.network,
        image=given.image,
        target=target,
        maps=maps,
        mask=given.mask,
        labels=labels,
        explain=explain_function(METHODS, given.mask, labels),
        readings=readings_of(METHODS),
        details={name: result.details for name, result in found.items()},
        imputed=template_imputation(given.image[0, 0].numpy(), given.mask, MODEL_GRID),
        template_mask=template_mask(MODEL_GRID),
        structures={
            "hippocampi": shares["hippocampus"],
            "amygdalae": shares["amygdala"],
            "ventricles": shares["lateral ventricle"] + shares["inferior lateral ventricle"],
        },
        towards=target,
    )


def measured(explained: ExplainedImage) -> list[Row]:
    """Method (or "model"), measure, value."""
    rows: list[Row] = []
    began = time.process_time()
    segments, removed, drops = replaced_eighths(explained)
    imputed = imputed_image(explained)
    for method in explained.maps:
        relevance = explained.maps[method]
        old = faithfulness_correlation(relevance, segments, removed, drops)
        rows.append((method, "faithfulness, relevance against the drop", old))
        for reading in ("slope", "share", "size"):
            read = replace(explained, readings={method: reading})
            predicted = predicted_change(read, method, imputed)
            changes = abs(drops) if predicted.by_size else drops
            value = faithfulness_correlation(predicted.drop, segments, removed, changes)
            chance = chance_correlation(predicted.drop, segments, removed, changes, np.random.default_rng(0))
            rows.append((method, f"faithfulness as {reading}", value))
            rows.append((method, f"faithfulness as {reading} passes", float(value > chance)))
            if not predicted.by_size:
                rows.append((method, f"infidelity as {reading}", infidelity(predicted.drop, segments, removed, drops)))
    rows.append(("model", "seconds: faithfulness", time.process_time() - began))
    began = time.process_time()
    for method, found in upper_half_similarity(explained).items():
        rows += [(method, "rank correlation", found.spearman), (method, "eMPRT", found.rise)]
    rows.append(("model", "seconds: randomisation", time.process_time() - began))
    began = time.process_time()
    outline = silhouette(explained)
    rows += [("model", name, float(value)) for name, value in vars(outline).items()]
    rows += [("model", "contour share", outline.contour_share), ("model", "edge share", outline.edge_share)]
    rows.append(("model", "seconds: silhouette", time.process_time() - began))
    noise = answer_noise(explained, explained.target)
    rows += [("model", f"noise: {name}", value) for name, value in vars(noise).items()]
    began = time.process_time()
    wanted = ("gradient", "lrp", "grad_cam", "edges")  # whose maps are computed again: four tell enough
    explained = replace(explained, maps={name: explained.maps[name] for name in wanted})
    rows += [(verdict.method, verdict.check, verdict.value) for verdict in check_recovery(explained)]
    rows.append(("model", "seconds: recovery", time.process_time() - began))
    return rows


def measure(options: argparse.Namespace) -> None:
    """One file for each subject, so that a run that was stopped goes on."""
    options.out.mkdir(parents=True, exist_ok=True)
    cache = options.out / "anatomies"
    for number, (half, given) in enumerate(cases(options.label_maps, options.rounds, options.disease, cache)):
        # One network each, in turn over pairs of subjects, one of each half.
        bundle = options.bundles[(number // 2) % len(options.bundles)]
        path = options.out / f"{bundle.name} {given.anatomy} {given.name}.csv"
        if path.exists():
            continue
        frame = pd.DataFrame(measured(explained_case(bundle, given)), columns=["method", "measure", "value"])
        frame.insert(0, "subject", given.name)
        frame.insert(0, "anatomy", given.anatomy)
        frame.insert(0, "half", half)
        frame.insert(0, "network", bundle.name)
        frame.to_csv(path, index=False)
        print(path.name, flush=True)


def tables(folder: Path) -> str:
    """Mean over networks and subjects by half, method and measure, with the number of cases."""
    rows = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv*"))])
    lines = []
    for measure_name, part in rows.groupby("measure", sort=False):
        lines += [
            "",
            f"**{measure_name}**",
            "",
            "| map | choosing: mean (least to most), n | reporting |",
            "|---|---|---|",
        ]
        for method, own in part.groupby("method", sort=False):
            cells = [_cell(own[own["half"] == half]["value"]) for half in ("choose", "report")]
            lines.append(f"| {method} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _cell(values: pd.Series) -> str:
    known = values.dropna()
    if not len(known) or math.isnan(known.mean()):
        return ""
    return f"{known.mean():.2f} ({known.min():.2f} to {known.max():.2f}), {len(known)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path)
    parser.add_argument("--bundles", type=Path, nargs="+", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=1, help="how often every anatomy meets every group")
    parser.add_argument("--disease", choices=DISEASES, default=PUBLISHED, help="of the subjects")
    parser.add_argument("--tables", type=Path, help="print the tables of a folder of rows")
    options = parser.parse_args()
    if options.tables:
        print(tables(options.tables))
        return
    measure(options)


if __name__ == "__main__":
    main()
