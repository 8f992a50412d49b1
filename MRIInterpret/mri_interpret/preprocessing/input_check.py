"""Does the network's input look like what it was trained on, or at least like a brain?

A wrong intensity scale or a turned image gives no error and worthless answers; these checks make sentences of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.volume import Affine, Array, Volume, resample
from ..metrics.similarity import correlation
from ..thresholds import (
    INPUT_BRAIN_KEPT,
    INPUT_CONSTANT,
    INPUT_HUGE,
    INPUT_MARGIN,
    INPUT_TURNED,
)

#: What is looked at, and how a reader calls it.
FEATURES = {
    "mean_inside": "mean in the brain",
    "sd_inside": "standard deviation in the brain",
    "low_inside": "1st percentile in the brain",
    "middle_inside": "median in the brain",
    "high_inside": "99th percentile in the brain",
    "mean_outside": "mean outside the brain",
    "high_outside": "99th percentile of the magnitude outside the brain",
    "zeros": "share of zeros",
    "brain_share": "share of the grid that is brain",
    "left_edge": "where the brain begins along the first axis",
    "right_edge": "where it ends along the first axis",
    "back_edge": "where the brain begins along the second axis",
    "front_edge": "where it ends along the second axis",
    "lower_edge": "where the brain begins along the third axis",
    "upper_edge": "where it ends along the third axis",
}


_MIDDLE = (2, 98)  # percentiles


@dataclass(frozen=True)
class InputStatistics:
    """What inputs looked like in training: a range of each feature over ``n`` inputs."""

    n: int
    ranges: Mapping[str, tuple[float, float]]

    def as_json(self) -> dict[str, Any]:
        """As a bundle's metadata keeps it."""
        return {"n": self.n, "ranges": {name: [round(v, 6) for v in pair] for name, pair in self.ranges.items()}}


def read_statistics(raw: Any, source: str) -> InputStatistics:
    """The statistics of a metadata entry.

    Raises
    ------
    UserError
        If it names an unknown feature, or a range is none.
    """
    ranges = raw.get("ranges") if isinstance(raw, Mapping) else None
    if not isinstance(ranges, Mapping) or not isinstance(raw.get("n"), int):
        raise UserError(f"{source}: 'input_statistics' must hold 'n' and 'ranges'.")
    for name, pair in ranges.items():
        numbers = isinstance(pair, list) and len(pair) == 2 and all(isinstance(v, (int, float)) for v in pair)
        if name not in FEATURES or not numbers or not pair[0] <= pair[1]:
            raise UserError(f"{source}: 'input_statistics' has no sound range for '{name}'.")
    return InputStatistics(raw["n"], {str(name): (float(pair[0]), float(pair[1])) for name, pair in ranges.items()})


def features_of(image: Array, inside: Array) -> dict[str, float]:
    """The features of one input.

    Parameters
    ----------
    image
        As the network gets it, shape (I, J, K).
    inside
        Above 0 in the brain, same shape.

    Raises
    ------
    UserError
        If there is no brain in it.
    """
    values, brain = np.asarray(image, dtype=np.float64), np.asarray(inside) > 0
    if not brain.any():
        raise UserError("There is no brain in the network's input: look at its preprocessing.")
    within, beyond = values[brain], values[~brain]
    beyond = beyond if beyond.size else np.zeros(1)
    low, middle, high = np.percentile(within, [1, 50, 99])
    found = {
        "mean_inside": within.mean(),
        "sd_inside": within.std(),
        "low_inside": low,
        "middle_inside": middle,
        "high_inside": high,
        "mean_outside": beyond.mean(),
        "high_outside": np.percentile(np.abs(beyond), 99),
        "zeros": (values == 0).mean(),
        "brain_share": brain.mean(),
    }
    names = (("left_edge", "right_edge"), ("back_edge", "front_edge"), ("lower_edge", "upper_edge"))
    for axis, (begin, end) in enumerate(names):
        seen = np.flatnonzero(brain.any(axis=tuple(other for other in range(3) if other != axis)))
        found[begin], found[end] = seen[0] / brain.shape[axis], (seen[-1] + 1) / brain.shape[axis]
    return {name: float(value) for name, value in found.items()}


def statistics_of(inputs: Iterable[tuple[Array, Array]]) -> InputStatistics:
    """Statistics over training inputs, each an image and its brain mask.

    A range holds the middle 96 % of the inputs: one odd one among them would widen it for all. The margin of
    :func:`compare_with_training` is wide enough for those at either end.
    """
    rows = [features_of(image, inside) for image, inside in inputs]
    if not rows:
        raise UserError("There is no input to take statistics from.")
    ranges = {name: np.percentile([row[name] for row in rows], _MIDDLE) for name in FEATURES}
    return InputStatistics(len(rows), {name: (float(low), float(high)) for name, (low, high) in ranges.items()})


def compare_with_training(image: Array, inside: Array, training: InputStatistics) -> list[str]:
    """One sentence if features of the input lie beyond what training saw, by more than half that range; else none."""
    found = features_of(image, inside)
    beyond = []
    for name, (low, high) in training.ranges.items():
        room = INPUT_MARGIN * max(high - low, 0.02 * max(abs(low), abs(high), 1e-6))
        if not low - room <= found[name] <= high + room:
            value = 0.0 if abs(found[name]) < 1e-3 * max(abs(low), abs(high)) else found[name]  # no -1.2e-07 for a 0
            beyond.append(f"{FEATURES[name]} {value:.3g} (training {low:.3g} to {high:.3g})")
    if not beyond:
        return []
    more = f", and {len(beyond) - 3} more" if len(beyond) > 3 else ""
    return [
        f"The network's input does not look like its training data: {'; '.join(beyond[:3])}{more}. "
        "Its answer and maps may be worthless; look at the input and at the model's preprocessing."
    ]


def plausible(image: Volume, inside: Volume, kept: float, template: Volume, to_template: Affine) -> list[str]:
    """Sentences on what cannot be right in an input, whatever the network was trained on.

    Parameters
    ----------
    image, inside
        The input and the brain in it, with affines to RAS mm of the scan.
    kept
        Share of the brain that lies within the grid.
    template
        The template's brain.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    """
    brain = np.asarray(inside.array) > 0
    if not brain.any():
        return ["There is no brain in the network's input."]
    within = np.asarray(image.array, dtype=np.float64)[brain]
    sentences = []
    spread = float(np.ptp(np.percentile(within, [1, 99])))
    if spread < INPUT_CONSTANT:
        sentences.append(
            f"The network's input is nearly constant in the brain (98 % of it within {spread:.2g}): its intensities "
            "may be scaled wrongly."
        )
    elif np.abs(within).max() > INPUT_HUGE:
        sentences.append(
            f"The network's input reaches {np.abs(within).max():.3g} in the brain: its intensities may not be scaled."
        )
    if kept < INPUT_BRAIN_KEPT:
        sentences.append(f"The network's grid holds only {kept:.0%} of the brain: the rest is cut off.")
    turned = _turned(image, brain, template, to_template)
    if turned:
        sentences.append(f"The network's input seems to be {turned}: check the scan's orientation.")
    return sentences


def as_the_file_lies(image: Volume) -> list[str]:
    """One sentence if the axes of an input that no step turned do not point to R, A and S, as most networks' do.

    Parameters
    ----------
    image
        The input, with its affine to RAS mm of the scan.
    """
    import nibabel  # not on top: Slicer's panel reads models' metadata before it is installed

    axes = nibabel.aff2axcodes(image.affine)
    if axes == ("R", "A", "S"):
        return []
    return [
        f"The network got this scan with its axes to {', '.join(axes)}, as its file lies, because no step of the "
        "model's preprocessing sets them: if the model was trained on other axes, it saw the brain turned."
    ]


_TURNS = {"": (), "upside down": (2,), "back to front": (1,), "upside down and back to front": (1, 2)}


def _turned(image: Volume, brain: Array, template: Volume, to_template: Affine) -> str:
    """How the input lies if the template, turned, matches it clearly better than the template as it is."""
    grid = type(image.grid)(image.shape, to_template @ image.affine)
    values = np.asarray(image.array, dtype=np.float64)[brain]
    matches = {}
    for words, axes in _TURNS.items():
        turned = template.with_array(np.ascontiguousarray(np.flip(template.array, axes)))
        matches[words] = correlation(values, resample(turned, grid).array[brain])
    best = max(matches, key=lambda words: matches[words])
    return best if matches[best] > matches[""] + INPUT_TURNED else ""
