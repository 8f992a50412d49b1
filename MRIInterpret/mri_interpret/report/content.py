"""What the report says, from an Explanation: the words and numbers that its templates lay out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..anatomy.top_regions import too_small, top_regions
from ..checks.recovery import badge
from ..checks.verdict import MODEL, Outcome, Verdict
from ..drawing.html import number, percent
from ..explanation.answer_words import answer_words, contrast_formula, explained_value
from ..explanation.explanation import Explanation, MethodMap
from ..json_text import to_json
from ..minus_sign import true_minus
from ..thresholds import SMALLEST_REGION_ML
from .charts import region_rows
from .plain_words import plain_words
from .reference import reference_contents
from .volume_changes import change_contents
from .volumes import VolumesContent

_TOP_REGIONS = 12
_PLAIN = (str, int, float, bool)
# Details that stand elsewhere on the page, or that only a programmer could read.
_NOT_SHOWN = {"description", "reference", "value", "fine", "coarse", "layers_named"} | {
    *("sentence", "plausibility", "size_unit", "goal_value"),  # in the section on changes of volume
}
_SECTIONS = (
    ("short", "In short"),
    ("answer", "Answer"),
    ("summary", "Where"),
    ("regions", "Regions"),
    ("volume-changes", "What would have to change"),
    ("volumes", "Volumes"),
    ("reference", "Other maps"),
    ("trust", "Trust"),
    ("methods", "Methods"),
    ("agreement", "Agreement"),
    ("registration", "Registration"),
    ("input", "Input"),
    ("provenance", "Provenance"),
)


def page_content(explanation: Explanation) -> dict[str, Any]:
    """Everything but the pictures, by the names that the templates use."""
    record = explanation.provenance_record()
    trust, volumes = trust_matrix(explanation), VolumesContent.of(explanation.anatomy)
    answer, changes = _answer(explanation), change_contents(explanation)
    absent = {name for name, content in (("trust", trust), ("volumes", volumes)) if content is None}
    references = reference_contents(explanation)
    absent |= set() if changes else {"volume-changes"}
    absent |= set() if references else {"reference"}
    return {
        "title": f"{explanation.scan.name or 'Scan'}: why {answer['headline']}?",
        "sections": [section for section in _SECTIONS if section[0] not in absent],
        "in_short": plain_words(explanation),
        "answer": answer,
        "summary": SummaryContent.of(explanation),
        "regions": RegionContent.of(explanation),
        "volumes": volumes,
        "changes": changes,
        "references": references,
        "trust": trust,
        "methods": _by_trust(explanation),
        "provenance": _provenance_rows(explanation, record),
        "record": to_json(record),
        "date": explanation.provenance.created,
    }


def _answer(explanation: Explanation) -> dict[str, Any]:
    """The answer and the explained number in words."""
    output, target = explanation.model.output, explanation.target
    words = answer_words(explanation.prediction, output, decimals=1)
    signs = ""
    if output.is_quantity:
        name = output.classes[0]
        signs = f"In maps with a sign, red raises the {name} and blue lowers it."
        if target.reference is not None:
            reference = output.given(target.reference)
            signs += f" The maps are those of the {name} itself: {reference} are taken off it, and belong to no voxel."
    return {
        "headline": words.headline,
        "beside": words.share_words,
        "legend": words.legend,
        "range": words.details if output.is_quantity else "",
        "formula": contrast_formula(target, output),
        "value": true_minus(explained_value(target, output, 3)),
        "signs": signs,
    }


@dataclass(frozen=True)
class SummaryContent:
    """How many methods the summary score combines, and the titles of those that it excludes."""

    included: int
    excluded: list[str]

    @classmethod
    def of(cls, explanation: Explanation) -> SummaryContent:
        reasons = explanation.summary_details.excluded
        excluded = [method.title for name, method in explanation.maps.items() if name in reasons]
        return cls(len(explanation.maps) - len(excluded), excluded)


@dataclass(frozen=True)
class RegionContent:
    """The regions that stand out, and whose they are; no rows and a sentence where none does.

    ``small`` are the regions that were not ranked, because they are too small for a statement.
    """

    of_map: str
    key: str  # of that map
    space: str
    rows: list[dict[str, Any]]
    sentence: str = ""
    small: tuple[str, ...] = ()
    smallest: float = SMALLEST_REGION_ML

    @classmethod
    def of(cls, explanation: Explanation) -> RegionContent:
        if explanation.region_table.empty:
            return cls("", "", "", [], "There are no region statistics.")
        method, rows = region_rows(explanation.region_table)
        space = str(rows["space"].iloc[0]) if len(rows) else ""
        top = top_regions(explanation.region_table, method, _TOP_REGIONS, space or None)
        of_map = "summary score" if method == "summary" else explanation.maps[method].title
        small = tuple(str(name) for name in rows[too_small(rows) & (rows["volume_mm3"] > 0)]["region"])
        return cls(of_map, method, space, top.rows.to_dict("records"), top.sentence, small)


@dataclass(frozen=True)
class TrustContent:
    """The matrix of verdicts: a row for each method (and the summary score), a column for each check."""

    columns: list[tuple[str, bool]]  # as the macro ``table`` takes them
    rows: list[tuple[str, list[Verdict | None]]]  # title, verdicts in the columns' order
    independent: list[str]  # titles of methods whose maps hardly depend on what the model learned
    of_summary: list[Verdict]
    of_model: list[Verdict]  # on the model and this scan, whatever the maps say; those that do not apply too
    badges: list[tuple[Outcome, str]]  # verdict and a few words: which loss the model would have noticed


def trust_matrix(explanation: Explanation) -> TrustContent | None:
    """The verdicts as a matrix; None if no check was run."""
    verdicts = explanation.verdicts
    if not verdicts:
        return None
    of_model = [verdict for verdict in verdicts if verdict.method == MODEL]
    checks = list(dict.fromkeys(verdict.check for verdict in verdicts if verdict.method != MODEL))
    cells = {(verdict.method, verdict.check): verdict for verdict in verdicts}
    titles = {name: method.title for name, method in explanation.maps.items()} | {"summary": "Summary score"}
    checked = [name for name in titles if any(verdict.method == name for verdict in verdicts)]
    return TrustContent(
        columns=[(check, False) for check in checks],
        rows=[(titles[name], [cells.get((name, check)) for check in checks]) for name in checked],
        independent=[titles[name] for name in checked if _fails(cells.get((name, "randomisation")))],
        of_summary=_told(explanation, "summary"),
        of_model=of_model,
        badges=[(verdict.verdict, words) for verdict in of_model if (words := badge(verdict))],
    )


def _fails(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.verdict == "fail"


def _told(explanation: Explanation, name: str) -> list[Verdict]:
    """The verdicts on one map that are told in words: those of checks that apply to it."""
    return [one for one in explanation.verdicts if one.method == name and one.verdict != "not applicable"]


def _by_trust(explanation: Explanation) -> list[MethodContent]:
    """The methods that count in the summary score, in their order, then those that do not."""
    found = [MethodContent.of(method, explanation) for method in explanation.maps.values()]
    return sorted(found, key=lambda one: bool(one.excluded))


@dataclass(frozen=True)
class MethodContent:
    """One method's block; ``excluded`` is why it does not count in the summary score, "" if it does."""

    name: str
    title: str
    description: str
    facts: list[str]
    verdicts: list[Verdict]
    excluded: str = ""

    @classmethod
    def of(cls, method: MethodMap, explanation: Explanation) -> MethodContent:
        facts = [f"units: {method.units}", "signed" if method.signed else "not signed"]
        # What a reader can use; the provenance holds all parameters.
        shown = (key for key, value in method.details.items() if key not in _NOT_SHOWN and _is_plain(value))
        facts += [f"{_spaced(key)}: {_short(method.details[key])}" for key in shown]
        if math.isfinite(method.outside_brain):
            facts.append(f"outside the brain: {percent(method.outside_brain)} of the relevance")
        facts.append(f"{method.seconds:.1f} s")
        facts += [text for text in [_detail(method, "reference")] if text]
        verdicts = _told(explanation, method.name)
        excluded = explanation.summary_details.excluded.get(method.name, "")
        return cls(method.name, method.title, _detail(method, "description"), facts, verdicts, excluded)


def _detail(method: MethodMap, key: str) -> str:
    return str(method.details.get(key, "")).strip()


def _provenance_rows(explanation: Explanation, record: dict[str, Any]) -> list[tuple[str, str]]:
    scan, model = explanation.scan, explanation.model
    spacing = " × ".join(f"{size:.3g}" for size in scan.grid.spacing)
    rows = [
        ("Scan", f"{scan.name}: {' × '.join(map(str, scan.shape))} voxels of {spacing} mm"),
        ("Model weights (SHA-256)", model.hash),
        ("MRIInterpret", str(record["mri_interpret"])),
    ]
    plain = {key: value for key, value in record.items() if isinstance(value, _PLAIN) and key != "mri_interpret"}
    rows += [(_spaced(key), _short(value)) for key, value in plain.items()]
    versions = explanation.provenance.versions
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) and value != ""


def _spaced(key: str) -> str:
    return key.replace("_", " ")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else "–"
    text = str(value)
    return text if len(text) <= 120 else text[:119] + "…"
