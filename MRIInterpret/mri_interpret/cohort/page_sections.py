"""The sections of the cohort's page, each from the group results to HTML."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..anatomy.atlas import DEFAULT_ATLAS
from ..drawing.markup import definitions, escape, figure, number, table, verdict_badge
from .correlations import ALIGNED_VOLUME, OWN_VOLUME
from .group_results import GroupResults
from .subject_result import SubjectResult

_SHOWN_CORRELATIONS = 40


def subjects(results: GroupResults) -> str:
    """Every subject with its prediction, linked to its page; and those that failed."""
    classes = results.plan.cohort.classes
    heads = [("Subject", False), ("Group", False), ("Called", False), ("Correct", False)]
    heads += [(f"p({name})", True) for name in classes]
    heads += [(f"Logit {results.plan.settings.target}", True), ("Alignment", False), ("Seconds", True)]
    rows = []
    for result, row in zip(results.subjects, results.predictions.to_dict("records"), strict=True):
        known = bool(result.subject.group)
        right = verdict_badge("pass" if row["right"] else "fail").replace(">pass<", ">yes<").replace(">fail<", ">no<")
        rows.append(
            [
                _linked(results, result),
                escape(result.subject.group or "–"),
                escape(row["predicted"]),
                right if known else "–",
                *(f"{row[f'p_{name}']:.3f}" for name in classes),
                number(row["target_value"]),
                verdict_badge(row["alignment"]),
                f"{row['seconds']:.1f}",
            ]
        )
    count = results.predictions["predicted"].value_counts()
    called = ", ".join(f"{count.get(name, 0)} {name}" for name in classes)
    text = f"<p>{len(results.subjects)} subjects were explained; the model called {escape(called)}. "
    text += "A click on a column's head sorts; a subject's name leads to its page.</p>"
    failed = "".join(f"<li><b>{escape(out.name)}</b>: {escape(out.reason)}</li>" for out in results.failures)
    if failed:
        text += f'<div class="warnings"><h2>{len(results.failures)} failed</h2><ul>{failed}</ul></div>'
    return text + _sortable(table(heads, rows), scroll=len(rows) > 20)


def _linked(results: GroupResults, result: SubjectResult) -> str:
    name = escape(result.subject.name)
    record = result.record["files"]
    if "page" not in record:
        return name
    path = result.file("page")
    return f'<a href="{escape(os.path.relpath(path, results.plan.output).replace(os.sep, "/"))}">{name}</a>'


def performance(results: GroupResults) -> str:
    """Confusion, ROC, calibration."""
    found = results.performance
    if found is None:
        return "<p>The table tells no group, so this is not known.</p>"
    accuracy, balanced = found.accuracy, found.balanced_accuracy
    text = (
        f"<p>Of {found.n} subjects whose group is known, {accuracy.value:.0%} were called right (95 % interval "
        f"{accuracy.low:.0%} to {accuracy.high:.0%}). Balanced accuracy, the mean over groups, is "
        f"{balanced.value:.0%} ({balanced.low:.0%} to {balanced.high:.0%}).</p>"
    )
    rows = [
        (escape(name), f"{value.value:.3f}", f"{value.low:.3f}", f"{value.high:.3f}", str(value.n))
        for name, value in (
            *((f"{curve.name} vs all others", curve.area) for curve in found.curves),
            *found.pairs.items(),
        )
    ]
    heads = (("AUC", False), ("Value", True), ("From", True), ("To", True), ("Subjects", True))
    areas = _sortable(table(heads, rows)) if rows else "<p>An ROC curve needs two groups.</p>"
    pictures = results.pictures
    charts = figure(pictures["confusion"]) + (figure(pictures["roc"]) if "roc" in pictures else "")
    beside = f"{figure(pictures['calibration'])}<div>{areas}</div>"
    return f'{text}<div class="pair">{charts}</div><div class="pair">{beside}</div>'


def maps(results: GroupResults) -> str:
    """Group maps of the summary score and of every method."""
    first, second = results.plan.contrast
    text = (
        "<p>Mean maps of each true group, in template space. All rows of a picture have the same colours. Folded below "
        "each method: medians, which single subjects cannot pull, and means by what the model said, in each cell of "
        "the confusion matrix: correct calls and errors apart.</p>"
    )
    blocks = []
    for name in ("summary", *(key for key in results.methods if key != "summary")):
        found, about = results.maps[name], results.methods[name]
        block = f"<h3>{escape(str(about['title']))}</h3>{figure(found.pictures['groups'], 'film')}"
        if "difference" in found.pictures:
            block += figure(found.pictures["difference"], "film")
        else:
            block += f'<p class="facts">Difference {escape(first)} − {escape(second)}: '
            block += f"{escape(str(found.difference['reason']))}</p>"
        for key, title in (
            ("medians", "Medians"),
            ("cells", "By the model's answer, and by cell of the confusion matrix"),
        ):
            if key in found.pictures:
                block += f"<details><summary>{title}</summary>{figure(found.pictures[key], 'film')}</details>"
        blocks.append(f'<section class="keep">{block}</section>')
    return text + "".join(blocks) + "<p>All maps are NIfTI files in <code>group/maps</code>.</p>"


def regions(results: GroupResults) -> str:
    """Regions most often named, per group; frequencies; group means."""
    there = set(results.top_regions["group"])
    groups = [name for name in ("all", *results.plan.cohort.classes) if name in there]
    heads = [("Place", True)] + [("All subjects" if group == "all" else group, False) for group in groups]
    rows = []
    for place in sorted(set(results.top_regions["place"])):
        cells = [str(place)]
        for group in groups:
            own = results.top_regions[(results.top_regions["group"] == group) & (results.top_regions["place"] == place)]
            cells.append("" if own.empty else f"{escape(own['region'].iloc[0])} ({own['frequency'].iloc[0]:.0%})")
        rows.append(cells)
    out = ", ".join(escape(str(results.methods[name]["title"])) for name in results.excluded)
    text = (
        "<p>For each group the five regions most often among the five most relevant ones of a map, over all its "
        "subjects and methods, with how often."
        + (f" Not counted, because they have no part in the summary score: {out}." if out else "")
        + "</p>"
    )
    body = text + table(heads, rows) + figure(results.pictures["selection"])
    if "means" in results.pictures:
        body += f'<div class="narrow">{figure(results.pictures["means"])}</div>'
        body += _means_table(results)
    return body + "<p>All numbers: <code>group/regions_long.csv</code>, <code>group/regions_wide.csv</code>.</p>"


def _means_table(results: GroupResults) -> str:
    rows = results.region_means[results.region_means["method"] == "summary"]
    groups = [name for name in results.plan.cohort.classes if (rows["group"] == name).any()]
    wide = rows.pivot(index="region", columns="group", values=["mean", "low", "high"])
    cells = []
    for region in dict.fromkeys(rows["region"]):
        values = [wide.loc[region, ("mean", group)] for group in groups]
        spans = [(wide.loc[region, ("low", group)], wide.loc[region, ("high", group)]) for group in groups]
        texts = [
            f"{number(value)} ({number(low)} to {number(high)})" if pd.notna(low) else number(value)
            for value, (low, high) in zip(values, spans, strict=True)
        ]
        cells.append([escape(str(region)), *texts])
    heads = [("Region", False)] + [(f"{group}: gain, 95 % interval", True) for group in groups]
    inner = _sortable(table(heads, cells), scroll=True)
    return f"<details><summary>Group means of every region (summary score)</summary>{inner}</details>"


def consistency(results: GroupResults) -> str:
    """Kendall's W and ICC."""
    text = (
        "<p>Do subjects order the regions alike under one method, and do the methods? Kendall's W: 1 the same order, 0 "
        "none. ICC(2,1): agreement of the values themselves; ICC(3,1): agreement after each rater's own level is taken "
        "away.</p>"
    )
    rows = [
        [
            escape(_title(results, row["method"])),
            escape(row["raters"]),
            str(row["number_of_raters"]),
            number(row["kendall_w"]),
            _chance(row["p"]),
            number(row["icc_2_1"]),
            number(row["icc_3_1"]),
        ]
        for row in results.consistency.to_dict("records")
    ]
    heads = (
        ("Map", False), ("Raters", False), ("How many", True), ("Kendall's W", True), ("p", True), ("ICC(2,1)", True),
        ("ICC(3,1)", True),
    )  # fmt: skip
    return text + _sortable(table(heads, rows))


def correlations(results: GroupResults) -> str:
    """The strongest correlations, with the false-discovery rate."""
    found = results.correlations
    if found.empty:
        return "<p>There are too few subjects, or no covariates, for correlations.</p>"
    kept = found[found["q"] <= 0.05]
    text = (
        f"<p>{len(found):,} correlations of a region's relevance (gain) with its volume and with covariates were "
        f"tested; {len(kept):,} have a false-discovery rate q of at most 0.05 (Benjamini and Hochberg, over all "
        "methods and regions of one covariate). All groups are taken together, so a correlation may be the difference "
        "between groups seen again. The strongest are listed; all are in <code>group/correlations.csv</code>.</p>"
    )
    there = set(found["covariate"])
    if OWN_VOLUME in there:
        text += f"<p>“{OWN_VOLUME}”: as the participants table gives it (of both sides, where it has no side).</p>"
    if ALIGNED_VOLUME in there:
        text += (
            f"<p>“{ALIGNED_VOLUME}”: what the atlas's region covers in the scan after affine alignment. It follows "
            "the size of the head and how the scan was aligned, <b>not atrophy</b>: for that, give volumes measured by "
            "segmentation in columns named after the regions, such as Left-Hippocampus_volume.</p>"
        )
    top = found.sort_values("p", kind="stable").head(_SHOWN_CORRELATIONS)
    rows = [
        [
            escape(_title(results, row["method"])),
            escape(row["region"]),
            escape(row["covariate"]),
            escape(row["statistic"]),
            f"{row['value']:.2f}".replace("-", "−"),
            str(row["n"]),
            _chance(row["p"]),
            _chance(row["q"]),
        ]
        for row in top.to_dict("records")
    ]
    heads = (
        ("Map", False), ("Region", False), ("With", False), ("Statistic", False), ("Value", True), ("Subjects", True),
        ("p", True), ("q", True),
    )  # fmt: skip
    return text + _sortable(table(heads, rows), scroll=len(rows) > 20)


def made(results: GroupResults) -> str:
    """Model, settings, software."""
    plan = results.plan
    settings = plan.settings
    mean = results.predictions["seconds"].mean()
    peak = max(int(result.record.get("peak_memory_bytes") or 0) for result in results.subjects)
    rows = [
        ("Model", f"{escape(plan.model.name)} {escape(plan.model.version)}<br>{escape(plan.model.description)}"),
        ("Intended use", escape(plan.model.intended_use)),
        ("Model weights (SHA-256)", f"<code>{escape(plan.model.hash)}</code>"),
        ("Table", escape(str(plan.cohort.table))),
        ("Explained contrast", escape(settings.target)),
        ("Methods", escape(", ".join(str(about["title"]) for about in results.methods.values()))),
        ("Atlas", escape(Path(settings.atlas[0]).name if settings.atlas else DEFAULT_ATLAS)),
        ("Mask, space", escape(f"{settings.mask}, {settings.space}")),
        ("Group difference adjusted for", escape(", ".join(plan.options.adjust) or "nothing")),
        ("Per subject", f"{mean:.1f} s on average; at most {peak / 2**30:.1f} GiB of memory in a worker"),
    ]
    return definitions(rows)


def warnings(results: GroupResults) -> list[str]:
    """Sentences about the subjects that a reader must know."""
    poor = [result.subject.name for result in results.subjects if result.record["registration"] != "good"]
    sentences = []
    if poor:
        sentences.append(
            f"{len(poor)} of {len(results.subjects)} subjects are poorly aligned with the template ({_some(poor)}): "
            "look at their pages before trusting group maps."
        )
    if results.failures:
        sentences.append(f"{len(results.failures)} subjects failed and are in no group result.")
    return sentences


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _title(results: GroupResults, method: str) -> str:
    return str(results.methods[method]["title"]) if method in results.methods else method.capitalize()


def _chance(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _sortable(html: str, scroll: bool = False) -> str:
    return f'<div class="sortable{" scroll" if scroll else ""}">{html}</div>'
