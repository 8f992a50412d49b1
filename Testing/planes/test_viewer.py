"""The viewer's data: what a page says at a voxel is what the map's file holds there, and no text ends its element."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.planes import niivue
from mri_interpret.planes.colour_scale import ColourScale
from mri_interpret.planes.packing import packed, quantised
from mri_interpret.planes.viewer import Planes, viewer, viewer_page
from mri_interpret.planes.viewer_map import SHARES, ViewerMap

HOSTILE = "</script><script>alert(1)</script> & 'quoted'"


def unpacked(volume: dict[str, Any]) -> np.ndarray:
    """The numbers as a browser gets them: sums of the differences, wrapping as its typed arrays do."""
    data = gzip.decompress(base64.b64decode(volume["data"]))
    unsigned = np.frombuffer(data, {"uint8": "<u1", "uint16": "<u2", "int16": "<u2"}[volume["type"]])
    sums = np.cumsum(unsigned, dtype=np.int64).astype(unsigned.dtype)
    return sums.view(volume["type"]).reshape(volume["shape"], order="F")


def turned(degrees: float, shape: tuple[int, int, int], spacing: float, centre: tuple[float, float, float]) -> Grid:
    """A grid that is turned about A and mirrored along its first axis."""
    angle = np.radians(degrees)
    affine = np.eye(4)
    affine[:3, :3] = [[-np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    affine[:3, :3] *= spacing
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


@pytest.fixture(scope="module")
def planes() -> Planes:
    """A ball of brain on a turned grid of 4 mm, and a map of noise on a grid of 6 mm of another world."""
    random = np.random.default_rng(0)
    scan_grid = turned(20, (31, 29, 33), 4.0, (3, -8, 5))
    places = np.moveaxis(np.indices(scan_grid.shape), 0, -1) @ scan_grid.affine[:3, :3].T + scan_grid.affine[:3, 3]
    inside = np.linalg.norm(places - (3, -8, 5), axis=-1) < 50
    to_template = np.eye(4)
    to_template[:3] = [[1.1, 0.05, 0, 4], [0, 0.95, -0.1, -3], [0.02, 0, 1.0, 7]]
    grid = Grid((28, 30, 26), np.array([[6.0, 0, 0, -80], [0, 6, 0, -95], [0, 0, 6, -70], [0, 0, 0, 1]]))
    mask = Volume(inside.astype(np.uint8), scan_grid.affine)
    scan = mask.with_array((500 * inside + random.normal(0, 20, scan_grid.shape)).astype(np.float32))
    labels = mask.with_array(np.where(places[..., 0] > 0, 17, 53).astype(np.int32))
    noise = Volume(random.normal(0, 1e-6, grid.shape).astype(np.float32), grid.affine)
    classes = Volume(random.integers(0, 4, grid.shape).astype(np.uint8), grid.affine)
    scale = ColourScale(2e-6, 2e-7, True, "")
    maps = [
        ViewerMap(
            "noise", HOSTILE, "logit", True, noise, scale, resample(noise, scan_grid, to_template), to_template,
            note="not in the summary",
        ),
        ViewerMap(
            "classes", "Classes", "", False, classes, ColourScale(3, 0.5, False, ""),
            resample(classes, scan_grid, to_template, order=0), to_template, order=0, names=("a", "b", "c", "d"),
        ),
    ]  # fmt: skip
    return Planes(scan, mask, labels, {17: "Left-Hippocampus"}, maps)


def read_data(tail: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="planes-data">(.*?)</script>', tail, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_whole_numbers_survive(dtype: str) -> None:
    limits = np.iinfo(dtype)
    array = np.random.default_rng(1).integers(limits.min, limits.max, (5, 4, 3), endpoint=True).astype(dtype)
    np.testing.assert_array_equal(unpacked(packed(array)), array)


def test_steps_are_a_2000th_of_the_limit_unless_the_largest_value_needs_wider_ones() -> None:
    values = np.array([0.0, 0.5, -1.0, 3.0])
    steps, size = quantised(values, 1.0)
    assert size == 1 / 2000
    assert np.abs(steps * size - values).max() <= size / 2
    steps, size = quantised(np.array([1000.0, -2000.0]), 1.0)
    assert steps.min() == -32767
    assert np.abs(steps * size - [1000, -2000]).max() <= size / 2
    assert quantised(np.zeros(3), 0.0)[1] > 0


def test_the_page_holds_what_the_files_hold_at_every_voxel_of_the_brain(planes: Planes) -> None:
    data = read_data(viewer(planes).tail)
    grid, inside = planes.mask.grid, planes.mask.array > 0
    for one, record in zip(planes.maps, data["maps"], strict=True):
        assert one.on_scan is not None
        steps = Volume(unpacked(record).astype(np.float32) * record["size"], np.eye(4))
        to_voxel = np.array(record["to_voxel"]).reshape(4, 4)
        shown = resample(steps, grid, to_voxel, order=record["order"]).array
        error = np.abs(shown - one.on_scan.array)[inside].max()
        assert error <= 0.51 * record["size"] * record["order"]
        assert record["error"] == pytest.approx(error, abs=1e-12, rel=0.02)
        shares = [(np.abs(one.on_scan.array[inside]) >= top).mean() for top in record["tops"]]
        if record["order"]:
            np.testing.assert_allclose(shares, np.array(SHARES) / 100, atol=2 / inside.sum())


def test_labels_say_what_is_outside_the_brain_and_what_has_no_region(planes: Planes) -> None:
    data = read_data(viewer(planes).tail)
    places = unpacked(data["labels"])
    assert data["labels"]["names"] == ["outside the brain", "no region", "Left-Hippocampus"]
    to_voxel = np.reshape(data["labels"]["to_voxel"], (4, 4)) @ planes.mask.affine
    inside, found = planes.mask.array > 0, np.zeros(planes.mask.shape, int)
    for voxel in np.argwhere(inside):
        found[tuple(voxel)] = places[tuple(np.rint(to_voxel[:3, :3] @ voxel + to_voxel[:3, 3]).astype(int))]
    assert planes.labels is not None
    np.testing.assert_array_equal(found, np.where(inside, np.where(planes.labels.array == 17, 2, 1), 0))


def test_a_map_that_is_not_its_file_says_so(planes: Planes) -> None:
    one = planes.maps[0]
    assert one.on_scan is not None
    other = ViewerMap(**(vars(one) | {"on_scan": one.on_scan.with_array(one.on_scan.array + 5e-6)}))
    data = read_data(viewer(Planes(planes.scan, planes.mask, None, {}, [other])).tail)
    assert data["maps"][0]["error"] == pytest.approx(5e-6, rel=0.01)
    assert "differ by at most 5e-06" in data["maps"][0]["about"]


def test_nothing_in_the_data_ends_its_element(planes: Planes) -> None:
    pieces = viewer(planes)
    assert read_data(pieces.tail)["maps"][0]["title"] == HOSTILE
    assert pieces.tail.count("<script") == 3
    assert "alert(1)</script>" not in pieces.tail
    assert "&lt;b&gt;" in viewer_page(pieces, "<b>")


def test_the_policy_names_the_script_that_runs_and_the_licence_travels_along(planes: Planes) -> None:
    pieces = viewer(planes)
    assert re.fullmatch(r"script-src 'sha256-[\w+/]{43}=' blob:", pieces.policy)
    assert "Copyright (c) 2021, Niivue" in pieces.tail
    assert pieces.tail.isascii()  # or a frame in a page of another encoding would change the script, and its hash


def test_a_brain_without_voxels_and_a_map_of_zeros_have_planes(planes: Planes) -> None:
    empty = planes.mask.with_array(np.zeros_like(planes.mask.array))
    zeros = planes.maps[0].volume.with_array(np.zeros_like(planes.maps[0].volume.array))
    scale = ColourScale(1.0, 0.1, True, "The map is zero everywhere inside the brain.")
    blank = ViewerMap("zeros", "Zeros", "logit", True, zeros, scale, empty.with_array(empty.array.astype(np.float32)))
    data = read_data(viewer(Planes(planes.scan, empty, planes.labels, {}, [blank])).tail)
    assert not unpacked(data["maps"][0]).any()
    assert data["maps"][0]["error"] == 0


def test_without_niivue_one_sentence_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(niivue, "find_spec", lambda name: None)
    niivue.niivue_source.cache_clear()
    with pytest.raises(UserError, match="need nilearn"):
        niivue.niivue_source()
    niivue.niivue_source.cache_clear()
