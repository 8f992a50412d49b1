"""The head's pose is found whichever way it lies, and the head then stands upright."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.images.volume import Affine, Volume
from mri_interpret.preprocessing.head_pose import likely_poses, upright
from mri_interpret.preprocessing.match import measure_match

from Testing.preprocessing.heads import rotation, scanned


def _angle(found: Affine, placement: Affine) -> float:
    turned = found[:3, :3] @ placement[:3, :3]
    return float(np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))))


@pytest.mark.slow
@pytest.mark.parametrize("angles", [(0, 0, 0), (180, 0, 0), (-65, 20, 100)], ids=str)
def test_a_head_is_found_in_any_pose(angles: tuple[int, int, int]) -> None:
    """Turns about one axis by 30 to 90 degrees are in test_alignment, through the whole alignment."""
    placement = rotation(*angles)
    placement[:3, 3] = [15, -30, 20]
    scan, mask, _ = scanned("LPS", placement)
    scan = scan.with_array(np.where(mask.array > 0, scan.array, 0).astype(np.float32))
    pose = likely_poses(scan, count=1)[0]
    assert _angle(pose, placement) < 20
    centre = np.array([0.0, -18.0, 8.0, 1.0])
    assert np.linalg.norm((pose @ placement @ centre - centre)[:3]) < 15
    head = upright(scan, pose)
    inside = Volume((head.array > 0).astype(np.uint8), head.affine, "mask")
    assert measure_match(head, inside, np.eye(4)).overlap > 0.85


def test_nothing_to_be_found_is_no_error() -> None:
    empty = Volume(np.zeros((40, 40, 40), np.float32), np.diag([5.0, 5, 5, 1]), "empty")
    assert len(likely_poses(empty, count=1)) == 1


def test_an_upright_head_has_room_for_the_skull_and_none_for_shoulders() -> None:
    scan, _, _ = scanned("RAS")
    head = upright(scan, np.eye(4))
    extent = np.array(head.shape) * head.grid.spacing
    assert (extent > [230, 270, 230]).all()
    assert (extent < [300, 330, 280]).all()
