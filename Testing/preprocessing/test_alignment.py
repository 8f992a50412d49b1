"""Heads that lie askew, cut heads, and what is refused; real scans where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.reading import read_volume
from mri_interpret.images.volume import Affine, Grid, Volume, resample
from mri_interpret.metrics.similarity import dice
from mri_interpret.preprocessing import alignment
from mri_interpret.preprocessing.alignment import Aligner, Alignment
from mri_interpret.preprocessing.cache import PreprocessingCache, content_hash
from mri_interpret.progress import silent

from Testing.preprocessing.heads import rotation, scanned, with_neck_and_shoulders
from Testing.sample_scan import sample_at_2_mm

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "real-scans"
CENTRE = np.array([0.0, -18.0, 8.0])


def _align(scan: Volume, mask: str | Volume = "auto", cache: PreprocessingCache | None = None) -> Alignment:
    cache = cache or PreprocessingCache(enabled=False)
    return Aligner(scan, content_hash(scan), "cpu", cache, silent, []).align(mask, "auto")


def _distance_mm(first: Affine, second: Affine) -> float:
    """Root mean square over a brain's size, mm."""
    points = CENTRE[:, None] + np.array([[55, 0, 0], [-55, 0, 0], [0, 70, 0], [0, -70, 0], [0, 0, 55], [0, 0, -55]]).T
    moved = first @ np.linalg.inv(second)
    return float(np.sqrt(((moved[:3, :3] @ points + moved[:3, 3:] - points) ** 2).sum(0).mean()))


def _turned(scan: Volume, angles: tuple[int, int, int]) -> tuple[Volume, Affine]:
    """The head turned about its middle in a scanner with straight axes, and how it was moved (RAS mm to RAS mm)."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in scan.shape])).reshape(3, -1)
    world = scan.affine[:3, :3] @ corners + scan.affine[:3, 3:]
    middle = world.mean(1)
    move = rotation(*angles)
    move[:3, 3] = middle - move[:3, :3] @ middle
    there = move[:3, :3] @ world + move[:3, 3:]
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = there.min(1)
    i, j, k = (int(np.ceil(size / 2)) for size in np.ptp(there, axis=1))
    return resample(scan, Grid((i, j, k), affine), np.linalg.inv(move)), move


@pytest.fixture(scope="module")
def head() -> Volume:
    """The sample as it lies, at the 2 mm that the turned ones have."""
    return sample_at_2_mm()


@pytest.fixture(scope="module")
def upright(head: Volume) -> Alignment:
    return _align(head)


@pytest.mark.slow
@pytest.mark.parametrize(
    "angles",
    [
        pytest.param((40, 0, 0), id="pitched by 40 degrees"),
        pytest.param((0, 0, 30), id="turned by 30 degrees", marks=pytest.mark.thorough),
        pytest.param((0, 90, 0), id="on its right side", marks=pytest.mark.thorough),
    ],
)
def test_a_head_that_lies_askew_is_aligned_as_upright_and_its_brain_is_found(
    angles: tuple[int, int, int], head: Volume, upright: Alignment
) -> None:
    turned, move = _turned(head, angles)
    found = _align(turned)
    assert found.verdict == "good"
    assert _distance_mm(found.to_template @ move, upright.to_template) < 3
    whole = upright.brain.volume.with_array(upright.brain.volume.array.astype(np.float32))
    brain = resample(whole, turned.grid, np.linalg.inv(move)).array > 0.5
    assert dice(found.brain.volume.array, brain) > 0.95


@pytest.mark.slow
def test_neck_and_shoulders_in_the_field_of_view_change_nothing(head: Volume, upright: Alignment) -> None:
    whole = with_neck_and_shoulders(head)
    assert np.count_nonzero(whole.array > 100) > 1.4 * np.count_nonzero(head.array > 100)
    found = _align(whole)
    assert found.verdict == "good"
    assert _distance_mm(found.to_template, upright.to_template) < 1
    brain = resample(upright.brain.volume, whole.grid, order=0).array
    assert dice(found.brain.volume.array, brain) > 0.97


@pytest.mark.slow
def test_a_head_cut_through_the_cerebellum_is_aligned_as_the_whole(head: Volume, upright: Alignment) -> None:
    """By 3 cm. Without 6 cm, too little is left of the brain, and that is said as of half a brain (below)."""
    brain = resample(upright.brain.volume, head.grid, order=0).array
    cut = int(np.flatnonzero(brain.any((0, 1))).min() + 30 / head.grid.spacing[2])
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 2] * cut
    found = _align(Volume(np.ascontiguousarray(head.array[:, :, cut:]), affine, "cut"))
    assert found.verdict == "good"
    assert _distance_mm(found.to_template, upright.to_template) < 2
    assert 0.85 < found.match.covered < 0.98
    assert dice(found.brain.volume.array, brain[:, :, cut:]) > 0.96


@pytest.fixture
def one_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused after one further pose instead of three: each takes ten seconds, and all end alike."""
    monkeypatch.setattr(alignment, "_MOST_POSES", 1)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real scans for development are not here")
@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.thorough) for n in range(1, 5))])
def test_real_scans_are_well_aligned(number: int) -> None:
    found = _align(read_volume(sorted(REAL.glob("*_T1w.nii.gz"))[number]))
    assert found.verdict == "good"
    assert found.match.offset_mm < 2


@pytest.mark.slow
def test_a_stripped_brain_on_its_side_is_aligned_with_the_mask_that_was_given_and_kept_in_the_cache(
    tmp_path: Path,
) -> None:
    scan, mask, placement = scanned("RAS", rotation(0, 90, 0))
    found = _align(scan, mask, PreprocessingCache(tmp_path))
    assert found.verdict == "good"
    assert found.brain.method == "given"
    assert _distance_mm(found.to_template @ placement, np.eye(4)) < 3
    second = _align(scan, mask, PreprocessingCache(tmp_path))
    assert np.array_equal(found.to_template, second.to_template)
    assert found.match == second.match
    assert found.sentence == second.sentence


@pytest.mark.slow
def test_a_vertex_cut_off_is_aligned_as_the_whole_and_half_a_brain_is_refused(one_pose: None) -> None:
    scan, mask, _ = scanned("RAS")
    moved = np.eye(4)
    moved[:3, 3] = [4, -6, 9]
    scan, mask = Volume(scan.array, moved @ scan.affine, "scan"), Volume(mask.array, moved @ mask.affine, "mask")
    top = np.flatnonzero(mask.array.any((0, 1))).max()
    kept = slice(0, int(top - 20 / scan.grid.spacing[2]))
    cut = _align(
        Volume(scan.array[..., kept], scan.affine, "cut"), Volume(mask.array[..., kept], scan.affine, "cut mask")
    )
    assert _distance_mm(cut.to_template, np.linalg.inv(moved)) < 4
    assert 0.85 < cut.match.covered < 0.99
    middle = scan.shape[0] // 2
    with pytest.raises(UserError, match=r"holds only|could not be brought"):
        _align(Volume(scan.array[:middle], scan.affine, "half"), Volume(mask.array[:middle], scan.affine, "half mask"))


@pytest.mark.slow
@pytest.mark.thorough  # half a brain, which no pose fits either, is refused above
def test_a_cube_of_noise_is_refused_in_one_sentence(one_pose: None) -> None:
    noise = np.random.default_rng(3).normal(100, 10, (60, 60, 60)).astype(np.float32)
    cube = Volume(noise, np.diag([3.0, 3.0, 3.0, 1.0]), "noise")
    ball = (((np.indices(cube.shape) - 29.5) ** 2).sum(0) < 22**2).astype(np.uint8)
    with pytest.raises(UserError, match="could not be brought into template space"):
        _align(cube, Volume(ball, cube.affine, "ball"))
