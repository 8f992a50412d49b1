"""The check of a network's input: wrong scales, cut and turned brains are said, right inputs pass in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume
from mri_interpret.preprocessing.input_check import (
    FEATURES,
    compare_with_training,
    features_of,
    plausible,
    read_statistics,
    statistics_of,
)
from mri_interpret.preprocessing.template import load_template


@pytest.fixture(scope="module")
def brain():
    return load_template(2)


def drawn(brain, seed):
    """The template as another head of the same kind: other noise, contrast and size of the grey-white step."""
    image, mask = brain
    generator = np.random.default_rng(seed)
    values = image.array ** generator.uniform(0.8, 1.2) + generator.normal(0, 0.03, image.shape)
    low, high = np.percentile(values[mask.array > 0], [0.5, 99.5])
    return np.where(mask.array > 0, np.clip((values - low) / (high - low), 0, 1), 0).astype(np.float32)


@pytest.fixture(scope="module")
def training(brain):
    return statistics_of((drawn(brain, seed), brain[1].array) for seed in range(6))


def test_an_input_like_training_passes(brain, training):
    for seed in (20, 21, 22):
        assert compare_with_training(drawn(brain, seed), brain[1].array, training) == []


WRONG = {
    "times 255": lambda x, m: x * 255,
    "z-score in the brain": lambda x, m: np.where(m, (x - x[m].mean()) / x[m].std(), 0),
    "divided by the mean": lambda x, m: x / x.mean(),
    "minus 1 to 1": lambda x, m: 2 * x - 1,
    "min-max after a bright voxel": lambda x, m: x / 6,
    "inverted": lambda x, m: np.where(m, 1 - x, 0),
    "not masked": lambda x, m: np.where(m, x, 0.4),
    "squared": lambda x, m: x**3,
    "shifted by 20 voxels": lambda x, m: np.roll(x, 20, 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_step_is_said(name, brain, training):
    image, mask = drawn(brain, 30), brain[1].array > 0
    moved = np.roll(mask, 20, 2) if "shifted" in name else mask
    (sentence,) = compare_with_training(WRONG[name](image, mask), moved, training)
    assert "does not look like its training data" in sentence
    assert "\n" not in sentence


def test_a_rounding_error_reads_as_zero(brain, training):
    image, mask = drawn(brain, 30), brain[1].array > 0
    centred = np.where(mask, image - image[mask].mean() + 1e-8, 0)
    (sentence,) = compare_with_training(centred, mask, training)
    assert "mean in the brain 0 (training" in sentence


def test_statistics_go_through_json(training):
    again = read_statistics(json.loads(json.dumps(training.as_json())), "metadata.json")
    assert again.n == 6
    assert set(again.ranges) == set(FEATURES)
    assert again.ranges["mean_inside"] == pytest.approx(training.ranges["mean_inside"], abs=1e-6)


UNSOUND = [
    None,
    {},
    {"n": 3},
    {"n": 3, "ranges": {"colour": [0, 1]}},
    {"n": 3, "ranges": {"zeros": [1, 0]}},
    {"n": 3, "ranges": {"zeros": 1}},
]


@pytest.mark.parametrize("raw", UNSOUND)
def test_unsound_statistics_are_refused(raw):
    with pytest.raises(UserError, match="input_statistics"):
        read_statistics(raw, "metadata.json")


def test_an_input_without_a_brain():
    with pytest.raises(UserError, match="no brain"):
        features_of(np.ones((4, 4, 4)), np.zeros((4, 4, 4)))
    with pytest.raises(UserError, match="no input"):
        statistics_of([])


def volumes(image, brain):
    return Volume(image.astype(np.float32), brain[0].affine), brain[1]


def test_a_right_input_is_plausible(brain):
    image, inside = volumes(drawn(brain, 1), brain)
    assert plausible(image, inside, 1.0, brain[0], np.eye(4)) == []


@pytest.mark.parametrize(
    ("change", "kept", "words"),
    [
        (lambda x: x * 0.01, 1.0, "nearly constant"),
        (lambda x: x * 1e5, 1.0, "may not be scaled"),
        (lambda x: x, 0.9, "only 90% of the brain"),
        (lambda x: np.flip(x, 2), 1.0, "upside down"),
        (lambda x: np.flip(x, 1), 1.0, "back to front"),
    ],
)
def test_what_cannot_be_right_is_said(change, kept, words, brain):
    image, inside = volumes(np.ascontiguousarray(change(drawn(brain, 1))), brain)
    sentences = plausible(image, inside, kept, brain[0], np.eye(4))
    assert len(sentences) == 1
    assert words in sentences[0]


def test_no_brain_is_not_plausible(brain):
    image, inside = volumes(drawn(brain, 1), brain)
    empty = inside.with_array(np.zeros_like(inside.array))
    assert plausible(image, empty, 0.0, brain[0], np.eye(4)) == ["There is no brain in the network's input."]
