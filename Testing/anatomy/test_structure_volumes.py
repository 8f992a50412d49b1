"""Volumes from probabilities: partial volume counts in part, faint probability elsewhere does not."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.anatomy.structure_volumes import structure_volumes


def test_a_half_filled_voxel_counts_half_and_a_distant_doubt_not_at_all() -> None:
    probabilities = np.zeros((2, 10, 10, 10), dtype=np.float32)
    probabilities[1, 4:6, 4:6, 4:6] = 1
    probabilities[1, 6, 4:6, 4:6] = 0.25  # the structure's border, a quarter inside
    probabilities[1, 0] = 0.05  # a doubt far away
    probabilities[0] = 1 - probabilities[1]
    volumes = structure_volumes(probabilities)
    assert volumes[1] == pytest.approx(8 + 4 * 0.25)


def test_a_class_that_is_nowhere_the_likeliest_has_no_volume() -> None:
    probabilities = np.full((2, 3, 3, 3), 0.5, dtype=np.float32)
    probabilities[0] += 0.1
    probabilities[1] -= 0.1
    assert structure_volumes(probabilities)[1] == 0
