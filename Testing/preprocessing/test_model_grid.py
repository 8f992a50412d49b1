"""The way to the model's grid and back puts everything where it was: left-right above all."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.model_grid import relevance_per_native_voxel, to_scan_grid
from mri_interpret.preprocessing.registration import register_affine
from mri_interpret.preprocessing.steps.chain import default_steps
from mri_interpret.preprocessing.steps.partial_input import ScanInTemplate
from mri_interpret.preprocessing.template import load_template

from Testing.preprocessing.heads import SCANNERS, blob, centre_of_mass, rotation, scanned

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-95, -128, -88]
MODEL = Grid((96, 112, 96), AFFINE)
# Where the right hippocampus and the left frontal pole lie in template space, RAS mm.
RIGHT_HIPPOCAMPUS = np.array([28.0, -20.0, -14.0])
LEFT_FRONTAL = np.array([-22.0, 52.0, 8.0])


def _placement() -> np.ndarray:
    placement = rotation(7, -5, 9) @ np.diag([1.06, 0.95, 1.03, 1.0])
    placement[:3, 3] = [11.0, -17.0, 23.0]
    return placement


@pytest.mark.slow
@pytest.mark.parametrize("place", [RIGHT_HIPPOCAMPUS, LEFT_FRONTAL], ids=["right hippocampus", "left frontal"])
@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_blob_comes_back_where_it_was(scanner: str, place: np.ndarray) -> None:
    placement = _placement()
    scan, _, _ = scanned(scanner, placement)
    to_template = np.linalg.inv(placement)
    world = (placement @ np.append(place, 1.0))[:3]
    there = resample(blob(scan.grid, world), MODEL, placement)
    assert np.abs(centre_of_mass(there) - place).max() < 0.5 * MODEL.spacing.min()
    assert (centre_of_mass(there)[0] > 0) == (place[0] > 0), "left and right are swapped on the model's grid"
    back = to_scan_grid(there, scan.grid, to_template)
    assert back.grid.same_as(scan.grid)
    index_error = np.linalg.inv(scan.affine)[:3, :3] @ (centre_of_mass(back) - world)
    assert np.abs(index_error).max() < 0.5
    peak = np.unravel_index(back.array.argmax(), back.shape)
    peak_world = scan.affine[:3, :3] @ np.array(peak) + scan.affine[:3, 3]
    assert np.linalg.norm(peak_world - world) <= np.linalg.norm(scan.grid.spacing)


@pytest.mark.slow
@pytest.mark.parametrize("scanner", ["LPS", "oblique", "oblique, flipped, anisotropic"])
def test_registration_finds_how_the_head_lies(scanner: str) -> None:
    scan, mask, placement = scanned(scanner, _placement())
    template, template_mask = load_template(1)
    found = register_affine(scan, mask, template, template_mask)
    for place in (RIGHT_HIPPOCAMPUS, LEFT_FRONTAL, np.array([-28.0, -20.0, -14.0]), np.array([0.0, -90.0, 0.0])):
        world = placement @ np.append(place, 1.0)
        assert np.linalg.norm((found @ world)[:3] - place) < 1.5, f"{place} lands at {(found @ world)[:3]}"


@pytest.mark.slow
def test_registration_repeats_exactly_and_leaves_its_inputs_alone() -> None:
    scan, mask, _ = scanned("oblique", _placement())
    template, template_mask = load_template(1)
    before = scan.array.copy()
    first = register_affine(scan, mask, template, template_mask)
    second = register_affine(scan, mask, template, template_mask)
    assert np.array_equal(first, second)
    assert np.array_equal(scan.array, before)


def test_skull_does_not_bleed_into_the_brain_and_zeros_do_not_darken_its_edge() -> None:
    grid = Grid((100, 100, 100), np.diag([1.0, 1.0, 1.0, 1.0]))
    index = np.indices(grid.shape) - 49.5
    radius = np.sqrt((index**2).sum(0))
    inside = radius < 40
    # Brain at 100 with a gradient so that it is not constant; a skull of 5000 touches it.
    brain = 100.0 + index[0]
    scan = Volume(np.where(inside, brain, np.where(radius < 46, 5000.0, 0.0)).astype(np.float32), grid.affine, "head")
    target = Grid((50, 50, 50), np.array([[2.0, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1]]))
    about = ScanInTemplate(Volume(inside.astype(np.uint8), grid.affine), lambda kind: np.eye(4))
    made = default_steps(target, (0.0, 100.0)).run(scan, about)
    image, mask = made.image, made.inside
    plane = np.where(mask.array > 0, image.array, np.nan)
    expected = (2 * np.arange(50) + 0.5 - 49.5)[:, None, None]
    # One straight line through all voxels of the mask: neither the skull nor the zeros outside bend it.
    slope, offset = np.polyfit(np.broadcast_to(expected, plane.shape)[mask.array > 0], plane[mask.array > 0], 1)
    residual = plane - (slope * expected + offset)
    assert np.nanmax(np.abs(residual)) < 0.02
    assert image.array.min() == 0.0
    assert image.array.max() == 1.0
    assert not image.array[mask.array == 0].any()


def test_sums_of_relevance_keep_their_unit_on_the_way_back() -> None:
    placement = _placement()
    scan, _, _ = scanned("anisotropic", placement)
    relevance = blob(MODEL, RIGHT_HIPPOCAMPUS, sigma=6.0)
    back = to_scan_grid(relevance, scan.grid, np.linalg.inv(placement))
    factor = relevance_per_native_voxel(scan.grid, MODEL, np.linalg.inv(placement))
    assert back.array.sum() * factor == pytest.approx(relevance.array.sum(), rel=0.01)
    assert back.array.max() == pytest.approx(relevance.array.max(), rel=0.05)
