"""A rim along the brain's edge is said where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.scene_content.edge import edge_of, edge_sentence
from scipy import ndimage

CUBE = ndimage.generate_binary_structure(3, 3)


@pytest.fixture
def brain():
    i, j, k = np.indices((24, 26, 20))
    return (((i - 11) / 10) ** 2 + ((j - 13) / 12) ** 2 + ((k - 7) / 9) ** 2 < 1).astype(np.uint8)  # cut below


def test_the_edge_is_what_erosion_takes(brain):
    np.testing.assert_array_equal(edge_of(brain), (brain > 0) & ~ndimage.binary_erosion(brain, CUBE))


def test_a_rim_is_said_in_numbers(brain):
    edge = edge_of(brain)
    rng = np.random.default_rng(0)
    values = np.where(edge & (rng.random(brain.shape) < 0.3), -1.0, 0.0)
    values[8:13, 8:13, 8:13] = 0.5
    shown = values != 0
    share = (shown & edge).sum() / shown.sum()
    times = share * (brain > 0).sum() / edge.sum()
    assert times > 2
    sentence = edge_sentence(values, 0.5, brain, edge)
    assert f" {100 * share:.0f} % of what is shown" in sentence
    assert f"{times:.1f} times" in sentence
    assert edge_sentence(np.where(edge, values, 0), 0.5, brain, edge).startswith("At first, 100 %")


def test_nothing_is_said_without_a_rim(brain):
    edge = edge_of(brain)
    everywhere = np.ones(brain.shape)
    inside = np.where(edge, 0.0, everywhere)
    outside = np.where(brain > 0, 0.0, 9.0)  # of no interest: the scene shows the brain only
    for values in (everywhere, inside, outside, np.zeros(brain.shape)):
        assert edge_sentence(values, 0.5, brain, edge) == ""
