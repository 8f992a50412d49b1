"""The chart of the answer: class probabilities, or a quantity on its scale."""

from __future__ import annotations

import numpy as np

from ..drawing.canvas import ACCENT, INK, MUTED, WARM, Picture, as_svg, new_figure
from ..explanation.answer_words import PRESENT, answer_words, share_words
from ..explanation.explanation import Prediction, Target
from ..minus_sign import true_minus
from ..models.outputs import OutputMeaning

_PALE = "#c3ccd6"


def answer_chart(prediction: Prediction, target: Target, output: OutputMeaning) -> Picture:
    """Bars of the probabilities of classes or labels, or the scale of a quantity with the answer on it."""
    if output.is_quantity:
        return quantity_chart(prediction, target, output)
    return probability_chart(prediction, target, output)


def probability_chart(prediction: Prediction, target: Target, output: OutputMeaning) -> Picture:
    """Bars of the class probabilities, the predicted class (of labels: what is present) in colour; logits beside."""
    names = list(prediction.probabilities)
    if output.has_labels:
        named = [name for name in names if prediction.probabilities[name] > PRESENT]
    else:
        named = [prediction.predicted]
    deviations = prediction.members_sd or {}
    width = 0.44 if deviations else 0.58  # of the bars, in the figure's width: numbers with ± need more room
    with new_figure(4.8, 0.42 * len(names) + 0.5) as figure:
        axes = figure.add_axes((0.14, 0.24, width, 0.74))
        right = 0.79 / width  # where the logits end
        values = [prediction.probabilities[name] for name in names]
        colours = [ACCENT if name in named else _PALE for name in names]
        rows = np.arange(len(names))[::-1]
        axes.barh(rows, values, height=0.62, color=colours)
        if deviations:
            axes.errorbar(values, rows, xerr=[deviations[name] for name in names], fmt="none", ecolor=INK, capsize=2)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks(rows, names)
        axes.tick_params(axis="both", length=0)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel("probability", fontsize=8)
        for row, name, value in zip(rows, names, values, strict=True):
            weight = "bold" if name in named else "normal"
            axes.text(1.03, row, share_words(value, deviations.get(name), 1), va="center", fontweight=weight)
            logit = true_minus(f"{prediction.logits[name]:+.2f}")
            axes.text(right, row, logit, va="center", ha="right", color=MUTED, fontsize=8)
        axes.text(right, rows[0] + 0.55, "logit", ha="right", color=MUTED, fontsize=7.5)
        axes.set_ylim(-0.5, len(names) - 0.25)
        data = as_svg(figure)
    words = answer_words(prediction, output, decimals=1)
    caption = f"±: {words.legend}." if words.legend else ""
    return Picture(data, "image/svg+xml", f"Probabilities: {words.details}. Explained: {target.name}.", caption)


def quantity_chart(prediction: Prediction, target: Target, output: OutputMeaning) -> Picture:
    """The quantity as a mark on its range, with named values and the value that it is compared with."""
    (name,) = output.classes
    value = prediction.logits[name]
    ends = [value, *([] if target.reference is None else [target.reference])]
    low, high = output.value_range or (min(*ends, 0.0), max(*ends, 0.0))
    low, high = min(low, *ends), max(high, *ends)
    margin = 0.06 * (high - low or 1.0)
    with new_figure(4.8, 1.45) as figure:
        axes = figure.add_axes((0.06, 0.36, 0.88, 0.34))
        if output.value_range is not None:
            axes.barh([0], [output.value_range[1] - output.value_range[0]], left=output.value_range[0], height=0.5,
                color="#e4e9ee")  # fmt: skip
        if target.reference is not None:
            axes.plot([target.reference, value], [0, 0], color=WARM, linewidth=3, solid_capstyle="butt")
            axes.plot([target.reference] * 2, [-0.45, 0.45], color=INK, linewidth=1.2, linestyle=(0, (3, 2)))
        axes.plot([value], [0], marker="D", markersize=9, color=ACCENT, clip_on=False, zorder=3)
        if prediction.members_sd:
            axes.errorbar([value], [0], xerr=[prediction.members_sd[name]], fmt="none", ecolor=INK, capsize=3)
        inside = 0.12 < (value - low + margin) / (high - low + 2 * margin) < 0.88
        axes.annotate(
            output.amount(value), (value, 0.45), (0, 6), textcoords="offset points", fontweight="bold", color=ACCENT,
            ha="center" if inside else "left" if value < (low + high) / 2 else "right",
        )  # fmt: skip
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(-0.5, 0.6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if output.anchors:
            axes.set_xticks([at for at, _ in output.anchors], [f"{at:g}\n{word}" for at, word in output.anchors])
        axes.tick_params(axis="x", labelsize=8)
        unit = f" ({output.shown_unit})" if output.shown_unit else ""
        axes.set_xlabel(f"{name}{unit}", fontsize=8)
        data = as_svg(figure)
    scale, answer = output.scale_words(), answer_words(prediction, output)
    alt = f"{answer.headline}{f', on a scale from {scale}' if scale else ''}. Explained: {target.name}."
    caption = f"±: {answer.legend}. " if answer.legend else ""
    if target.reference is not None:
        caption += f"Dashed line: {output.given(target.reference)}, from which the difference is explained."
    caption = caption.strip()
    return Picture(data, "image/svg+xml", alt, caption)
