"""How well a scan lies on the template: the offset follows known moves, whatever the contrast; and the verdict."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume
from mri_interpret.preprocessing.match import Match, measure_match, offsets_mm
from mri_interpret.preprocessing.template import load_template
from mri_interpret.preprocessing.verdict import registration_verdict
from mri_interpret.thresholds import GOOD_OFFSET_MM
from scipy import ndimage

from Testing.preprocessing.heads import rotation, scanned

TURNS = {"turned 0": (10, 0, 0), "turned 1": (0, 10, 0), "turned 2": (0, 0, 10)}


@lru_cache(maxsize=1)
def _image() -> tuple[np.ndarray, np.ndarray]:
    brain, _ = load_template(2)
    affine = brain.affine.copy()
    affine[:3, 3] -= 24.0
    return np.pad(ndimage.gaussian_filter(brain.array, 0.85), 12), affine


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("distance", [2.0, -3.0])
def test_a_shift_is_found_along_its_axis_with_its_sign(axis: int, distance: float) -> None:
    image, affine = _image()
    moved = affine.copy()
    moved[axis, 3] += distance
    found = offsets_mm(image, moved)
    assert found[3 + axis] == pytest.approx(-distance, abs=1.2)
    assert abs(np.delete(found, 3 + axis)).max() < 1.5


def test_a_size_is_found() -> None:
    image, affine = _image()
    larger = np.diag([1.05, 1.05, 1.05, 1.0])
    larger[:3, 3] = -0.05 * np.array([0.0, -18.0, 8.0])
    found = offsets_mm(image, larger @ affine)
    assert -4.0 < found[6] < -2.0  # 5 % are about 3 mm over the brain
    assert abs(found[:6]).max() < 1.0


@pytest.mark.parametrize("look", ["as it is", "inverted", "under a strong field"])
def test_in_place_the_offset_is_small_and_misaligned_it_is_large_whatever_the_contrast(look: str) -> None:
    scan, mask, _ = scanned("LPS")
    values = scan.array / scan.array.max()
    if look == "inverted":
        values = np.where(mask.array > 0, 1.2 - values, 0)
    if look == "under a strong field":
        values = values * np.exp(np.linspace(-0.5, 0.5, values.shape[0]))[:, None, None]
    scan = scan.with_array(values.astype(np.float32))
    assert measure_match(scan, mask, np.eye(4)).offset_mm < GOOD_OFFSET_MM / 2
    for move in (*(rotation(*angles) for angles in TURNS.values()), np.diag([1.15, 1.15, 1.15, 1.0])):
        assert measure_match(scan, mask, move).offset_mm > 1.5 * GOOD_OFFSET_MM


def test_in_place_everything_matches_and_half_a_field_of_view_is_seen() -> None:
    scan, mask, _ = scanned("RAS")
    match = measure_match(scan, mask, np.eye(4))
    assert match.correlation > 0.98
    assert match.overlap > 0.97
    assert match.covered == 1
    middle = round((np.linalg.inv(scan.affine) @ [0, 0, 0, 1])[0])
    half = measure_match(
        Volume(scan.array[:middle], scan.affine, "half"), Volume(mask.array[:middle], scan.affine, "mask"), np.eye(4)
    )
    assert half.covered == pytest.approx(0.5, abs=0.03)


def test_a_mask_that_goes_on_into_the_neck_overlaps_less() -> None:
    scan, mask, _ = scanned("RAS")
    longer = np.pad(mask.array, [(0, 0), (0, 0), (60, 0)])
    longer[40:80, 40:80, :50] = 1
    low = mask.affine.copy()
    low[2, 3] -= 60 * 2
    whole = Volume(np.pad(scan.array, [(0, 0), (0, 0), (60, 0)]), low, "scan")
    with_neck = measure_match(whole, Volume(longer, low, "mask"), np.eye(4), offset=False)
    both = longer.sum() + (mask.array > 0).sum()
    assert with_neck.overlap == pytest.approx(2 * (mask.array > 0).sum() / both, abs=0.02)
    assert with_neck.overlap < 0.9


def test_alignments_are_judged() -> None:
    for right in (Match(0.7, 0.95, 0.5, 1.0), Match(0.52, 0.82, 1.8, 1.0)):  # a strong bias field, a tight mask
        assert registration_verdict("scan", np.eye(4), right)[0] == "good"
    verdict, sentence = registration_verdict("scan", np.eye(4), Match(0.7, 0.95, 9.0, 1.0))
    assert verdict == "poor"
    assert "look at the template outline" in sentence


@pytest.mark.parametrize(
    ("match", "stretch"),
    [
        (Match(0.46, 0.88, 3.3, 1.0), 1.0),  # as in a wrong pose
        (Match(0.9, 0.3, 0.5, 1.0), 1.0),
        (Match(0.9, 0.95, 0.5, 1.0), 2.5),
        (Match(0.9, 0.95, 0.5, 1.0), 0.3),
    ],
)
def test_what_cannot_be_right_is_refused(match: Match, stretch: float) -> None:
    with pytest.raises(UserError, match="could not be brought into template space"):
        registration_verdict("scan", np.diag([stretch, 1, 1, 1]), match)


def test_a_scan_that_lacks_much_of_the_brain_is_refused() -> None:
    with pytest.raises(UserError, match="holds only 60% of the brain"):
        registration_verdict("scan", np.eye(4), Match(0.7, 0.95, 0.5, 0.6))
