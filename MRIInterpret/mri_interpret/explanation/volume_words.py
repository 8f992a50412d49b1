"""What the volume methods found, in sentences: the report, the panel, notebooks and the command line say these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..anatomy.change_words import changes_words, effects_words
from ..anatomy.structure_changes import StructureChange, changes_of
from ..minus_sign import true_minus
from .counterfactual import Counterfactual

if TYPE_CHECKING:
    from .explanation import Explanation

_SCARCE = "No structure is large enough for a statement about its volume"


@dataclass(frozen=True)
class VolumeStatement:
    """What one volume method says.

    Attributes
    ----------
    method, title
        Of its map.
    sentence
        What would have to grow or shrink, or what counts most.
    remarks
        What a reader must know about it, each a sentence: whether a brain changes like that, whether other starts
        agree.
    changes
        Of each structure.
    counterfactual
        The deformed scan; None for a gradient.
    """

    method: str
    title: str
    sentence: str
    remarks: tuple[str, ...]
    changes: tuple[StructureChange, ...]
    counterfactual: Counterfactual | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """The sentence and the remarks."""
        return (self.sentence, *self.remarks)


def volume_statements(explanation: Explanation) -> tuple[VolumeStatement, ...]:
    """One for each volume method that was asked, in the order of the maps."""
    table = explanation.volume_changes
    if table is None:
        return ()
    statements = []
    for method, one in explanation.maps.items():
        changes = changes_of(table, method)
        if not changes:
            continue
        found = explanation.counterfactuals.get(method)
        if found is None:
            sentence, remarks = _of_gradient(explanation, changes, one.details.get("giving_mm"))
        else:
            sentence, remarks = counterfactual_sentence(found, changes), counterfactual_remarks(found)
        statements.append(VolumeStatement(method, one.title, sentence, remarks, changes, found))
    return tuple(statements)


def counterfactual_sentence(found: Counterfactual, changes: tuple[StructureChange, ...]) -> str:
    """What would have to grow or shrink for the goal."""
    if found.reached and found.sentence:  # nothing has to change
        return found.sentence
    words = changes_words(changes) or _SCARCE
    if found.reached:
        goal = found.goal.replace(" - ", " − ")
        return f"To reach {goal}, the model asks for these changes of volume: {words}."
    return f"{found.sentence} The changes of volume up to there: {words}."


def counterfactual_remarks(found: Counterfactual) -> tuple[str, ...]:
    """Whether a brain changes like that, and whether other starts got there."""
    if found.reached and found.sentence:
        return ()
    remarks = [found.plausibility]
    number, reached = len(found.starts_reached), sum(found.starts_reached)
    if number:
        got_there = "all" if reached == number else f"{reached}"
        starts = "1 further start" if number == 1 else f"{number} further starts"
        remarks.append(
            f"In brackets: the range over this and {starts} (noise in the scan, half a voxel of shift), of which "
            f"{got_there} reached the goal; and the change in millilitres."
        )
    return tuple(filter(None, remarks))


def _of_gradient(
    explanation: Explanation, changes: tuple[StructureChange, ...], giving_mm: float | None
) -> tuple[str, tuple[str, ...]]:
    words = effects_words(changes)
    target, output = explanation.target, explanation.model.output
    if not words:
        return f"No structure's volume changes {target.name} to first order.", ()
    unit = f" {output.shown_unit}" if output.is_quantity and output.shown_unit else ""
    name = target.name.replace(" - ", " − ")
    value = true_minus(f"{target.value:.3g}")
    # Results that were saved before the brain around gave way do not have the length.
    givers = "everything else" if giving_mm is None else f"what lies within about {giving_mm:g} mm"
    remark = f"To first order, with {givers} giving way; {name} is {value} now."
    return f"{name}{unit} would change most for 1 % more volume of: {words}.", (remark,)
