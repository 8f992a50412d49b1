"""What a reader must know about a cohort's subjects before the group results: one sentence for each kind of trouble."""

from __future__ import annotations

from collections.abc import Sequence

from .subject_result import SubjectResult

_NAMED = 5


def subject_warnings(subjects: Sequence[SubjectResult]) -> list[str]:
    """Sentences on subjects that are poorly registered, oddly segmented, or whose network input is not what it should
    be."""
    poor = [one.subject.name for one in subjects if one.record["registration"] != "good"]
    # Records that earlier versions wrote do not say it apart from the other warnings.
    odd = [one for one in subjects if one.record.get("input_warnings")]
    sentences = []
    if poor:
        sentences.append(
            f"{len(poor)} of {len(subjects)} subjects are poorly registered to the template ({_some(poor)}): look at "
            "their reports before trusting the group maps."
        )
    if odd:
        names = [one.subject.name for one in odd]
        sentences.append(
            f"The network's input looks wrong for {len(odd)} of {len(subjects)} subjects ({_some(names)}): look at "
            f"what the network saw in their reports. {names[0]}: {odd[0].record['input_warnings'][0]}"
        )
    unsure = [one for one in subjects if one.record.get("unsure_structures")]
    if unsure:
        names = [one.subject.name for one in unsure]
        structures = list(dict.fromkeys(name for one in unsure for name in one.record["unsure_structures"]))
        sentences.append(
            f"The segmentation is unsure in {len(unsure)} of {len(subjects)} subjects ({_some(names)}), about "
            f"{_some(structures)}: look at their reports before trusting these volumes and regions."
        )
    return sentences


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
