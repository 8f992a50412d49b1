"""Computes and writes the group results: tables, maps, figures and the page. The folder appears when all is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..atomic import write_bytes, write_text
from ..drawing.canvas import Picture
from ..json_text import to_json
from ..progress import ProgressCallback, silent
from . import charts, regions
from .correlations import MEASURED_SHARE, covariate_correlations
from .derivatives import write_tsv
from .folders import completing
from .group_results import GroupResults
from .label_performance import LabelPerformance, add_true_labels, label_performance_table, measure_labels
from .method_group_maps import make_group_maps
from .page import cohort_page
from .performance import Performance, RocCurve, confusion_table, measure, performance_table, predictions_table
from .planning import Plan
from .quantity_performance import (
    QuantityPerformance,
    measure_quantity,
    quantity_performance_table,
    quantity_table,
    value_correlations,
)
from .references import group_references, references_long
from .subject_result import SubjectResult
from .subject_warnings import subject_warnings
from .subjects import Outcome
from .volume_changes import changes_long, group_changes
from .volumes import group_volumes, paired_shares, share_matrix, volume_long, volume_wide

TABLES, MAPS, PAGE = "Group tables", "Group maps", "Drawing the cohort's report"
FOLDER = Path("group")
_FEWEST_REGIONS = 3  # in the subjects' own structures; with fewer, the atlas's regions are used


def typical_group_seconds(plan: Plan) -> dict[str, float]:
    """Typical seconds of each step, to estimate the time left."""
    maps = len(plan.settings.methods) + 1
    each = 0.01 if plan.options.correction == "max" else 0.5  # of a permutation
    return {
        TABLES: 3.0 + 0.05 * len(plan.cohort.subjects),
        MAPS: maps * (8.0 + 0.1 * len(plan.cohort.subjects) + each * plan.options.permutations),
        PAGE: 4.0,
    }


def write_group(
    plan: Plan, subjects: Sequence[SubjectResult], failures: Sequence[Outcome] = (), progress: ProgressCallback = silent
) -> dict[str, Path]:
    """Compute and write all group results from the complete subjects.

    Parameters
    ----------
    plan
        What was planned and run.
    subjects
        Complete subjects, in the table's order; at least one.
    failures
        Subjects that failed, for the page.
    progress
        May raise to cancel; the group results of an earlier run are then kept.

    Returns
    -------
    dict
        "report", "predictions", "folder".
    """
    progress(TABLES, 0.0)
    results = _tables(plan, subjects, failures)
    progress(TABLES, 1.0)
    with completing(plan.output, FOLDER) as aside:
        _write_tables(results, aside)
        total = len(results.methods)
        for done, (name, about) in enumerate(results.methods.items()):
            base = done / total

            def told(fraction: float, base: float = base) -> None:
                progress(MAPS, min(0.999, base + fraction / total))

            results.maps[name] = make_group_maps(plan, subjects, name, about, aside / "maps" / name, told)
        progress(MAPS, 1.0)
        progress(PAGE, 0.0)
        results.pictures.update(charts.all_charts(results))
        for name, picture in _all_pictures(results).items():
            suffix = ".svg" if picture.mime == "image/svg+xml" else ".webp"
            write_bytes(aside / "figures" / f"{name}{suffix}", picture.data)
        write_text(aside / "group.json", to_json(_record(results)))
        page = cohort_page(results)
    write_text(plan.output / "report.html", page)
    progress(PAGE, 1.0)
    folder = plan.output / FOLDER
    return {"report": plan.output / "report.html", "predictions": folder / "predictions.csv", "folder": folder}


def _tables(plan: Plan, subjects: Sequence[SubjectResult], failures: Sequence[Outcome]) -> GroupResults:
    performance: Performance | QuantityPerformance | LabelPerformance | None
    if plan.model.output.is_quantity:
        predictions = quantity_table(subjects, plan.model.output)
        performance = measure_quantity(predictions, plan.model.output, plan.cohort.truth)
        others = value_correlations(predictions, _columns(plan, subjects))
    else:
        predictions = predictions_table(subjects, plan.cohort.classes)
        performance = measure(predictions, plan.cohort.classes)
        others = pd.DataFrame()
        if plan.model.output.has_labels:
            # A group names one label, and others may hold too: the labels' own columns are the truth.
            predictions = add_true_labels(predictions, subjects, plan.cohort.classes)
            performance = measure_labels(predictions, plan.cohort.classes)
    space = statistics_space(plan)
    long, unranked = _ranked(subjects, space)
    if long["region"].nunique() < _FEWEST_REGIONS:  # segmentations that have next to nothing in common
        space = "template"
        long, unranked = _ranked(subjects, space)
    shares = share_matrix(volume_long(subjects), subjects, list(dict.fromkeys(long["region"])))
    excluded = _excluded_methods(subjects)
    chosen = regions.selection(long, excluded)
    methods = dict(subjects[0].record["methods"])
    methods["summary"] = {"title": "Summary score", "signed": False, "units": "0 to 1"}
    changes, references = changes_long(subjects), references_long(subjects)
    return GroupResults(
        plan,
        subjects,
        failures,
        predictions,
        performance,
        long,
        regions.group_means(long),
        chosen,
        regions.most_named(chosen),
        regions.consistency(long),
        covariate_correlations(long, subjects, plan.cohort.covariates, shares),
        others,
        methods,
        excluded,
        tuple(unranked),
        space,
        volume_wide(subjects),
        group_volumes(subjects),
        volume_changes=changes,
        group_volume_changes=group_changes(changes),
        references=references,
        group_references=group_references(references),
    )


def _columns(plan: Plan, subjects: Sequence[SubjectResult]) -> dict[str, Sequence[float | str | None]]:
    """What a quantity may go with: the table's covariates, and what was measured in each brain."""
    table = {name: [one.subject.covariates.get(name) for one in subjects] for name in plan.cohort.covariates}
    measured = {f"{name}, {MEASURED_SHARE}": values for name, values in paired_shares(subjects).items()}
    return {**table, **measured}


def _ranked(subjects: Sequence[SubjectResult], space: str) -> tuple[pd.DataFrame, list[str]]:
    every = regions.long_table(subjects, space)
    left_out = regions.unranked(every)
    return regions.without(every, left_out), left_out


def statistics_space(plan: Plan) -> str:
    """Where relevance per region is measured: in each subject's own structures, or in the atlas."""
    own = plan.settings.regions == "brain" and plan.settings.atlas is None
    return "native" if own else "template"


def _excluded_methods(subjects: Sequence[SubjectResult]) -> tuple[str, ...]:
    """Methods that the summary score of no subject includes, for instance because the model's metadata says so."""
    found: list[set[str]] = []
    for result in subjects:
        record = json.loads(result.file("provenance").read_text(encoding="utf-8"))
        found.append(set(record["parameters"]["summary"]["excluded"]))
    return tuple(name for name in subjects[0].record["methods"] if all(name in out for out in found))


def _write_tables(results: GroupResults, folder: Path) -> None:
    frames = {
        "predictions": results.predictions,
        "regions_long": results.regions,
        "regions_wide": regions.wide_table(results.regions),
        "region_means": results.region_means,
        "region_selection": results.region_selection,
        "top_regions": results.top_regions,
        "consistency": results.consistency,
        "correlations": results.correlations,
    }
    if len(results.volumes):
        frames |= {"volumes": results.volumes, "group_volumes": results.group_volumes}
    if len(results.references):
        frames |= {"reference": results.references, "group_reference": results.group_references}
    if len(results.volume_changes):
        frames |= {"volume_changes": results.volume_changes, "group_volume_changes": results.group_volume_changes}
    if isinstance(results.performance, QuantityPerformance):
        frames["performance"] = quantity_performance_table(results.performance)
    elif isinstance(results.performance, LabelPerformance):
        frames["performance"] = label_performance_table(results.performance)
        frames["roc"] = _roc_table(results.performance.curves)
    elif results.performance is not None:
        frames["confusion"] = confusion_table(results.performance)
        frames["performance"] = performance_table(results.performance)
        frames["calibration"] = results.performance.calibration
        frames["roc"] = _roc_table(results.performance.curves)
    if not results.value_correlations.empty:
        frames["value_correlations"] = results.value_correlations
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        # CSV, because spreadsheets open it; what other BIDS tools read lies in the subjects' folders.
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_tsv(results.predictions, folder / "predictions.tsv")


def _roc_table(curves: Sequence[RocCurve]) -> pd.DataFrame:
    columns = ["class", "false_positive_rate", "true_positive_rate"]
    tables = [
        pd.DataFrame(dict(zip(columns, (one.name, one.false_positive_rate, one.true_positive_rate), strict=True)))
        for one in curves
    ]
    return pd.concat(tables or [pd.DataFrame(columns=columns)], ignore_index=True)


def _performance_record(results: GroupResults) -> dict[str, Any]:
    found, output = results.performance, results.plan.model.output
    if isinstance(found, QuantityPerformance):
        return {"quantity": output.classes[0], "mean_absolute_error": output.amount(found.mean_absolute_error.value)}
    if output.is_quantity:
        return {"quantity": output.classes[0], "mean_absolute_error": None}
    if output.has_labels:
        labels = found.labels if isinstance(found, LabelPerformance) else ()
        return {"label_areas": {one.name: one.curve.area.value for one in labels if one.curve is not None}}
    return {"balanced_accuracy": found.balanced_accuracy.value if isinstance(found, Performance) else None}


def _all_pictures(results: GroupResults) -> dict[str, Picture]:
    maps = {
        f"{name}_{kind}": picture for name, found in results.maps.items() for kind, picture in found.pictures.items()
    }
    return {**results.pictures, **maps}


def _record(results: GroupResults) -> dict[str, Any]:
    """What a program needs to find and show the group maps, such as the scene."""
    plan = results.plan
    return {
        "model": {"name": plan.model.name, "version": plan.model.version, "hash": plan.model.hash},
        "banner": plan.model.banner,
        "classes": list(plan.cohort.classes),
        "target": plan.settings.target,
        "contrast": list(plan.contrast),
        "subjects": len(results.subjects),
        "failed": [outcome.name for outcome in results.failures],
        "notes": [*plan.notes, *subject_warnings(results.subjects)],
        "methods": results.methods,
        "maps": {
            name: {"sets": found.sizes, "files": found.files, "difference": found.difference}
            for name, found in results.maps.items()
        },
        **_performance_record(results),
        "mean_seconds": float(np.mean(results.predictions["seconds"])),
    }
