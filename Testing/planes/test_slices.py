"""Slices show the world as it is, whatever the voxel grid; the patient's right is where the R is."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.drawing.canvas import new_figure
from mri_interpret.drawing.montage import Backdrop, Frame, describe_point, draw_bar, draw_slice, whole_film
from mri_interpret.images.volume import Grid, Volume
from mri_interpret.planes.colour_scale import ColourScale, relevance_scale
from mri_interpret.planes.slices import (
    AXIS,
    PLANES,
    Plane,
    brain_box,
    choose_slices,
    cut,
    hottest,
    outermost_points,
    pixel_of,
    scan_window,
)

from Testing.fixtures_explanation import oblique_affine

SHAPE = (50, 46, 42)
MARKER = np.array([31.0, 18.0, -9.0])  # in the patient's right, front, lower
GRIDS = {
    "RAS": Grid(SHAPE, oblique_affine(SHAPE, (4.0, 4.0, 4.0), (0, 0, 0))),
    "LPS": Grid(SHAPE, oblique_affine(SHAPE, (4.0, 4.0, 4.0), (0, 0, 0), (-1, -1, 1))),
    "left-handed": Grid(SHAPE, oblique_affine(SHAPE, (4.0, 4.0, 4.0), (0, 0, 0), (-1, 1, 1))),
    "oblique": Grid(SHAPE, oblique_affine(SHAPE, (3.5, 4.5, 4.0), (14, -9, 20))),
    "oblique left-handed": Grid(SHAPE, oblique_affine(SHAPE, (3.5, 4.5, 4.0), (14, -9, 20), (1, 1, -1))),
}


def _field(grid: Grid, centre: np.ndarray, width: float) -> np.ndarray:
    index = np.moveaxis(np.indices(grid.shape, dtype=float), 0, -1)
    world = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.exp(-0.5 * (np.linalg.norm(world - centre, axis=-1) / width) ** 2).astype(np.float32)


def _head(grid: Grid) -> tuple[Volume, Volume]:
    """A round head: its scan and its mask."""
    brain = _field(grid, np.array([3.0, -12.0, 6.0]), 60.0)
    return Volume(900 * brain, grid.affine), Volume((brain > 0.5).astype(np.uint8), grid.affine)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("plane", PLANES)
def test_a_marker_is_cut_at_its_world_coordinate(name: str, plane: Plane) -> None:
    grid = GRIDS[name]
    _, mask = _head(grid)
    box = brain_box(mask)
    picture = cut(Volume(_field(grid, MARKER, 7.0), grid.affine), plane, float(MARKER[AXIS[plane]]), box)
    weights = np.where(picture > 0.2 * picture.max(), picture, 0)
    rows, columns = np.indices(picture.shape)
    found = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
    assert picture.max() > 0.9  # the slice goes through the marker's centre
    assert found == pytest.approx(pixel_of(plane, MARKER, box), abs=1.0)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(
    ("plane", "toward", "away"), [("axial", "R", "L"), ("coronal", "R", "L"), ("sagittal", "A", "P")]
)
def test_the_marker_is_drawn_on_the_side_that_carries_its_letter(
    name: str, plane: Plane, toward: str, away: str
) -> None:
    grid = GRIDS[name]
    scan, mask = _head(grid)
    backdrop = Backdrop.of(scan, mask)
    relevance = Volume(_field(grid, MARKER, 7.0), grid.affine)
    scale = relevance_scale(relevance.array, mask.array, signed=True, units="logit")
    with new_figure(3, 3) as figure:
        axes = whole_film(figure)

        def overlay(which: Plane, position: float) -> np.ndarray:
            return scale.rgba(cut(relevance, which, position, backdrop.box))

        draw_slice(axes, Frame(0.5, 2.5, 2, 2), backdrop, plane, float(MARKER[AXIS[plane]]), overlay, (), False)
        colours = np.asarray(axes.images[1].get_array())
        opaque = np.argwhere(colours[..., 3] > 0.5)
        left, right, _, _ = axes.images[1].get_extent()
        marker = axes.transData.transform((left + opaque[:, 1].mean() / colours.shape[1] * (right - left), 1.5))[0]
        letters = {text.get_text(): text.get_transform().transform(text.get_position())[0] for text in axes.texts}
    middle = (letters[toward] + letters[away]) / 2
    assert abs(letters[toward] - letters[away]) > 100
    assert (marker - middle) * (letters[toward] - middle) > 0


def test_axial_rows_run_from_anterior_to_posterior_and_coronal_ones_from_superior_to_inferior() -> None:
    grid = GRIDS["oblique"]
    _, mask = _head(grid)
    box = brain_box(mask)
    front, back = pixel_of("axial", np.array([0, 30.0, 0]), box), pixel_of("axial", np.array([0, -30.0, 0]), box)
    top, bottom = pixel_of("coronal", np.array([0, 0, 30.0]), box), pixel_of("coronal", np.array([0, 0, -30.0]), box)
    assert front[1] < back[1]
    assert top[1] < bottom[1]


@pytest.mark.parametrize("height", [1.6, 2.2, 6.0])
def test_a_colour_bars_units_stay_in_the_picture(height: float) -> None:
    with new_figure(11, height) as figure:
        draw_bar(figure, 0.9, 0.09, ColourScale(1.0, 0.1, True, ""), "activation x gradient, arbitrary scale")
        (units,) = figure.texts
        assert units.get_text().count("\n") == 3
        low, high = units.get_window_extent().y0, units.get_window_extent().y1
        bar = figure.axes[0].get_window_extent()
    assert low >= 0
    assert high <= bar.y0
    assert bar.height > 0.3 * height * figure.dpi


@pytest.mark.parametrize("name", GRIDS)
def test_the_ends_of_lines_span_the_same_box_as_all_voxels(name: str) -> None:
    _, mask = _head(GRIDS[name])
    every = np.argwhere(mask.array > 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    few = outermost_points(mask)
    assert len(few) < len(every) / 4
    np.testing.assert_allclose([few.min(axis=0), few.max(axis=0)], [every.min(axis=0), every.max(axis=0)])


@pytest.mark.parametrize("name", GRIDS)
def test_the_hottest_area_is_found_inside_the_brain_only(name: str) -> None:
    grid = GRIDS[name]
    _, mask = _head(grid)
    outside = np.array([3.0, -12.0, 84.0])
    relevance = -2.0 * _field(grid, MARKER, 7.0) + 5.0 * _field(grid, outside, 4.0) * (mask.array == 0)
    found = hottest(Volume(relevance, grid.affine), mask, brain_box(mask))
    assert found is not None
    assert np.linalg.norm(found - MARKER) < 4.0


def test_a_zero_map_has_no_hottest_area() -> None:
    grid = GRIDS["RAS"]
    _, mask = _head(grid)
    assert hottest(Volume(np.zeros(SHAPE, np.float32), grid.affine), mask, brain_box(mask)) is None


@pytest.mark.parametrize("plane", PLANES)
def test_slices_cross_the_brain_and_the_hot_points(plane: Plane) -> None:
    _, mask = _head(GRIDS["oblique"])
    box = brain_box(mask)
    slices = choose_slices(plane, box, [MARKER, None, MARKER + 0.1, np.array([-20.0, -40.0, 30.0])])
    axis = AXIS[plane]
    assert len(slices.positions) == 7
    assert slices.positions == tuple(sorted(slices.positions))
    assert box.brain_low[axis] < slices.positions[0] < slices.positions[-1] < box.brain_high[axis]
    assert slices.hot == {MARKER[axis], np.array([-20.0, -40.0, 30.0])[axis]}
    assert slices.hot <= set(slices.positions)


def test_the_box_holds_the_whole_brain_at_about_a_millimetre() -> None:
    _, mask = _head(GRIDS["oblique"])
    box = brain_box(mask)
    world = np.argwhere(mask.array) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    assert np.all(box.low < world.min(axis=0))
    assert np.all(box.high > world.max(axis=0))
    assert box.spacing == 1.0
    tiny = Volume(mask.array, np.diag([0.1, 0.1, 0.1, 1.0]))
    assert 100 < max(brain_box(tiny).grid().shape) < 260


def test_an_empty_mask_shows_the_whole_volume() -> None:
    scan, mask = _head(GRIDS["RAS"])
    empty = mask.with_array(np.zeros(SHAPE, np.uint8))
    backdrop = Backdrop.of(scan, empty)
    assert np.all(backdrop.box.extent > (np.array(SHAPE) - 1) * 4.0)
    assert backdrop.window[1] > backdrop.window[0]


def test_the_window_is_that_of_the_brain_not_of_a_bright_spot() -> None:
    scan, mask = _head(GRIDS["RAS"])
    array = scan.array.copy()
    array[0, 0, 0] = 1e6
    low, high = scan_window(scan.with_array(array), mask)
    assert low < 450
    assert 850 < high < 1100
    assert scan_window(scan.with_array(np.full(SHAPE, 7.0)), mask)[1] > 7.0


def test_points_are_described_by_letters() -> None:
    assert describe_point(np.array([-24.4, 12.0, -18.0])) == "L 24, A 12, I 18 mm"


@pytest.mark.parametrize("name", ["RAS", "oblique"])
def test_pictures_colour_the_brain_only(name: str) -> None:
    grid = GRIDS[name]
    scan, mask = _head(grid)
    everywhere = Volume(np.ones(SHAPE, np.float32), grid.affine)
    shown = Backdrop.of(scan, mask).in_brain(everywhere)
    np.testing.assert_array_equal(shown.array, mask.array)
    empty = mask.with_array(np.zeros(SHAPE, np.uint8))
    assert Backdrop.of(scan, empty).in_brain(everywhere) is everywhere
