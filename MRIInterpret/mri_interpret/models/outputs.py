"""What the numbers that a network returns mean: logits, probabilities, one logit, or a quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError

KINDS = ("logits", "softmax", "sigmoid", "logit", "regression")


@dataclass(frozen=True)
class OutputMeaning:
    """What a bundle's metadata says of its network's outputs.

    Attributes
    ----------
    kind
        ``"logits"``: one for each class, of which a softmax makes probabilities. ``"softmax"``: probabilities of
        classes that exclude each other. ``"sigmoid"``: a probability for each class by itself. ``"logit"``: a single
        one, the log-odds of the second of two classes. ``"regression"``: a single quantity.
    classes
        Names of the classes; of a regression the quantity's name.
    single
        Whether one number stands for both of two classes, or for a quantity.
    unit
        Of the quantity.
    temperature
        Logits are divided by it before they become probabilities.
    """

    kind: str
    classes: tuple[str, ...]
    single: bool = False
    unit: str = ""
    temperature: float = 1.0

    @property
    def expected(self) -> str:
        """What the metadata says that the network returns, as the end of a sentence."""
        if self.single:
            return f"its metadata names 1 value ({self.classes[-1]})"
        return f"its metadata names {self.count} classes ({', '.join(self.classes)})"

    @property
    def count(self) -> int:
        """How many numbers the network returns for a sample."""
        return 1 if self.single else len(self.classes)


@dataclass(frozen=True)
class Answer:
    """A network's outputs for one scan, in words.

    Attributes
    ----------
    values
        What is explained, by class: logits, or what the network returns in their place. With a single logit the first
        class has 0, so that differences are log-odds.
    probabilities
        By class; empty for a regression.
    predicted
        The likeliest class, or the quantity with its unit.
    """

    values: dict[str, float]
    probabilities: dict[str, float]
    predicted: str


def read_answer(outputs: Sequence[float], meaning: OutputMeaning, activation: str = "", scale: str = "logit") -> Answer:
    """Prediction and probabilities from a network's outputs.

    Parameters
    ----------
    outputs
        What is explained of one sample: the network's outputs, or the logits before the softmax or sigmoid that it
        ends in.
    meaning
        What the metadata says of them.
    activation
        The function that the network ends in, ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``, if ``outputs`` are the
        numbers before it.
    scale
        ``"logit"``, or ``"probability"`` or ``"log-probability"`` if ``outputs`` themselves were found to be those.

    Raises
    ------
    UserError
        If the network returned another number of values, or values that cannot be what the metadata says.
    """
    values = [float(value) for value in outputs]
    if len(values) != meaning.count:
        raise UserError(_wrong_count(len(values), meaning))
    if meaning.kind == "regression":
        (name,) = meaning.classes
        return Answer({name: values[0]}, {}, f"{name} {values[0]:.4g} {meaning.unit}".rstrip())
    if meaning.single:
        shares = _two(values[0], meaning, activation)
        values = [0.0, *values]
    elif meaning.kind == "sigmoid" or (activation == "sigmoid" and meaning.kind == "logits"):
        shares = _independent(values, meaning, activation)
    else:
        shares = _exclusive(values, meaning, activation, scale)
    predicted = meaning.classes[max(range(len(values)), key=lambda index: (shares[index], values[index]))]
    return Answer(
        dict(zip(meaning.classes, values, strict=True)), dict(zip(meaning.classes, shares, strict=True)), predicted
    )


def _independent(values: Sequence[float], meaning: OutputMeaning, activation: str) -> list[float]:
    """A probability for each class by itself."""
    if not activation:
        if not all(0 <= value <= 1 for value in values):
            raise UserError(
                f"The model's metadata says that it returns probabilities (output 'sigmoid'), but it returned "
                f"{_listed(values)}: logits of classes that exclude each other are 'logits'."
            )
        if meaning.temperature == 1:
            return list(values)
        values = [_log(value) - _log(1 - value) for value in values]
    return [_sigmoid(value / meaning.temperature) for value in values]


def _two(value: float, meaning: OutputMeaning, activation: str) -> list[float]:
    """Probabilities of two classes from one number."""
    if meaning.kind == "sigmoid":
        (second,) = _independent([value], meaning, activation)
    else:
        second = _sigmoid(value / meaning.temperature)
    return [1 - second, second]


def _exclusive(values: Sequence[float], meaning: OutputMeaning, activation: str, scale: str) -> list[float]:
    """Probabilities of classes that exclude each other."""
    if meaning.kind == "softmax" and activation not in ("softmax", "log_softmax") and scale == "logit":
        raise UserError(
            f"The model's metadata says that it returns probabilities (output 'softmax'), but it returned "
            f"{_listed(values)}, which do not add up to 1: say 'logits' there."
        )
    if scale == "probability":
        values = [_log(value) for value in values]
    scaled = [value / meaning.temperature for value in values]
    largest = max(scaled)
    powers = [math.exp(value - largest) for value in scaled]
    return [power / sum(powers) for power in powers]


def _wrong_count(count: int, meaning: OutputMeaning) -> str:
    hint = ": say 'logit' as its output, if that is the log-odds of the second class" if count == 1 else ""
    return f"The model returned {count} {'value' if count == 1 else 'values'}, but {meaning.expected}{hint}."


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _log(value: float) -> float:
    return math.log(max(value, 1e-300))


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
