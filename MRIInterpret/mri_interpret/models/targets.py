"""What to explain: one class, the predicted class, or a difference of classes such as AD-CN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UserError
from .outputs import OutputMeaning


def parse_target(
    text: str, classes: Sequence[str], logits: Mapping[str, float], single: bool = False
) -> tuple[str, dict[str, float]]:
    """The weight of each logit in the contrast that ``text`` names.

    Parameters
    ----------
    text
        "predicted", a class name, or "A-B" for the difference of two classes (spaces allowed).
    classes
        The model's class names, in the order of its outputs.
    logits
        By class name; decide what "predicted" means.
    single
        Whether a single logit stands for two classes: each of them then means its difference from the other.

    Returns
    -------
    name, weights
        The contrast's name for people, and a weight for every class.

    Raises
    ------
    UserError
        If the text names no class of this model; the message lists what can be given.
    """
    wanted = text.strip()
    if wanted.lower() == "predicted":
        wanted = max(classes, key=lambda name: logits[name])
    if wanted in classes:
        if single and len(classes) == 2:
            other = next(name for name in classes if name != wanted)
            return _difference(wanted, other, classes)
        return wanted, {name: float(name == wanted) for name in classes}
    # A class name may hold a hyphen itself, so every hyphen is tried.
    for position, character in enumerate(wanted):
        plus, minus = wanted[:position].strip(), wanted[position + 1 :].strip()
        if character in "-−" and plus in classes and minus in classes and plus != minus:
            return _difference(plus, minus, classes)
    forms = ["predicted", *classes]
    example = f", or a difference such as {classes[-1]}-{classes[0]}" if len(classes) > 1 else ""
    raise UserError(f"The target '{text}' is not known: give {', '.join(forms)}{example}.")


def output_weights(weights: Mapping[str, float], meaning: OutputMeaning) -> list[float]:
    """The weight of each of the network's outputs, from those of the classes.

    A single logit is that of the second class; the first class's is zero.
    """
    listed = [weights[name] for name in meaning.classes]
    return listed[-1:] if meaning.single else listed


def _difference(plus: str, minus: str, classes: Sequence[str]) -> tuple[str, dict[str, float]]:
    return f"{plus} - {minus}", {name: float(name == plus) - float(name == minus) for name in classes}
