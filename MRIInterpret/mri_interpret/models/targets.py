"""What to explain: a class or label, a difference such as AD-CN, a quantity, or its difference from a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UserError
from .outputs import OutputMeaning

PREDICTED, VALUE = "predicted", "value"
_MINUS = "-−"


@dataclass(frozen=True)
class Contrast:
    """The number that is explained.

    Attributes
    ----------
    name
        For people.
    weights
        Of every class's logit; of a quantity 1.
    reference
        What is taken off the quantity; None where nothing is.
    """

    name: str
    weights: dict[str, float]
    reference: float | None = None

    def of(self, values: Mapping[str, float]) -> float:
        """The number itself, from what is explained by class."""
        return sum(weight * values[name] for name, weight in self.weights.items()) - (self.reference or 0.0)


def is_predicted(text: str) -> bool:
    """Whether a target means whatever the network answers."""
    return text.strip().lower() == PREDICTED


def read_target(text: str, meaning: OutputMeaning, predicted: str = "") -> Contrast:
    """The contrast that a target names.

    Parameters
    ----------
    text
        "predicted", a class or label, or "A-B" for the difference of two (spaces allowed). Of a quantity: "predicted",
        "value" or its name, or "value-65" for its difference from a value in its unit. Of ordered classes, a class is
        told from its neighbours, and "value" means the last class minus the first.
    meaning
        What the network's outputs are.
    predicted
        The class that "predicted" means; the first class if it is not known yet.

    Raises
    ------
    UserError
        If the text names nothing that this model has; the message lists what can be given.

    Examples
    --------
    >>> age = OutputMeaning("regression", ("brain age",), True, "years")
    >>> read_target("value-65", age).name
    'brain age - 65 years'
    >>> read_target("AD-CN", OutputMeaning("logits", ("CN", "MCI", "AD"))).weights
    {'CN': -1.0, 'MCI': 0.0, 'AD': 1.0}
    """
    wanted = text.strip()
    if meaning.is_quantity:
        return _of_quantity(wanted, meaning)
    classes = meaning.classes
    if is_predicted(wanted):
        wanted = predicted or classes[0]
    if wanted in classes:
        return _of_class(wanted, meaning)
    if meaning.kind == "ordinal" and wanted.lower() == VALUE:
        return _difference(classes[-1], classes[0], meaning)
    # A class name may hold a hyphen itself, so every hyphen is tried.
    for position, character in enumerate(wanted):
        plus, minus = wanted[:position].strip(), wanted[position + 1 :].strip()
        if character in _MINUS and plus in classes and minus in classes and plus != minus:
            return _difference(plus, minus, meaning)
    forms = [PREDICTED, *classes, *([VALUE] if meaning.kind == "ordinal" else [])]
    example = f", or a difference such as {classes[-1]}-{classes[0]}" if len(classes) > 1 else ""
    raise UserError(f"The target '{text}' is not known: give {', '.join(forms)}{example}.")


def output_weights(weights: Mapping[str, float], meaning: OutputMeaning) -> list[float]:
    """The weight of each of the network's outputs, from those of the classes.

    A single logit is that of the second class; the first class's is zero. The limit between two ordered classes counts
    for every class above it.
    """
    listed = [weights[name] for name in meaning.classes]
    if meaning.kind == "ordinal":
        return [sum(listed[number:]) for number in range(1, len(listed))]
    return listed[-1:] if meaning.single else listed


def _of_quantity(wanted: str, meaning: OutputMeaning) -> Contrast:
    (name,) = meaning.classes
    weights = {name: 1.0}
    if wanted.lower() in (PREDICTED, VALUE) or wanted == name:
        return Contrast(name, weights)
    for start in (VALUE, name):
        rest = wanted[len(start) :].strip()
        if wanted[: len(start)].lower() == start.lower() and rest[:1] and rest[0] in _MINUS:
            reference = _number(rest[1:].strip().removesuffix(meaning.shown_unit).strip())
            if reference is None:
                break
            if meaning.outside(reference):
                raise UserError(
                    f"The target '{wanted}' cannot be: {reference:g} lies outside of the model's range "
                    f"({meaning.scale_words()})."
                )
            return Contrast(f"{name} - {meaning.given(reference)}", weights, reference)
    known = ", ".join(dict.fromkeys((PREDICTED, VALUE, name)))
    example = 65 if meaning.value_range is None else meaning.value_range[0]
    raise UserError(
        f"The target '{wanted}' is not known: the model returns a quantity, so give {known}, or its difference from a "
        f"value, such as value-{example:g}."
    )


def _of_class(name: str, meaning: OutputMeaning) -> Contrast:
    classes = meaning.classes
    place = classes.index(name)
    if meaning.kind == "ordinal":
        # Above the limit below it, and not above the limit over it.
        weights = dict.fromkeys(classes, 0.0)
        for neighbour in classes[max(place - 1, 0) : place + 2]:
            if neighbour != name:
                weights[neighbour] -= 1.0
                weights[name] += 1.0
        return Contrast(name, weights)
    if meaning.single and len(classes) == 2:
        return _difference(name, classes[1 - place], meaning)
    return Contrast(name, {other: float(other == name) for other in classes})


def _difference(plus: str, minus: str, meaning: OutputMeaning) -> Contrast:
    weights = {name: float(name == plus) - float(name == minus) for name in meaning.classes}
    return Contrast(f"{plus} - {minus}", weights)


def _number(text: str) -> float | None:
    try:
        value = float(text.replace("−", "-"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
