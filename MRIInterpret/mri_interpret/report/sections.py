"""The sections of the report page, each from an Explanation to HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..checks.verdict import Verdict
from ..drawing.canvas import Picture
from ..drawing.markup import definitions, escape, figure, number, table, verdict_badge
from ..explanation.explanation import Explanation, MethodMap
from .charts import region_rows
from .jsonable import to_json
from .trust_section import sentences

_PLAIN = (str, int, float, bool)
# Details that stand elsewhere on the page, or that only a programmer could read.
_UNTOLD = {"description", "reference", "value", "fine", "coarse", "layers_named"}


def banner(explanation: Explanation) -> str:
    """What must be read before anything else."""
    model = explanation.model
    text = model.banner if "research use only" in model.banner.lower() else f"Research use only. {model.banner}"
    return (
        f'<div class="banner" role="note"><span>{escape(text)}</span>'
        f"<span>Model trained on: {escape(model.training_data)}</span></div>"
    )


def answer(explanation: Explanation, chart: Picture) -> str:
    """The prediction, and which part of it the maps explain."""
    prediction, target, model = explanation.prediction, explanation.target, explanation.model
    probability = prediction.probabilities[prediction.predicted]
    contrast = _contrast(target.weights)
    facts = (
        f'<dt>Predicted</dt><dd class="big">{escape(prediction.predicted)} '
        f'<span style="font-weight:400">{probability:.1%}</span></dd>'
        f"<dt>Explained</dt><dd><b>{escape(target.name)}</b>: {escape(contrast)} = {number(target.value)}</dd>"
        f"<dt>Model</dt><dd>{escape(model.name)} {escape(model.version)}<br>{escape(model.description)}</dd>"
        f"<dt>Intended use</dt><dd>{escape(model.intended_use)}</dd>"
    )
    return f'<section class="answer"><dl>{facts}</dl>{figure(chart)}</section>'


def _contrast(weights: dict[str, float]) -> str:
    """The explained number as a formula: "logit of AD", "logit of AD − logit of CN"."""
    terms = []
    for name, weight in weights.items():
        if weight == 0:
            continue
        sign = "−" if weight < 0 else "+"
        size = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        terms.append((sign, f"{size}logit of {name}"))
    terms.sort(key=lambda term: term[0] == "−")  # positive terms first
    if not terms:
        return "nothing (all weights are 0)"
    first = ("−" if terms[0][0] == "−" else "") + terms[0][1]
    return " ".join([first, *(f"{sign} {text}" for sign, text in terms[1:])])


def warnings(explanation: Explanation) -> str:
    """Every warning, or nothing."""
    if not explanation.warnings:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in explanation.warnings)
    return f'<section class="warnings" role="alert"><h2>Before you read on</h2><ul>{items}</ul></section>'


def summary(explanation: Explanation, montage: Picture, surface: Picture | str | None) -> str:
    """The summary score in slices and in 3D; ``surface`` is a sentence where there can be no 3D picture,
    None where none was asked for."""
    out = [method.title for name, method in explanation.maps.items() if name in _left_out(explanation)]
    count = len(explanation.maps) - len(out)
    which = f"{count} methods" if not out else f"{count} of the {len(explanation.maps)} methods"
    text = (
        f"The summary score joins {which} below into one value per voxel, from 0 to 1 (the highest in this brain): how "
        "much of the methods' evidence, for or against the target, lies there. White outlines enclose the voxels that "
        "at least two thirds of them count among their top ones (the consensus volume)."
        if count > 1
        else "With a single method, the summary score is the size of its values, scaled to a highest value of 1."
    )
    if out:
        text += f" Left out: {escape(', '.join(out))}; the warnings above say why."
    slices = f'<h2 id="summary">Where in the brain</h2><p>{text}</p>{figure(montage, "film")}'
    if surface is None:
        return f'<section class="keep">{slices}</section>'
    shown = f"<p>{escape(surface)}</p>" if isinstance(surface, str) else figure(surface)
    return f'<section class="keep">{slices}</section><section class="keep"><h3>In 3D</h3>{shown}</section>'


def _left_out(explanation: Explanation) -> set[str]:
    """Methods that have no part in the summary score, as the main job recorded them."""
    parameters = explanation.provenance.get("parameters")
    found = parameters.get("summary") if isinstance(parameters, dict) else None
    return set(found.get("left_out", ())) if isinstance(found, dict) else set()


def regions(explanation: Explanation, chart: Picture | None) -> str:
    """The chart and table of the top regions."""
    head = '<h2 id="regions">Which regions</h2>'
    if chart is None:
        return f"{head}<p>No region statistics were made.</p>"
    method, rows = region_rows(explanation.region_table)
    top = rows.sort_values("gain", ascending=False).head(12)
    cells = [
        (
            escape(str(row["region"])),
            f"{row['volume_mm3'] / 1000:.1f}",
            f"{row['share']:.2%}",
            number(row["gain"]),
            number(row["asymmetry"], 2),
            number(row["peak"]),
            ", ".join(f"{row[axis]:.0f}".replace("-", "−") for axis in ("peak_r", "peak_a", "peak_s")),
        )
        for _, row in top.iterrows()
    ]
    heads = (
        ("Region", False),
        ("Volume (ml)", True),
        ("Share", True),
        ("Gain", True),
        ("Asymmetry", True),
        ("Peak", True),
        ("Peak at R, A, S (mm)", True),
    )
    whose = "summary score" if method == "summary" else method
    space = str(rows["space"].iloc[0])
    text = (
        f"Atlas: {escape(explanation.atlas_name)}. Values of the {escape(whose)}, measured in {space} space; "
        "asymmetry is (left − right) / (left + right). The 12 regions with the highest gain are listed; all regions of "
        "all methods, in both spaces, are in <code>regions.csv</code>."
    )
    return f'<section class="keep">{head}<p>{text}</p>{figure(chart)}</section>{table(heads, cells)}'


def methods(explanation: Explanation, montages: dict[str, Picture], verdicts: Sequence[Verdict]) -> str:
    """One block per method: what it shows, its facts, its verdicts, its slices."""
    blocks = [_method(method, montages[name], verdicts) for name, method in explanation.maps.items()]
    intro = (
        "Maps are shown raw, in their own units, over the scan. Two methods may disagree and both be right about "
        "different questions: read what each one shows."
    )
    return f'<h2 id="methods">Method by method</h2><p>{intro}</p>{"".join(blocks)}'


def _method(method: MethodMap, montage: Picture, verdicts: Sequence[Verdict]) -> str:
    description = str(method.details.get("description", "")).strip()
    shows = f"<p>{escape(description)}</p>" if description else ""
    facts = [f"units: {method.units}", "signed" if method.signed else "not signed"]
    # What a reader can use; the whole record of parameters is in the provenance.
    told = (key for key, value in method.details.items() if key not in _UNTOLD and _is_plain(value))
    facts += [f"{_words(key)}: {_short(method.details[key])}" for key in told]
    facts.append(f"{method.seconds:.1f} s")
    reference = str(method.details.get("reference", "")).strip()
    if reference:
        facts.append(reference)
    line = escape(" · ".join(facts))
    head = f'<h3>{escape(method.title)}</h3>{shows}<p class="facts">{line}</p>{sentences(verdicts, method.name)}'
    return f'<section class="keep">{head}{figure(montage, "film")}</section>'


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) and value != ""


def _words(key: str) -> str:
    return key.replace("_", " ")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    text = str(value)
    return text if len(text) <= 120 else text[:119] + "…"


def agreement(chart: Picture | None) -> str:
    """The agreement matrices with help to read them."""
    head = '<h2 id="agreement">Do the methods agree</h2>'
    if chart is None:
        return f"{head}<p>Agreement needs at least two methods.</p>"
    text = (
        "Each cell compares two methods. Left: do they rank the brain's voxels alike (1 alike, 0 unrelated, below 0 "
        "opposed)? Middle: how far do their strongest 5 % of voxels coincide (chance: about 0.05)? Right: do they "
        "rate the atlas regions alike? Low numbers in the left matrix with high ones in the right mean: same regions, "
        "other detail."
    )
    return f'<section class="keep">{head}<p>{text}</p>{figure(chart)}</section>'


def registration(explanation: Explanation, montage: Picture) -> str:
    """How the scan lies in template space: numbers, verdict, outlines."""
    found = explanation.registration
    text = (
        f"{verdict_badge(found.verdict)} {escape(found.sentence)} Correlation with the template inside the brain: "
        f"{number(found.correlation, 2)}; overlap (Dice) of the brain masks: {number(found.overlap, 2)}; "
        f"method: {escape(found.method)}."
    )
    head = '<h2 id="registration">Is the scan well aligned</h2>'
    return f'<section class="keep">{head}<p>{text}</p>{figure(montage, "film")}</section>'


def provenance(explanation: Explanation, record: dict[str, Any]) -> str:
    """What is needed to repeat this: a table of the plain facts, and the whole record folded away."""
    scan, model = explanation.scan, explanation.model
    spacing = " × ".join(f"{size:.3g}" for size in scan.grid.spacing)
    rows = [
        ("Scan", f"{escape(scan.name)}: {' × '.join(map(str, scan.shape))} voxels of {spacing} mm"),
        ("Model weights (SHA-256)", f"<code>{escape(model.hash)}</code>"),
    ]
    rows.append(("MRIInterpret", escape(str(record["mri_interpret"]))))
    plain = {key: value for key, value in record.items() if isinstance(value, _PLAIN) and key != "mri_interpret"}
    rows += [(_words(key), escape(_short(value))) for key, value in plain.items()]
    versions = record.get("versions")
    if isinstance(versions, dict):
        rows.append(("versions", escape(", ".join(f"{name} {version}" for name, version in versions.items()))))
    whole = f"<details><summary>The whole record</summary><pre>{escape(to_json(record))}</pre></details>"
    return f'<h2 id="provenance">How it was made</h2>{definitions(rows)}{whole}'
