"""Parcels of the cortex: where they may lie, and that the bent atlas finds them better than the affine one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.atlas_alignment import GRID, atlas_groups, atlas_to_brain, group_labels, groups_of_labels
from mri_interpret.anatomy.parcels import with_parcels
from mri_interpret.deformation.construction import random_diffeomorphism
from mri_interpret.deformation.displacement import resized, warp
from mri_interpret.images.volume import Grid, Volume, resample

from Testing.anatomy.segmentation_bundles import without_parcels

# The box of the deformation room at 2 mm.
FINE = Grid((96, 112, 96), np.array([[2.0, 0, 0, -95], [0, 2, 0, -128], [0, 0, 2, -88], [0, 0, 0, 1]]))


@pytest.fixture(scope="module")
def bent() -> tuple[Volume, Volume]:
    """The atlas bent by a known smooth deformation: its parcels, which are the truth, and the same without parcels."""
    u = random_diffeomorphism(torch.Generator().manual_seed(4), {30.0: 4.0, 15.0: 1.5})
    labels = resample(load_default_atlas().volume, FINE, order=0).array.astype(np.float32)
    moved = warp(torch.from_numpy(labels)[None], resized(u, FINE.shape), "nearest")[0].numpy().astype(np.int16)
    moved[np.isin(moved, (1000, 2000))] = 0
    return Volume(moved, FINE.affine), Volume(without_parcels(moved), FINE.affine)


@pytest.fixture(scope="module")
def carried(bent: tuple[Volume, Volume]) -> Volume:
    return with_parcels(bent[1], np.eye(4))


def test_a_parcel_lies_in_the_cortex_of_its_side_alone(bent: tuple[Volume, Volume], carried: Volume) -> None:
    before, after = bent[1].array, carried.array
    left, right = before == 3, before == 42
    assert ((after[left] > 1000) & (after[left] < 1036)).all()
    assert ((after[right] > 2000) & (after[right] < 2036)).all()
    others = ~(left | right)
    assert np.array_equal(after[others], before[others])


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    parcels = [label for label in np.unique(truth) if label > 1000]
    overlaps = [
        2 * np.count_nonzero((found == label) & (truth == label))
        / (np.count_nonzero(found == label) + np.count_nonzero(truth == label))
        for label in parcels
    ]  # fmt: skip
    return float(np.mean(overlaps))


def test_parcels_carried_by_the_bent_atlas_are_nearer_to_the_truth(
    bent: tuple[Volume, Volume], carried: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = bent[0].array
    laid_over = resample(load_default_atlas().volume, FINE, order=0).array
    monkeypatch.setattr(
        "mri_interpret.anatomy.parcels.atlas_to_brain", lambda groups: np.zeros((3, *GRID.shape), np.float32)
    )
    nearest = with_parcels(bent[1], np.eye(4)).array
    assert _dice(carried.array, truth) > _dice(nearest, truth) + 0.05 > _dice(laid_over, truth) + 0.05


def test_the_atlas_itself_stays_where_it_is() -> None:
    u = atlas_to_brain(atlas_groups())
    assert u.shape == (3, *GRID.shape)
    assert np.abs(u).max() < 0.1


def test_groups_are_counted_in_coarse_voxels() -> None:
    """A block of left hippocampus that fills one coarse voxel and half of its neighbour, and nothing else."""
    labels = np.zeros(FINE.shape, np.int16)
    labels[20:23, 30:32, 40:42] = 17
    groups = groups_of_labels(Volume(labels, FINE.affine))
    channel = next(number for number, group in enumerate(group_labels()) if 17 in group)
    assert groups.shape == (len(group_labels()), *GRID.shape)
    assert groups[channel, 10, 15, 20] == 1
    assert groups[channel, 11, 15, 20] == 0.5
    assert groups.sum() == 1.5
    parcels = groups_of_labels(Volume(np.where(labels > 0, 2010, 0).astype(np.int16), FINE.affine))
    right = next(number for number, group in enumerate(group_labels()) if 42 in group)
    assert parcels[right].sum() == 1.5


def test_a_brain_without_one_side_is_parcelled_where_it_is(bent: tuple[Volume, Volume]) -> None:
    array = np.array(bent[1].array)
    array[:48] = 0
    found = with_parcels(Volume(array, FINE.affine), np.eye(4)).array
    assert not ((found > 1000) & (found < 2000)).any() or (array == 3).any()
    assert np.array_equal(found == 0, array == 0)
