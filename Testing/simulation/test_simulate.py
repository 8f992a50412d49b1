"""One simulated scan in memory: its truth, its twin, and the same voxels for the same seed."""

from __future__ import annotations

import mri_interpret as mi
import numpy as np
import pytest
from mri_interpret.simulation.grids import FINE_GRID
from mri_interpret.simulation.head_scan import head_scan
from mri_interpret.simulation.structures import NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scan():
    return mi.simulate("AD", seed=3, whole_head=False)


def test_the_disease_shrinks_and_fluid_takes_the_place(scan):
    assert scan.effect.array.min() < -0.05
    assert scan.effect.array.max() > 0.05
    assert scan.subject.group == "AD"
    assert scan.subject.severity > 0


def test_scan_and_twin_differ_where_the_disease_is(scan):
    """Noise and contrast are the same, so far from the effect the two scans are nearly equal."""
    difference = np.abs(scan.scan.array.astype(float) - scan.healthy.array)
    changed = np.abs(scan.effect.array) > 0.1
    assert difference[changed].mean() > 2 * difference[(scan.effect.array == 0) & (scan.scan.array > 0)].mean()


@pytest.mark.parametrize("seed", [0, 1])  # with a mask wider than the brain, and with one that is not
def test_a_brain_without_its_head_has_nothing_around_it(seed):
    distance = np.linalg.norm(np.moveaxis(np.indices(FINE_GRID.shape), 0, -1) - np.array(FINE_GRID.shape) / 2, axis=-1)
    labels = np.where(distance < 70, NAMES.index("Left-Cerebral-White-Matter"), 0).astype(np.uint8)
    voxels, _ = head_scan(labels, seed)
    assert not voxels[distance > 76].any()
    assert (voxels[distance < 69] > 0).mean() > 0.99


def test_all_volumes_share_one_grid(scan):
    for volume in (scan.healthy, scan.effect, scan.labels):
        assert volume.grid.same_as(scan.scan.grid)


@pytest.mark.parametrize(("group", "seed", "sentence"), [("FTD", 0, "give one of CN, MCI, AD"), ("AD", -1, "negative")])
def test_bad_input_is_refused(group, seed, sentence):
    with pytest.raises(mi.UserError, match=sentence):
        mi.simulate(group, seed=seed)
