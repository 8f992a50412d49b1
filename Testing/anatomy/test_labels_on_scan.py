"""Probabilities on a coarse grid become labels on a fine one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mri_interpret.anatomy.labels_on_scan import labels_on_scan
from mri_interpret.images.volume import Grid, Volume

from Testing.anatomy.segmentation_bundles import GRID, label_bundle
from Testing.fixtures_explanation import oblique_affine

BUNDLE = dataclasses.replace(label_bundle(Volume(np.ones((2, 2, 2), np.int16)), GRID), labels=(0, 14, 16, 24))


def _ramp() -> np.ndarray:
    """Along A, structure 14 gives way to 16 over 80 mm; they are equal at A = 0. Outside 60 mm of R = 0: background."""
    r, a, _ = np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij")
    share = np.clip(0.5 + (GRID.affine[1, 3] + 4.0 * a) / 80, 0, 1)
    inside = np.abs(GRID.affine[0, 3] + 4.0 * r) < 61
    return np.stack([~inside, share * inside, (1 - share) * inside, 0 * share]).astype(np.float32)


def test_a_boundary_runs_where_two_structures_are_equally_probable() -> None:
    """On an oblique grid of 1.5 mm, moved against the template, the border is at A = 0, not at a coarse face."""
    grid = Grid((60, 70, 50), oblique_affine((60, 70, 50), (1.5, 1.5, 1.5)))
    to_template = np.eye(4)
    to_template[:3, 3] = (5.0, 7.3, -2.0)
    found = labels_on_scan(_ramp(), BUNDLE, grid, to_template)
    assert found.grid.same_as(grid)
    assert found.array.dtype == np.int16
    index = np.moveaxis(np.indices(grid.shape, dtype=float), 0, -1)
    world = to_template @ grid.affine
    places = index @ world[:3, :3].T + world[:3, 3]
    inside = np.abs(places[..., 0]) < 55
    front = inside & (places[..., 1] > 0.05)
    back = inside & (places[..., 1] < -0.05)
    assert front.any()
    assert back.any()
    assert set(np.unique(found.array[front])) == {14}
    assert set(np.unique(found.array[back])) == {16}


def test_it_is_the_same_whatever_the_order_of_the_scans_axes() -> None:
    grid = Grid((60, 70, 50), oblique_affine((60, 70, 50), (1.5, 1.5, 1.5)))
    plain = labels_on_scan(_ramp(), BUNDLE, grid, np.eye(4)).array
    turned = grid.affine[:, [2, 0, 1, 3]].copy()
    turned[:3, 3] += turned[:3, 1] * 59
    turned[:3, 1] *= -1
    found = labels_on_scan(_ramp(), BUNDLE, Grid((50, 60, 70), turned), np.eye(4)).array
    assert np.array_equal(found, np.moveaxis(plain, 2, 0)[:, ::-1])


@pytest.mark.parametrize("shift", [500.0, 90.0])
def test_what_lies_beyond_the_networks_grid_is_no_structure(shift: float) -> None:
    affine = np.eye(4)
    affine[:3, 3] = shift, 0, 0
    found = labels_on_scan(_ramp(), BUNDLE, Grid((20, 20, 20), affine), np.eye(4))
    assert not found.array.any()
