"""The report's first sentences: what the page says, in plain words, each number linked to where it stands.

They say what the network answered and what that rests on. They never say what a patient has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..anatomy import freesurfer
from ..anatomy.top_regions import densest_regions, top_regions
from ..checks.recovery import CHECK as RECOVERY
from ..checks.recovery import HIPPOCAMPI
from ..checks.verdict import MODEL
from ..drawing.html import number
from ..explanation.answer_words import answer_words
from ..explanation.explanation import Explanation
from ..explanation.volume_words import volume_statements

_NAMED = 4  # regions at most
_DENSEST = 5  # the sentence says it in a word
_SIDES = ("Left ", "Right ")


@dataclass(frozen=True)
class Part:
    """A piece of a sentence, and the section where its number stands; "" for words between numbers."""

    text: str
    link: str = ""


Sentence = list[Part]


def plain_words(explanation: Explanation) -> list[Sentence]:
    """Two or three sentences: the answer; where it rests and how many methods say so; which loss the network would have
    noticed, or if that was not asked, what would have to change."""
    return [_answer(explanation), *_places(explanation), *(_noticed(explanation) or _change(explanation))]


def _answer(explanation: Explanation) -> Sentence:
    output = explanation.model.output
    words = answer_words(explanation.prediction, output)
    if output.is_quantity:
        name = output.classes[0]
        said = words.headline.removeprefix(name).strip() or words.headline
        return [Part(f"The network puts the {name} of this scan at "), Part(said, "answer"), Part(".")]
    if output.has_labels:
        return [Part("The network finds in this scan: "), Part(words.headline, "answer"), Part(".")]
    share = f" ({words.share_words})" if words.share_words else ""
    return [Part("The network calls this scan "), Part(f"{words.headline}{share}", "answer"), Part(".")]


def _places(explanation: Explanation) -> list[Sentence]:
    """Where the summary score is densest, and which of its methods agree."""
    table = explanation.region_table
    if table.empty or not (table["method"] == "summary").any():
        return []
    top = top_regions(table, count=_NAMED)
    if not len(top.rows):
        return [[Part(top.sentence, "regions")]]
    gains = [float(gain) for gain in top.rows["gain"]]
    ends = number(gains[0], 2) if len(gains) == 1 else f"{number(min(gains), 2)} to {number(max(gains), 2)}"
    counted = [name for name in explanation.maps if name not in explanation.summary_details.excluded]
    sentence = [
        Part(f"What this answer rests on lies most densely in the {structures(top.names)} ("),
        Part(f"{ends} times the brain's mean", "regions"),
        Part(")"),
    ]
    if len(counted) > 1:
        first = top.names[0]
        agreeing = sum(first in densest_regions(table, name, _DENSEST) for name in counted)
        sentence += [
            Part("; "),
            Part(f"{agreeing} of the {len(counted)} methods that count", "agreement"),
            Part(f" {'has' if agreeing == 1 else 'have'} the {_lower(first)} among the five densest regions"),
        ]
        left_out = len(explanation.maps) - len(counted)
        if left_out:
            where = "trust" if explanation.verdicts else "summary"
            sentence += [Part(", and "), Part(f"{left_out} more {'does' if left_out == 1 else 'do'} not count", where)]
    return [[*sentence, Part(".")]]


def _noticed(explanation: Explanation) -> list[Sentence]:
    """Which loss of the hippocampi the network would have noticed, by the recovery check."""
    check = f"{RECOVERY} ({HIPPOCAMPI})"
    for one in explanation.verdicts:
        if one.method == MODEL and one.check == check and one.verdict in ("pass", "fail"):
            noticed = one.verdict == "pass"
            size = f"{one.value if noticed else one.threshold:.0f}\u00a0%"
            first = "It would have noticed a loss of about " if noticed else "It would not have noticed a loss of "
            return [[Part(first), Part(size, "trust"), Part(" of the hippocampi's volume.")]]
    return []


def _change(explanation: Explanation) -> list[Sentence]:
    """What a counterfactual says, the first that reached its goal."""
    for one in volume_statements(explanation):
        if one.counterfactual is not None and one.counterfactual.reached:
            return [[Part(one.sentence.replace(" %", "\u00a0%"), "volume-changes")]]
    return []


def structures(names: Sequence[str]) -> str:
    """Regions in words, sides together: "left and right hippocampus, left amygdala and third ventricle"."""
    sides: dict[str, list[str]] = {}
    for name in names:
        words = _lower(name)
        side = next((one.strip().lower() for one in _SIDES if words.startswith(one.lower())), "")
        sides.setdefault(words.removeprefix(side).strip() if side else words, []).append(side)
    parts = [f"{' and '.join(sorted(filter(None, found)))} {words}".strip() for words, found in sides.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _lower(name: str) -> str:
    words = freesurfer.reader_name(name)
    return words if words[:2].isupper() else words[:1].lower() + words[1:]
