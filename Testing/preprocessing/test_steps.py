"""Steps from a scan to a network's input: values as scipy, torch, MONAI and nibabel make them; the affine holds."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.steps.chain import default_steps, read_steps
from mri_interpret.preprocessing.steps.partial_input import ScanInTemplate
from scipy import ndimage

SHAPE = (30, 26, 22)
AFFINE = np.array([[-1.4, 0.1, 0.2, 20.0], [0.1, 0.2, 1.9, -15.0], [0.15, 1.6, -0.1, -18.0], [0, 0, 0, 1.0]])  # L S A


def world_of(shape, affine):
    """RAS mm of every voxel centre, shape (3, I, J, K)."""
    index = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *shape)


def linear(world):
    """An intensity that trilinear interpolation reproduces exactly."""
    return 100 + 0.7 * world[0] - 0.4 * world[1] + 1.1 * world[2]


@pytest.fixture
def scan():
    return Volume(linear(world_of(SHAPE, AFFINE)).astype(np.float32), AFFINE, "scan")


@pytest.fixture
def brain():
    centre, radius = np.array(SHAPE) / 2, np.array(SHAPE) / 3
    index = np.indices(SHAPE)
    distance = sum(((index[axis] - centre[axis]) / radius[axis]) ** 2 for axis in range(3))
    return Volume((distance < 1).astype(np.uint8), AFFINE, "brain")


TO_TEMPLATE = np.array([[1.05, 0.06, 0, 2], [-0.05, 0.97, 0.03, -3], [0.01, -0.02, 1.1, 4], [0, 0, 0, 1.0]])


@pytest.fixture
def about(brain):
    return ScanInTemplate(brain, lambda kind: TO_TEMPLATE)


def steps_of(*entries):
    return read_steps(list(entries), "metadata.json")


GEOMETRY = {
    "orientation": [{"step": "orientation", "axes": "PIR"}],
    "registration": [
        {"step": "registration", "shape": [12, 13, 11], "spacing": [2, 2.5, 3], "origin": [-10, -14, -12]}
    ],
    "spacing": [{"step": "spacing", "spacing": [2.0, 2.5, 1.5]}],
    "zoom": [{"step": "zoom", "shape": [17, 31, 24]}],
    "zoom, corners": [{"step": "zoom", "shape": [17, 31, 24], "align_corners": True}],
    "fit": [{"step": "fit", "shape": [20, 40, 21]}],
    "fit to the brain": [{"step": "fit", "shape": [20, 24, 21], "centre": "brain"}],
    "crop": [{"step": "crop_foreground", "around": "brain", "margin": 2}],
    "all": [
        {"step": "orientation", "axes": "LPS"},
        {"step": "spacing", "spacing": [1.7, 1.7, 1.7]},
        {"step": "crop_foreground", "around": "brain", "margin": 1},
        {"step": "fit", "shape": [24, 24, 24]},
        {"step": "zoom", "shape": [16, 20, 18]},
    ],
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_the_affine_says_where_each_voxel_lies(name, scan, about):
    """Well inside the scan every voxel holds the linear function at the place that its affine names."""
    entries = [
        {**entry, "antialias": False} if entry["step"] in ("registration", "spacing") else entry
        for entry in GEOMETRY[name]
    ]
    made = steps_of(*entries).run(scan, about)
    world = world_of(made.image.shape, made.image.affine)
    index = np.einsum("ab,bijk->aijk", np.linalg.inv(AFFINE)[:3, :3], world - AFFINE[:3, 3][:, None, None, None])
    inner = np.all([(index[axis] >= 0) & (index[axis] <= SHAPE[axis] - 1) for axis in range(3)], axis=0)
    inner &= made.inside.array > 0  # beyond a crop that is padded again lies the fill
    assert inner.sum() > 300
    np.testing.assert_allclose(made.image.array[inner], linear(world)[inner], atol=2e-3)


@pytest.mark.parametrize("name", GEOMETRY)
def test_a_map_on_the_network_s_grid_comes_back_to_the_scan(name, scan, about, brain):
    """A blob drawn where the brain's centre is returns to the brain's centre."""
    made = steps_of(*GEOMETRY[name]).run(scan, about)
    centre = AFFINE[:3, :3] @ (np.array(SHAPE) / 2) + AFFINE[:3, 3]
    blob = np.exp(-((world_of(made.image.shape, made.image.affine) - centre[:, None, None, None]) ** 2).sum(0) / 50)
    back = resample(Volume(blob.astype(np.float32), made.image.affine), scan.grid).array
    found = AFFINE[:3, :3] @ np.array(np.unravel_index(back.argmax(), SHAPE)) + AFFINE[:3, 3]
    assert np.linalg.norm(found - centre) < 3.0


def test_orientation_is_nibabel_s(scan, about):
    made = steps_of({"step": "orientation", "axes": "RAS"}).run(scan, about)
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(scan.array, AFFINE))
    np.testing.assert_array_equal(made.image.array, image.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(made.image.affine, image.affine)


def test_zoom_is_torch_s_and_scipy_s(about):
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    scan = Volume(values, AFFINE)
    corners = steps_of({"step": "zoom", "shape": [17, 31, 24], "align_corners": True}).run(scan, about)
    zoomed = ndimage.zoom(values, np.array((17, 31, 24)) / SHAPE, order=1)
    np.testing.assert_allclose(corners.image.array, zoomed, atol=1e-5)
    edges = steps_of({"step": "zoom", "shape": [17, 31, 24]}).run(scan, about)
    expected = torch.nn.functional.interpolate(torch.tensor(values)[None, None], (17, 31, 24), mode="trilinear")[0, 0]
    inner = tuple(slice(1, -1) for _ in range(3))  # torch repeats the border, this fades beyond it
    np.testing.assert_allclose(edges.image.array[inner], expected.numpy()[inner], atol=1e-5)


@pytest.mark.parametrize("shape", [(20, 21, 22), (40, 41, 30), (20, 40, 21), (31, 27, 23)])
def test_fit_is_monai_s(shape, about):
    transforms = pytest.importorskip("monai.transforms")
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    made = steps_of({"step": "fit", "shape": list(shape)}).run(Volume(values, AFFINE), about)
    expected = transforms.ResizeWithPadOrCrop(shape)(values[None])[0]
    np.testing.assert_array_equal(made.image.array, np.asarray(expected))


INTENSITIES = [
    ({"method": "zscore", "over": "volume"}, lambda x, inside: (x - x.mean()) / x.std()),
    ({"method": "zscore", "over": "brain"}, lambda x, inside: (x - x[inside].mean()) / x[inside].std()),
    ({"method": "zscore", "over": "nonzero"}, lambda x, inside: (x - x[x != 0].mean()) / x[x != 0].std()),
    ({"method": "mean", "over": "volume", "clip": [0, 8]}, lambda x, inside: np.clip(x / x.mean(), 0, 8)),
    ({"method": "minmax", "over": "volume"}, lambda x, inside: (x - x.min()) / (x.max() - x.min())),
    ({"method": "range", "low": 50, "high": 150}, lambda x, inside: (x - 50) / 100),
    ({"method": "none"}, lambda x, inside: x),
    (
        {"method": "minmax", "over": "volume", "clip": [90, 110], "clip_before": True},
        lambda x, inside: (np.clip(x, 90, 110) - 90) / 20,
    ),
    (
        {"method": "percentile", "over": "brain", "low": 5, "high": 95},
        lambda x, inside: np.clip((x - np.percentile(x[inside], 5)) / np.ptp(np.percentile(x[inside], [5, 95])), 0, 1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "replica"), INTENSITIES, ids=lambda value: "" if callable(value) else str(value)[:60]
)
def test_intensities(entry, replica, scan, about, brain):
    values = scan.array.copy()
    values[:4] = 0
    made = steps_of({"step": "intensity", **entry}).run(scan.with_array(values), about)
    expected = replica(values.astype(np.float64), brain.array > 0)
    np.testing.assert_allclose(made.image.array, expected, rtol=1e-5, atol=1e-5)


def test_percentiles_ignore_gain_offset_and_outliers(scan, about):
    steps = steps_of({"step": "mask"}, {"step": "intensity"})
    values = np.random.default_rng(0).gamma(4.0, 100.0, SHAPE).astype(np.float32)
    first = steps.run(scan.with_array(values), about).image.array
    other = steps.run(scan.with_array(values * 37.0 - 900.0), about).image.array
    np.testing.assert_allclose(other, first, atol=1e-4)
    values[15, 13, 11] = 1e6
    assert np.abs(steps.run(scan.with_array(values), about).image.array - first).mean() < 1e-2


def test_outside_the_brain_is_the_fill_or_scaled(scan, about, brain):
    filled = steps_of({"step": "mask", "fill": 0}, {"step": "intensity", "method": "zscore"}).run(scan, about)
    assert set(np.unique(filled.image.array[brain.array == 0])) == {0.0}
    entry = {"step": "intensity", "method": "zscore", "over": "volume", "outside": "scaled"}
    scaled = steps_of({"step": "mask"}, entry).run(scan, about)
    masked = np.where(brain.array > 0, scan.array, 0).astype(np.float64)
    np.testing.assert_allclose(scaled.image.array, (masked - masked.mean()) / masked.std(), rtol=1e-4, atol=1e-5)


def test_the_default_steps_are_what_bundles_always_got(scan, about, brain):
    """Smoothed inside the mask to the grid's voxel size, sampled, percentiles in the brain to 0 and 1: done by hand."""
    grid = Grid((14, 15, 13), np.array([[3.0, 0, 0, -21], [0, 3, 0, -24], [0, 0, 3, -20], [0, 0, 0, 1]]))
    values = scan.with_array(np.random.default_rng(1).gamma(2, 30, SHAPE).astype(np.float32))
    inside = brain.array.astype(np.float32)
    spacing = np.linalg.norm((TO_TEMPLATE @ AFFINE)[:3, :3], axis=0)
    sigma = np.sqrt(np.maximum((3.0 / spacing) ** 2 - 1, 0)) / 2.3548200450309493
    weight = ndimage.gaussian_filter(inside, sigma, mode="reflect")
    smooth = ndimage.gaussian_filter(values.array * inside, sigma, mode="reflect")
    smooth = np.where(weight > 1e-3, smooth / np.maximum(weight, 1e-3), 0).astype(np.float32)
    back = np.linalg.inv(TO_TEMPLATE)
    on_grid = resample(values.with_array(smooth), grid, back).array
    mask = resample(brain.with_array(weight), grid, back).array > 0.5
    low, high = np.percentile(on_grid[mask], [1, 98])
    expected = np.where(mask, np.clip((on_grid - low) / (high - low), 0, 1), 0)
    made = default_steps(grid, (1.0, 98.0)).run(values, about)
    np.testing.assert_array_equal(made.inside.array, mask)
    np.testing.assert_allclose(made.image.array, expected, atol=1e-5)


def test_bias_correction_takes_a_smooth_field_away(brain, about):
    index = np.indices(SHAPE) / np.array(SHAPE)[:, None, None, None]
    tissue = np.where((np.indices(SHAPE).sum(0) // 3) % 2, 90.0, 60.0)
    field = np.exp(0.8 * (index[0] - 0.5))
    scan = Volume((tissue * field).astype(np.float32), AFFINE)
    made = steps_of({"step": "bias_correction"}).run(scan, about)
    inside = brain.array > 0
    before = np.corrcoef(scan.array[inside], tissue[inside])[0, 1]
    after = np.corrcoef(made.image.array[inside], tissue[inside])[0, 1]
    assert after > max(before, 0.98)


def test_channels(scan, about, brain):
    other = Volume((scan.array * 2).astype(np.float32), AFFINE, "flair")
    chain = steps_of(
        {"step": "fit", "shape": [20, 20, 20]}, {"step": "channels", "channels": ["flair", "image", "mask"]}
    )
    made = chain.run(scan, about, {"flair": other})
    np.testing.assert_allclose(made.channels[0], 2 * made.channels[1], rtol=1e-6)
    np.testing.assert_array_equal(made.channels[2], made.inside.array)
    with pytest.raises(UserError, match="further input 'flair'"):
        chain.run(scan, about)


BAD = [
    ([], "must be a list"),
    ("percentile", "must be a list"),
    ([{"method": "zscore"}], "is no step"),
    ([{"step": "blur"}], "'blur': it is not known; known are"),
    ([{"step": "zoom", "size": [1, 2, 3]}], "parameter 'size' is not known"),
    ([{"step": "zoom", "shape": [1, 2]}], "three positive numbers"),
    ([{"step": "zoom", "shape": [1, 2, 0]}], "three positive numbers"),
    ([{"step": "zoom", "shape": [1.5, 2, 2]}], "whole numbers"),
    ([{"step": "zoom", "shape": "large"}], "must be a list"),
    ([{"step": "orientation", "axes": "RAX"}], "three letters"),
    ([{"step": "orientation", "axes": "RLS"}], "three letters"),
    ([{"step": "intensity", "method": "histogram"}], "one of percentile"),
    ([{"step": "intensity", "low": 60, "high": 50}], "below"),
    ([{"step": "intensity", "low": -1, "high": 50}], "between 0 and 100"),
    ([{"step": "intensity", "clip": [3]}], "lowest and a highest"),
    ([{"step": "mask", "fill": "nan"}], "must be a float"),
    ([{"step": "registration", "template": "Talairach"}], "one of ICBM152"),
    ([{"step": "zoom", "shape": [8, 8, 8]}, {"step": "registration"}], "must come before spacing"),
    ([{"step": "registration"}, {"step": "orientation"}], "before the registration"),
    ([{"step": "intensity"}, {"step": "bias_correction"}], "before the intensity step"),
    ([{"step": "channels", "channels": ["image"]}, {"step": "intensity"}], "must be the last step"),
    ([{"step": "channels", "channels": ["mask"]}], "must be 'image'"),
    ([{"step": "registration"}, {"step": "registration"}], "may stand in the list once"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "sentence"), BAD, ids=lambda value: str(value)[:50])
def test_steps_that_make_no_sense_are_one_sentence(raw, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        read_steps(raw, "metadata.json")
    assert str(caught.value).startswith("metadata.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "array", "sentence"),
    [
        (
            [{"step": "intensity", "method": "zscore", "over": "nonzero"}],
            np.zeros(SHAPE),
            "no voxel to take the numbers",
        ),
        ([{"step": "intensity", "method": "zscore", "over": "volume"}], np.ones(SHAPE), "constant"),
        ([{"step": "intensity", "method": "mean", "over": "volume"}], -np.ones(SHAPE), "not positive"),
        ([{"step": "crop_foreground"}], np.zeros(SHAPE), "no foreground"),
    ],
)
def test_a_scan_that_a_step_cannot_work_on_is_one_sentence(entries, array, sentence, about):
    with pytest.raises(UserError, match=sentence):
        steps_of(*entries).run(Volume(array.astype(np.float32), AFFINE), about)


def test_a_mask_that_the_grid_misses_is_one_sentence(scan, about):
    far = {"step": "registration", "shape": [10, 10, 10], "origin": [300, 300, 300]}
    with pytest.raises(UserError, match="its grid holds nothing of the brain of scan"):
        steps_of({"step": "mask"}, far, {"step": "intensity", "method": "zscore"}).run(scan, about)


def test_the_output_s_shape_is_known_where_it_does_not_depend_on_the_scan():
    assert steps_of({"step": "mask"}, {"step": "registration", "shape": [9, 8, 7]}).output_shape == (9, 8, 7)
    assert steps_of({"step": "spacing"}).output_shape is None
    assert steps_of({"step": "spacing"}, {"step": "fit", "shape": [9, 8, 7]}).output_shape == (9, 8, 7)


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(*[st.integers(5, 40)] * 3), axes=st.sampled_from(["RAS", "LPS", "SAR", "PIL"]))
def test_fit_and_orientation_never_change_where_a_voxel_lies(shape, axes):
    scan = Volume(linear(world_of(SHAPE, AFFINE)).astype(np.float32), AFFINE)
    about = ScanInTemplate(scan.with_array(np.ones(SHAPE, np.uint8)), lambda kind: np.eye(4))
    chain = steps_of({"step": "orientation", "axes": axes}, {"step": "fit", "shape": list(shape)})
    made = chain.run(scan, about)
    world = world_of(made.image.shape, made.image.affine)
    inside = made.inside.array > 0
    assert inside.any()
    np.testing.assert_allclose(made.image.array[inside], linear(world)[inside], atol=2e-3)
