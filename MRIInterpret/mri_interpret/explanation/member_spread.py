"""How far the networks of one model disagree about a scan: the uncertainty over seeds that stands behind an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..models.outputs import Answer, OutputMeaning, read_answer

if TYPE_CHECKING:
    from torch import Tensor

    from ..attribution.outputs import OutputChoice
    from ..models.members import MemberLogits


class MembersFacts(TypedDict):
    """What an answer says of a model's members; see :class:`~.facts.Prediction`."""

    members_sd: dict[str, float] | None
    members: int


def members_facts(found: MemberLogits, image: Tensor, choice: OutputChoice, meaning: OutputMeaning) -> MembersFacts:
    """How many networks a model has, and how far they disagree; None where it is one.

    Parameters
    ----------
    found
        What watched the pass.
    image
        (1, C, I, J, K), the scan.
    choice, meaning
        See :func:`spread_over_members`.
    """
    outputs = found.of(image)
    if outputs is None:
        return {"members_sd": None, "members": 1}
    return {"members_sd": spread_over_members(outputs, choice, meaning), "members": len(outputs)}


def spread_over_members(outputs: Tensor, choice: OutputChoice, meaning: OutputMeaning) -> dict[str, float]:
    """Standard deviation (ddof 1) over the members of each probability, or of the quantity in its unit.

    Parameters
    ----------
    outputs
        What each member returns for one sample, (members, 1, outputs).
    choice
        What was explained of the model's own output: the members' are read in the same way, with its temperature.
    meaning
        What the metadata says of the outputs.

    Returns
    -------
    dict
        By class; of probabilities between 0 and 0.71.
    """
    own = replace(choice, path=())  # members return class scores alone
    activation = choice.activation if choice.undone else ""

    def answer(one: Tensor) -> Answer:
        scores = own.unrecorded_scores(one, 1)[0].double().tolist()
        return read_answer(scores, meaning, activation, choice.scale)

    answers = [answer(one) for one in outputs]
    rows = [found.values if meaning.is_quantity else found.probabilities for found in answers]
    return {name: float(np.std([row[name] for row in rows], ddof=1)) for name in rows[0]}
