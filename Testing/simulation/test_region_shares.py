"""Shares of single regions at 4 mm: what a network's features are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from mri_interpret.deformation.displacement import COARSE
from mri_interpret.simulation.acquisition import acquire
from mri_interpret.simulation.anatomy import Anatomy
from mri_interpret.simulation.bank import pack
from mri_interpret.simulation.published import VOLUMES
from mri_interpret.simulation.region_shares import OWN_REGIONS, region_shares
from mri_interpret.simulation.regions import CORTICAL
from mri_interpret.simulation.structures import NAMES, TARGETS, member
from mri_interpret.simulation.subject import SimulatedBrain

PRECUNEUS, INSULA = 25, 35  # FreeSurfer's numbers, less 1000


@pytest.fixture(scope="module")
def halved(anatomy: Anatomy) -> Anatomy:
    """The template's anatomy, its cortex shared out: precuneus behind, insula before the middle."""
    cortex = member("Cerebral-Cortex")[anatomy.labels]
    side = np.where(anatomy.labels == NAMES.index("Left-Cerebral-Cortex"), 1000, 2000)
    behind = np.arange(anatomy.labels.shape[1])[None, :, None] < anatomy.labels.shape[1] // 2
    parcels = np.where(cortex, side + np.where(behind, PRECUNEUS, INSULA), 0)
    return replace(anatomy, parcels=parcels.astype(np.uint16))


def test_every_volume_has_a_target() -> None:
    assert set(OWN_REGIONS) | set(TARGETS) >= set(VOLUMES)
    assert not set(OWN_REGIONS) & set(TARGETS)


def test_shares_are_those_of_the_fine_voxels(halved: Anatomy) -> None:
    shares = region_shares(halved, torch.zeros(3, *COARSE), halved.labels).astype(float) / 255
    cortex = member("Cerebral-Cortex")[halved.labels]
    middle = halved.labels.shape[1] // 2
    for name, there in {"precuneus": cortex[:, :middle], "insula": cortex[:, middle:]}.items():
        assert 64 * shares[OWN_REGIONS.index(name)].sum() == pytest.approx(there.sum(), rel=0.01), name
    caudate = member("Caudate")[halved.labels]
    found = shares[OWN_REGIONS.index("caudate")]
    expected = caudate.reshape(48, 4, 56, 4, 48, 4).mean((1, 3, 5))
    np.testing.assert_allclose(found, expected, atol=1 / 255)
    assert shares[OWN_REGIONS.index("entorhinal")].max() == 0


def test_regions_follow_the_deformation(halved: Anatomy, published_brain: SimulatedBrain) -> None:
    shares = region_shares(halved, published_brain.deformation, published_brain.labels).astype(float) / 255
    cortex = member("Cerebral-Cortex")[published_brain.labels].reshape(48, 4, 56, 4, 48, 4).mean((1, 3, 5))
    cortical = shares[[OWN_REGIONS.index(name) for name in CORTICAL]].sum(0)
    # Cortex and its parcels are both carried to the nearest voxel.
    assert np.abs(cortical - cortex).max() < 0.02
    still = region_shares(halved, torch.zeros(3, *COARSE), halved.labels).astype(float) / 255
    assert np.abs(shares - still).max() > 0.3


def test_a_bank_keeps_them_behind_the_tissues_and_a_scan_carries_them_along(
    halved: Anatomy, published_brain: SimulatedBrain
) -> None:
    item = pack(published_brain, "template", 1, halved)
    assert item.targets.shape == (len(TARGETS) + len(OWN_REGIONS), 48, 56, 48)
    assert pack(published_brain, "template", 1).targets.shape[0] == len(TARGETS)
    scan = acquire(item, torch.Generator().manual_seed(0), targets_mm=4)
    own = scan.targets[len(TARGETS) :]
    parcels = [OWN_REGIONS.index(name) for name in CORTICAL]
    together, cortex = own[parcels].sum(0), scan.targets[list(TARGETS).index("cortex")]
    torch.testing.assert_close(together, cortex, atol=0.03, rtol=0)


def test_an_anatomy_without_parcels_is_refused(anatomy: Anatomy) -> None:
    with pytest.raises(ValueError, match="parcels"):
        region_shares(replace(anatomy, parcels=None), torch.zeros(3, *COARSE), anatomy.labels)
