"""The text node that says, inside the scene, what the result is and what it must not be used for."""

from __future__ import annotations

from ..explanation.answer_words import answer_words, explained_value
from ..explanation.explanation import Explanation
from ..explanation.volume_words import volume_statements

WORTH_SAYING = 0.005  # less would read as 0 %


def note_text(explanation: Explanation) -> str:
    """Banner, prediction, target, model, registration and warnings, as plain text."""
    model = explanation.model
    lines = [
        model.banner,
        "",
        f"Scan: {explanation.scan.name}",
        f"Prediction: {_answer(explanation)}",
        f"Explained: {explanation.target.name}, value {_explained(explanation)}",
        f"Methods: {', '.join(one.title for one in explanation.maps.values())}",
        f"Model: {model.name} {model.version}, SHA-256 {model.hash}",
        f"Trained on: {model.training_data}",
        f"Intended use: {model.intended_use}",
        f"Registration: {explanation.registration.sentence}",
    ]
    outside = [
        f"{one.title} {one.outside_brain:.0%}" for one in explanation.maps.values() if one.outside_brain >= WORTH_SAYING
    ]
    if outside:
        lines.append(f"Relevance outside the brain, which is neither shown nor counted: {', '.join(outside)}")
    said = [sentence for one in volume_statements(explanation) for sentence in one.all]
    if said:
        lines += ["", *said]
    if explanation.warnings:
        lines += ["", "Warnings:", *(f"- {sentence}" for sentence in explanation.warnings)]
    return "\n".join(lines) + "\n"


def _answer(explanation: Explanation) -> str:
    words = answer_words(explanation.prediction, explanation.model.output)
    legend = f"; ±: {words.legend}" if words.legend else ""
    if explanation.model.output.is_quantity:
        return words.sentence + legend
    if legend:
        return f"{words.headline} (probabilities: {words.details}{legend})"
    odds = ", ".join(f"{name} {value:.2f}" for name, value in explanation.prediction.probabilities.items())
    return f"{words.headline} (probabilities: {odds})"


def _explained(explanation: Explanation) -> str:
    target, output = explanation.target, explanation.model.output
    return explained_value(target, output) if output.is_quantity else f"{target.value:.3f}"
