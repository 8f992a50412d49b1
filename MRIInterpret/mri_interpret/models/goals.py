"""What the network should answer instead: another side of a decision, a class, a value or a probability.

Whatever is asked comes down to one number that has to reach a level: the least of some weighted sums of the network's
outputs (evidence for a class against each other class), or a soft least of them (log-odds of a probability).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError
from .outputs import OutputMeaning
from .targets import Contrast, output_weights

BOUNDARY = "boundary"


@dataclass(frozen=True)
class Goal:
    """A number made of the network's outputs, and the level that it has to reach.

    Attributes
    ----------
    words
        The goal for people: "the boundary between AD and CN", "CN", "AD at 30 %".
    sums
        Weights over the outputs, one row for each sum; empty for the explained value itself.
    level
        What the number has to reach.
    temperature
        At zero the number is the least of the sums s; above, the soft least -T log(sum(exp(-s / T))), which is T times
        the log-odds of a softmax at the temperature T.
    upwards
        True if the number has to reach the level or lie above it, False for at most; None if it has to come to the
        level from whichever side it starts.
    of_logits
        Whether the sums are of logits; networks whose logits cannot be reached are then refused.
    """

    words: str
    sums: tuple[tuple[float, ...], ...] = ()
    level: float = 0.0
    temperature: float = 0.0
    upwards: bool | None = None
    of_logits: bool = False


def read_goal(text: str, meaning: OutputMeaning, explained: Contrast) -> Goal:
    """The goal that a text names.

    Parameters
    ----------
    text
        "boundary": where the answer that is explained would turn: for a class, another class becomes the likeliest;
        for a difference such as AD-CN, both are level; for a quantity's difference from a value, that value. A class
        or label: it becomes the answer. A number: the explained value reaches it; of a quantity, the quantity does.
        "30 %": the probability of the explained class; "CN 80 %": of any class.
    meaning
        What the network's outputs are.
    explained
        What is explained.

    Raises
    ------
    UserError
        If the text names nothing that this network can be brought to.

    Examples
    --------
    >>> from .targets import read_target
    >>> disease = OutputMeaning("logits", ("CN", "MCI", "AD"))
    >>> read_goal("boundary", disease, read_target("AD-CN", disease)).words
    'the boundary of AD - CN'
    >>> read_goal("CN", disease, read_target("AD", disease)).sums
    ((1.0, -1.0, 0.0), (1.0, 0.0, -1.0))
    """
    wanted = text.strip()
    if meaning.is_quantity:
        return _of_quantity(wanted, meaning, explained)
    if wanted.lower() == BOUNDARY:
        return _boundary(meaning, explained)
    if wanted in meaning.classes:
        return Goal(wanted, _evidence(wanted, meaning), 0.0, upwards=True)
    if wanted.endswith("%"):
        return _probability(wanted, meaning, explained)
    value = _number(wanted)
    if value is not None:
        return Goal(f"{explained.name} = {value:g}", level=value)
    classes = ", ".join(meaning.classes)
    raise UserError(
        f"The goal '{text}' is not known: give boundary, a class ({classes}), a number for the explained value, or a "
        f"probability such as 30 % or '{meaning.classes[0]} 80 %'.",
        option="goal",
    )


def check_goal(text: str, meaning: OutputMeaning, explained: Contrast) -> None:
    """Refuse a goal before any work is done; see :func:`read_goal`."""
    read_goal(text, meaning, explained)


def _of_quantity(wanted: str, meaning: OutputMeaning, explained: Contrast) -> Goal:
    (name,) = meaning.classes
    if wanted.lower() == BOUNDARY:
        if explained.reference is None:
            raise UserError(
                f"The model returns a quantity ({name}), which has no decision boundary: give the value that it should "
                "reach as the goal.",
                option="goal",
            )
        value: float | None = explained.reference
    else:
        value = _number(wanted.removesuffix(meaning.shown_unit).strip() if meaning.shown_unit else wanted)
    if value is None:
        raise UserError(
            f"The goal '{wanted}' is no value: the model returns a quantity ({name}), so give a number.", option="goal"
        )
    if meaning.outside(value):
        raise UserError(
            f"The goal {value:g} lies outside of the model's range ({meaning.scale_words()}): give a value within it.",
            option="goal",
        )
    return Goal(f"{name} = {meaning.given(value)}", ((1.0,),), value)


def _boundary(meaning: OutputMeaning, explained: Contrast) -> Goal:
    named = [name for name, weight in explained.weights.items() if weight > 0]
    lone = len(named) == 1 and explained.name == named[0]
    if not lone:
        return Goal(f"the boundary of {explained.name}", (tuple(output_weights(explained.weights, meaning)),))
    return Goal(f"the boundary of {named[0]}", _evidence(named[0], meaning))


def _evidence(name: str, meaning: OutputMeaning) -> tuple[tuple[float, ...], ...]:
    """Sums that are all above zero where the class or label is the answer."""
    place, count = meaning.classes.index(name), meaning.count
    if meaning.single and len(meaning.classes) == 2:
        return ((1.0 if place == 1 else -1.0,),)
    if meaning.kind == "ordinal":
        # Above the limit below it, not above the limit over it.
        below = [_row(count, {place - 1: 1.0})] if place > 0 else []
        return tuple(below + ([_row(count, {place: -1.0})] if place < count else []))
    if meaning.has_labels:
        return (_row(count, {place: 1.0}),)
    return tuple(_row(count, {place: 1.0, other: -1.0}) for other in range(count) if other != place)


def _probability(wanted: str, meaning: OutputMeaning, explained: Contrast) -> Goal:
    text = wanted[:-1].strip()
    name = max((one for one in meaning.classes if text.startswith(f"{one} ")), key=len, default="")
    number = _number(text.removeprefix(name).strip())
    if number is None or not 0 < number < 100:
        raise UserError(f"The goal '{wanted}' is no probability between 0 and 100 %.", option="goal")
    if not name:
        named = [one for one, weight in explained.weights.items() if weight > 0]
        if len(named) != 1:
            raise UserError(
                f"The goal '{wanted}' does not say of which class: give it, such as '{meaning.classes[0]} 80 %'.",
                option="goal",
            )
        name = named[0]
    if meaning.kind == "ordinal":
        raise UserError(
            "Probabilities of ordered classes are no goal: give boundary, a class or a number for what is explained.",
            option="goal",
        )
    odds = math.log(number / (100 - number))
    return Goal(
        f"{name} at {number:g} %",
        _evidence(name, meaning),
        odds * meaning.temperature,
        temperature=meaning.temperature,
        of_logits=True,
    )


def _row(count: int, weights: dict[int, float]) -> tuple[float, ...]:
    return tuple(weights.get(index, 0.0) for index in range(count))


def _number(text: str) -> float | None:
    try:
        value = float(text.replace("−", "-").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def simple_boundary(weights: Sequence[float]) -> Goal:
    """The boundary of what weights over outputs explain, where it is not known what the outputs mean.

    A single output of several (weight 1) is a class, which ends where another output becomes as large; any other
    weights make a difference, which ends at zero.
    """
    largest = [index for index, weight in enumerate(weights) if weight != 0]
    if len(weights) > 1 and len(largest) == 1 and weights[largest[0]] == 1:
        place, count = largest[0], len(weights)
        rows = tuple(_row(count, {place: 1.0, other: -1.0}) for other in range(count) if other != place)
        return Goal(f"the boundary of output {place}", rows)
    return Goal("the boundary of the explained value", (tuple(float(weight) for weight in weights),))
