"""What a model answered, and which number of it is explained, in words: every output says it in the same ones."""

from __future__ import annotations

from dataclasses import dataclass

from ..minus_sign import true_minus
from ..models.outputs import OutputMeaning
from ..models.targets import output_weights
from .facts import Prediction, Target

PRESENT = 0.5  # probability above which a label is said to be present


@dataclass(frozen=True)
class AnswerWords:
    """The answer in words.

    Attributes
    ----------
    headline
        "AD", "brain age 71.3 years", "atrophy, lesions", or "none of atrophy, lesions".
    details
        What stands behind it: "CN 3%, MCI 20%, AD 77%", or a quantity's scale, "0 CN .. 2 dementia"; may be empty.
    share
        The probability of the class that is named; None where there is no such class.
    share_words
        The same in words: "77%", or of a model of several networks "77 % ± 6".
    legend
        What follows ± in these words; empty for a model of one network.
    """

    headline: str
    details: str
    share: float | None = None
    share_words: str = ""
    legend: str = ""

    @property
    def sentence(self) -> str:
        """Both: "COG score 0.87 (0 CN .. 2 dementia)"."""
        return f"{self.headline} ({self.details})" if self.details else self.headline


def answer_words(prediction: Prediction, output: OutputMeaning, decimals: int = 0) -> AnswerWords:
    """An answer in words; ``decimals`` of the percentages."""
    deviations = prediction.members_sd or {}
    legend = members_legend(prediction.members) if deviations else ""
    if output.is_quantity:
        (name,) = output.classes
        headline = prediction.predicted
        if deviations:
            deviation = output.digits(deviations[name])
            if float(deviation) == 0 < deviations[name]:  # too small for the quantity's digits, which is not none
                deviation = f"{deviations[name]:.1g}"
            values = f"{output.digits(prediction.logits[name])} ± {deviation}"
            headline = f"{name} {values} {output.shown_unit}".rstrip()
        return AnswerWords(headline, output.scale_words(), legend=legend)
    shares = {
        name: share_words(value, deviations.get(name), decimals) for name, value in prediction.probabilities.items()
    }
    odds = ", ".join(f"{name} {words}" for name, words in shares.items())
    if output.has_labels:
        present = [name for name, value in prediction.probabilities.items() if value > PRESENT]
        headline = ", ".join(present) or f"none of {', '.join(prediction.probabilities)}"
        return AnswerWords(headline, odds, legend=legend)
    predicted = prediction.predicted
    return AnswerWords(predicted, odds, prediction.probabilities[predicted], shares[predicted], legend)


def members_legend(members: int) -> str:
    """What a number after ± is."""
    return f"SD over the {members} networks of this model"


def share_words(value: float, deviation: float | None, decimals: int = 0) -> str:
    """A probability in words: "77%"; with the standard deviation over a model's networks "77 % ± 6"."""
    if deviation is None:
        return f"{value:.{decimals}%}"
    return f"{100 * value:.{decimals}f} % ± {points_words(deviation, decimals)}"


def points_words(deviation: float, decimals: int = 0) -> str:
    """A standard deviation of a probability in percentage points: "6", "0.4", "< 0.1" (which is not 0), or "0"."""
    points = 100 * deviation
    if 0 < points < 0.05:
        return "< 0.1"
    return f"{points:.{decimals if points >= 0.95 or points == 0 else max(decimals, 1)}f}"


def contrast_formula(target: Target, output: OutputMeaning) -> str:
    """The explained number as a formula.

    "logit of AD − logit of CN"; "log-odds of at least AD"; "brain age"; "brain age − 65 years".
    """
    if output.is_quantity:
        (name,) = output.classes
        return name if target.reference is None else f"{name} − {true_minus(output.given(target.reference))}"
    if output.kind == "ordinal" and set(target.weights) == set(output.classes):
        weights = output_weights(target.weights, output)
        return _sum([(f"log-odds of at least {name}", w) for name, w in zip(output.classes[1:], weights, strict=True)])
    return _sum([(f"logit of {name}", weight) for name, weight in target.weights.items()])


def _sum(parts: list[tuple[str, float]]) -> str:
    terms = []
    for name, weight in parts:
        if weight == 0:
            continue
        sign = "−" if weight < 0 else "+"
        size = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        terms.append((sign, f"{size}{name}"))
    terms.sort(key=lambda term: term[0] == "−")  # positive terms first
    if not terms:
        return "nothing (all weights are 0)"
    first = ("−" if terms[0][0] == "−" else "") + terms[0][1]
    return " ".join([first, *(f"{sign} {text}" for sign, text in terms[1:])])


def explained_value(target: Target, output: OutputMeaning, digits: int = 4) -> str:
    """The explained number itself: "+6.3 years", "0.42"."""
    if not output.is_quantity:
        return f"{target.value:.{digits}g}"
    return output.amount(target.value, sign=target.reference is not None)


def colours_in_words(output: OutputMeaning) -> str:
    """What the signs of a signed map mean."""
    if output.is_quantity:
        return f"red raises the {output.classes[0]}, blue lowers it"
    return "red for the target, blue against it"
