"""What to explain: one class, the predicted class, or a difference of classes such as AD-CN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UserError


def parse_target(text: str, classes: Sequence[str], logits: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """The weight of each logit in the contrast that ``text`` names.

    Parameters
    ----------
    text
        "predicted", a class name, or "A-B" for the difference of two classes (spaces allowed).
    classes
        The model's class names, in the order of its outputs.
    logits
        By class name; decide what "predicted" means.

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
        return wanted, {name: float(name == wanted) for name in classes}
    # A class name may hold a hyphen itself, so every hyphen is tried.
    for position, character in enumerate(wanted):
        plus, minus = wanted[:position].strip(), wanted[position + 1 :].strip()
        if character in "-−" and plus in classes and minus in classes and plus != minus:
            return f"{plus} - {minus}", {name: float(name == plus) - float(name == minus) for name in classes}
    example = f"{classes[-1]}-{classes[0]}" if len(classes) > 1 else classes[0]
    raise UserError(
        f"The target '{text}' is not known: give predicted, one of {', '.join(classes)}, "
        f"or a difference such as {example}."
    )
