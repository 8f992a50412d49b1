"""What the numbers that a network returns mean: logits, probabilities, labels, ordered classes, or a quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..errors import UserError

KINDS = ("logits", "softmax", "sigmoid", "labels", "logit", "ordinal", "regression")
NO_UNIT = "1"  # what a score without a unit has in its place, as in UCUM


@dataclass(frozen=True)
class OutputMeaning:
    """What a bundle's metadata says of its network's outputs.

    Attributes
    ----------
    kind
        ``"logits"``: one for each class, of which a softmax makes probabilities. ``"softmax"``: probabilities of
        classes that exclude each other. ``"sigmoid"``: a probability for each label by itself. ``"labels"``: the
        log-odds of each label by itself. ``"logit"``: a single one, the log-odds of the second of two classes.
        ``"ordinal"``: for classes in order, the log-odds of lying above each of the limits between them (Cao, Mirjalili
        and Raschka 2020, Rank consistent ordinal regression). ``"regression"``: a single quantity.
    classes
        Names of the classes; of a regression the quantity's name.
    single
        Whether one number stands for both of two classes, or for a quantity.
    unit
        Of the quantity; :data:`NO_UNIT` for a score without one.
    temperature
        Logits are divided by it before they become probabilities.
    value_range
        Least and largest value of the quantity that the network was made for, if that is known.
    anchors
        Values of the quantity that have names, such as (0, "CN"), in ascending order.
    """

    kind: str
    classes: tuple[str, ...]
    single: bool = False
    unit: str = ""
    temperature: float = 1.0
    value_range: tuple[float, float] | None = None
    anchors: tuple[tuple[float, str], ...] = ()

    @property
    def is_quantity(self) -> bool:
        """Whether the output is a number to be read as it is, not the evidence for a class."""
        return self.kind == "regression"

    @property
    def has_labels(self) -> bool:
        """Whether several labels may hold at once, or none."""
        return self.kind in ("sigmoid", "labels") and not self.single

    @property
    def expected(self) -> str:
        """What the metadata says that the network returns, as the end of a sentence."""
        if self.single:
            return f"its metadata names 1 value ({self.classes[-1]})"
        if self.kind == "ordinal":
            return f"its metadata names {self.count} limits between ordered classes ({', '.join(self.classes)})"
        return f"its metadata names {self.count} classes ({', '.join(self.classes)})"

    @property
    def count(self) -> int:
        """How many numbers the network returns for a sample."""
        if self.kind == "ordinal":
            return len(self.classes) - 1
        return 1 if self.single else len(self.classes)

    @property
    def scale(self) -> str:
        """The unit that relevance is measured in: of the quantity (its name where it has no unit), else the logit."""
        return (self.shown_unit or self.classes[0]) if self.is_quantity else "logit"

    @property
    def shown_unit(self) -> str:
        """The unit as it stands behind a number; empty for a score without one."""
        return "" if self.unit == NO_UNIT else self.unit

    def amount(self, value: float, sign: bool = False) -> str:
        """A value of the quantity with its unit: "71.3 years"; with ``sign``, also a plus."""
        return f"{self.digits(value, sign)} {self.shown_unit}".rstrip()

    def given(self, value: float) -> str:
        """A value as its user gave it, with its unit: "65 years"."""
        return f"{value:g} {self.shown_unit}".rstrip()

    def scale_words(self) -> str:
        """The quantity's range in words, "0 CN .. 2 dementia" or "40 .. 90 years"; empty if it is not known."""
        if self.value_range is None:
            return ""
        names = dict(self.anchors)
        low, high = (f"{end:g} {names.get(end, '')}".rstrip() for end in self.value_range)
        unit = "" if any(end in names for end in self.value_range) else self.shown_unit
        return f"{low} .. {high} {unit}".rstrip()

    def outside(self, value: float) -> bool:
        """Whether a value lies outside of the range that the network was made for."""
        return self.value_range is not None and not self.value_range[0] <= value <= self.value_range[1]

    def digits(self, value: float, sign: bool = False) -> str:
        """A value without its unit: to three digits of the range, else to four digits of its own."""
        plus = "+" if sign else ""
        if self.value_range is None or not math.isfinite(value):
            return f"{value:{plus}.4g}"
        low, high = self.value_range  # three digits of the range
        decimals = max(0, 2 - math.floor(math.log10(high - low)))
        return f"{value:{plus}.{decimals}f}"


@dataclass(frozen=True)
class Answer:
    """A network's outputs for one scan, in words.

    Attributes
    ----------
    values
        What is explained, by class: logits, or what the network returns in their place. With a single logit the first
        class has 0, so that differences are log-odds; of ordered classes each has the sum of the log-odds of the limits
        below it, so that the difference of neighbours is the log-odds of the limit between them.
    probabilities
        By class; empty for a regression.
    predicted
        The likeliest class (of ordered classes, the one above as many limits as are likelier passed than not), or the
        quantity with its unit.
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
        return Answer({name: values[0]}, {}, f"{name} {meaning.amount(values[0])}")
    if meaning.kind == "ordinal":
        return _ordered(values, meaning)
    if meaning.single:
        shares = _two(values[0], meaning, activation)
        values = [0.0, *values]
    elif meaning.has_labels or (activation == "sigmoid" and meaning.kind == "logits"):
        shares = _independent(values, meaning, activation or ("sigmoid" if meaning.kind == "labels" else ""))
    else:
        shares = _exclusive(values, meaning, activation, scale)
    predicted = meaning.classes[max(range(len(values)), key=lambda index: (shares[index], values[index]))]
    return Answer(
        dict(zip(meaning.classes, values, strict=True)), dict(zip(meaning.classes, shares, strict=True)), predicted
    )


def _ordered(values: Sequence[float], meaning: OutputMeaning) -> Answer:
    """Ordered classes from the log-odds of lying above each limit.

    Lying above a limit implies lying above those below it. A network whose numbers contradict that is read with the
    least probability so far, so that no class gets a negative one.
    """
    above = list(accumulate((_sigmoid(value / meaning.temperature) for value in values), min))
    shares = [low - high for low, high in zip([1.0, *above], [*above, 0.0], strict=True)]
    scores = [0.0, *accumulate(values)]
    predicted = meaning.classes[sum(share > 0.5 for share in above)]
    return Answer(
        dict(zip(meaning.classes, scores, strict=True)), dict(zip(meaning.classes, shares, strict=True)), predicted
    )


def _independent(values: Sequence[float], meaning: OutputMeaning, activation: str) -> list[float]:
    """A probability for each label by itself."""
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
