"""What the cohort's page says, from the group results: the words and numbers that its templates lay out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.atlas import DEFAULT_ATLAS
from ..anatomy.structures_as_regions import BRAIN
from ..explanation.answer_words import members_legend
from ..metrics.classification import Estimate
from ..models.targets import read_target
from ..thresholds import SMALLEST_REGION_ML
from .correlations import ALIGNED_VOLUME, MEASURED_SHARE, OWN_VOLUME
from .group_results import GroupResults
from .performance import Performance
from .references import reference_tables
from .subject_result import SubjectResult
from .subject_warnings import subject_warnings
from .volume_changes import change_tables, reached

_SHOWN_CORRELATIONS = 40
_SECTIONS = (
    ("subjects", "Subjects"),
    ("performance", "Performance"),
    ("maps", "Group maps"),
    ("regions", "Regions"),
    ("volume-changes", "What would have to change"),
    ("volumes", "Volumes"),
    ("references", "Other maps"),
    ("consistency", "Consistency"),
    ("correlations", "Volumes and covariates"),
    ("provenance", "Provenance"),
)


def page_content(results: GroupResults) -> dict[str, Any]:
    """Everything but the pictures, by the names that the templates use."""
    plan = results.plan
    count = "1 subject" if len(results.subjects) == 1 else f"{len(results.subjects)} subjects"
    classes = plan.cohort.classes
    output = plan.model.output
    predicted = results.predictions["predicted"].value_counts()
    return {
        "title": f"{plan.cohort.table.resolve().parent.name}/{plan.cohort.table.name}: {count}",
        "sections": [one for one in _SECTIONS if one[0] not in _absent(results)],
        "warnings": [*plan.notes, *_warnings(results)],
        "classes": classes,
        "target": plan.settings.target,
        "contrast": plan.contrast,
        "subjects": _subjects(results),
        "failures": results.failures,
        "quantity": output.classes[0] if output.is_quantity else "",
        "unit": output.shown_unit,
        "truth": plan.cohort.truth,
        "value_correlations": results.value_correlations.to_dict("records"),
        "compared": read_target(plan.settings.target, output).reference is not None,
        "predicted_counts": {} if output.is_quantity else {name: int(predicted.get(name, 0)) for name in classes},
        "members_legend": next((members_legend(one.members) for one in results.subjects if one.members_sd), ""),
        "probability_columns": [] if output.is_quantity else [(f"p({name})", True) for name in classes],
        "performance": results.performance,
        "areas": _areas(results),
        "has_labels": output.has_labels,
        "group_maps": _group_maps(results),
        "excluded": [_title(results, name) for name in results.excluded],
        "top_regions": _top_regions(results),
        "region_means": _region_means(results),
        "unranked": results.unranked,
        "smallest": SMALLEST_REGION_ML,
        "volumes": _volumes(results),
        "volume_changes": change_tables(
            results.group_volume_changes,
            {name: str(about["title"]) for name, about in results.methods.items()},
            reached(results.subjects),
        )
        if len(results.group_volume_changes)
        else [],
        "references": reference_tables(
            results.group_references, {name: str(about["title"]) for name, about in results.methods.items()}
        ),
        "consistency": [
            row | {"title": _title(results, row["method"])} for row in results.consistency.to_dict("records")
        ],
        "correlations": _correlations(results),
        "provenance": _provenance(results),
    }


def _absent(results: GroupResults) -> set[str]:
    """Sections that this cohort has nothing for."""
    empty = (
        ("volumes", results.volumes),
        ("volume-changes", results.group_volume_changes),
        ("references", results.group_references),
    )
    return {name for name, table in empty if not len(table)}


def _warnings(results: GroupResults) -> list[str]:
    """What a reader must know about the subjects."""
    sentences = subject_warnings(results.subjects)
    failed = len(results.failures)
    if failed:
        who = "1 subject failed and is" if failed == 1 else f"{failed} subjects failed and are"
        sentences.append(f"{who} missing from all group results.")
    return sentences


def _title(results: GroupResults, method: str) -> str:
    return str(results.methods[method]["title"]) if method in results.methods else method.capitalize()


@dataclass(frozen=True)
class SubjectRow:
    """One subject in the table."""

    name: str
    page: str  # its report, relative to the output folder; "" where none was written
    group: str
    predicted: str
    correct: bool
    probabilities: list[float]  # in the classes' order
    deviations: list[float]  # of each over the model's networks, or of the quantity; empty where it is one network
    target_value: float
    registration: str
    seconds: float
    true: float = np.nan  # of a quantity
    error: float = np.nan
    labels: str = ""  # those that the table says hold, of a model of labels


def _subjects(results: GroupResults) -> list[SubjectRow]:
    output = results.plan.model.output
    classes = () if output.is_quantity else results.plan.cohort.classes
    return [
        SubjectRow(
            name=one.subject.name,
            page=_page_of(one, results.plan.output),
            group=one.subject.group,
            predicted=output.digits(row["predicted"]) if output.is_quantity else row["predicted"],
            correct=bool(row.get("right")),
            probabilities=[row[f"p_{name}"] for name in classes],
            deviations=[one.members_sd[name] for name in classes or output.classes] if one.members_sd else [],
            target_value=row["target_value"],
            registration=row["alignment"],
            seconds=row["seconds"],
            true=row.get("true", np.nan),
            error=row.get("error", np.nan),
            labels=_labels(one),
        )
        for one, row in zip(results.subjects, results.predictions.to_dict("records"), strict=True)
    ]


def _labels(one: SubjectResult) -> str:
    """Names of the labels that hold; "none" if the table says so of all it tells of, "" if it tells of none."""
    found = one.subject.labels
    return ", ".join(name for name, holds in found.items() if holds) or ("none" if found else "")


def _page_of(one: SubjectResult, output: Path) -> str:
    if "page" not in one.record["files"]:
        return ""
    return os.path.relpath(one.file("page"), output).replace(os.sep, "/")


def _areas(results: GroupResults) -> list[tuple[str, Estimate]]:
    found = results.performance
    if not isinstance(found, Performance):
        return []
    return [*((f"{curve.name} vs all others", curve.area) for curve in found.curves), *found.pairs.items()]


def _group_maps(results: GroupResults) -> list[dict[str, Any]]:
    names = ["summary", *(name for name in results.methods if name != "summary")]
    kinds = ("groups", "difference", "medians", "cells")
    return [
        {
            "title": _title(results, name),
            "pictures": {kind: results.maps[name].pictures.get(kind) for kind in kinds},
            "no_test": results.maps[name].difference.get("reason", ""),
        }
        for name in names
    ]


def _top_regions(results: GroupResults) -> dict[str, Any]:
    """Columns: groups; rows: ranks, each a (region, frequency) for each group."""
    table = results.top_regions
    groups = [name for name in ("all", *results.plan.cohort.classes) if (table["group"] == name).any()]
    places = table.set_index(["group", "place"])
    rows = [
        [
            (places.at[(group, place), "region"], places.at[(group, place), "frequency"])
            if (group, place) in places.index
            else ("", np.nan)
            for group in groups
        ]
        for place in sorted(set(table["place"]))
    ]
    return {"columns": [("All subjects" if group == "all" else group, False) for group in groups], "rows": rows}


def _region_means(results: GroupResults) -> dict[str, Any]:
    """Columns: groups; rows: (region, [(mean, low, high) of each group])."""
    rows = results.region_means[results.region_means["method"] == "summary"]
    groups = [name for name in results.plan.cohort.classes if (rows["group"] == name).any()]
    values = rows.set_index(["region", "group"])
    return {
        "columns": [(f"{group}: gain, 95 % interval", True) for group in groups],
        "rows": [
            (region, [tuple(values.loc[(region, group), ["mean", "low", "high"]]) for group in groups])
            for region in dict.fromkeys(rows["region"])
        ],
    }


def _volumes(results: GroupResults) -> dict[str, Any]:
    """Columns: groups; rows: (structure, [(mean, low, high, mean share) of each group])."""
    rows = results.group_volumes
    groups = [name for name in results.plan.cohort.classes if len(rows) and (rows["group"] == name).any()]
    values = rows.set_index(["structure", "group"]) if len(rows) else rows
    return {
        "measured": len(results.volumes),
        "columns": [(f"{group}: ml, 95 % interval, share", True) for group in groups],
        "rows": [
            (
                structure,
                [
                    tuple(values.loc[(structure, group), ["mean", "low", "high", "mean_share"]])
                    if (structure, group) in values.index
                    else (np.nan,) * 4
                    for group in groups
                ],
            )
            for structure in (dict.fromkeys(rows["structure"]) if groups else ())
        ],
    }


def _correlations(results: GroupResults) -> dict[str, Any]:
    table = results.correlations
    if table.empty:
        return {"tested": 0}
    present = set(table["covariate"])
    # The volume that dementia is known by comes first, then what is strongest.
    hippocampus = (
        (table["covariate"] == MEASURED_SHARE)
        & (table["method"] == "summary")
        & table["region"].str.contains("Hippocampus")
    )
    order = table.assign(later=~hippocampus).sort_values(["later", "p"], kind="stable")
    top = order.drop(columns="later").head(_SHOWN_CORRELATIONS)
    return {
        "tested": len(table),
        "significant": int((table["q"] <= 0.05).sum()),
        "own_volume": OWN_VOLUME if OWN_VOLUME in present else "",
        "measured_share": MEASURED_SHARE if MEASURED_SHARE in present else "",
        "aligned_volume": ALIGNED_VOLUME if ALIGNED_VOLUME in present else "",
        "rows": [row | {"title": _title(results, row["method"])} for row in top.to_dict("records")],
    }


def _regions_of(results: GroupResults) -> str:
    atlas = results.plan.settings.atlas
    if atlas:
        return Path(atlas[0]).name
    return BRAIN if results.space == "native" else DEFAULT_ATLAS


def _provenance(results: GroupResults) -> list[tuple[str, str]]:
    plan = results.plan
    settings = plan.settings
    mean = results.predictions["seconds"].mean()
    peak = max(int(one.record.get("peak_memory_bytes") or 0) for one in results.subjects)
    return [
        ("Model", f"{plan.model.name} {plan.model.version}. {plan.model.description}"),
        ("Intended use", plan.model.intended_use),
        ("Model weights (SHA-256)", plan.model.hash),
        ("Participants table", str(plan.cohort.table)),
        (
            "Explained",
            read_target(settings.target, plan.model.output).name if plan.model.output.is_quantity else settings.target,
        ),
        ("Methods", ", ".join(str(about["title"]) for about in results.methods.values())),
        ("Regions", _regions_of(results)),
        ("Brain mask, space", f"{settings.mask}, {settings.space}"),
        ("Group difference adjusted for", ", ".join(plan.options.adjust) or "nothing"),
        ("Time and memory", f"{mean:.1f} s per subject on average; up to {peak / 2**30:.1f} GiB in a worker"),
    ]
