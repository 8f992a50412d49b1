"""A segmentation that the user brings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.anatomy.segmentation import segmentation_of_user
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume

SCAN = Volume(np.zeros((20, 24, 22), np.int16), np.diag([1.0, 1.0, 1.0, 1.0]), "scan")


def _labels(dtype: type = np.float32) -> np.ndarray:
    """Blocks of whole voxels: hippocampi, a parcel on each side, white matter."""
    array = np.zeros(SCAN.shape, dtype)
    array[2:8, 2:8, 2:8] = 17  # 216 voxels
    array[12:18, 2:8, 2:8] = 53
    array[2:12, 12:22, 2:12] = 1006  # 1000 voxels
    array[12:14, 12:22, 2:12] = 2006  # 200 voxels
    array[2:12, 12:22, 12:22] = 2
    return array


def test_volumes_are_counted_and_named() -> None:
    found = segmentation_of_user(Volume(_labels(), SCAN.affine, "aparc+aseg"), SCAN, 4.0)
    assert found.source == "user"
    assert found.made_by == "aparc+aseg"
    assert found.labels.array.dtype == np.int16
    assert found.labels.grid.same_as(SCAN.grid)
    hippocampus = found.structure("Left-Hippocampus")
    assert hippocampus.ml == pytest.approx(0.216)
    assert hippocampus.share == pytest.approx(0.054)
    assert hippocampus.too_small
    assert hippocampus.sure
    assert math.isnan(hippocampus.entropy)
    assert found.structure("ctx-lh-entorhinal").ml == pytest.approx(1.0)
    assert not found.structure("ctx-lh-entorhinal").too_small
    # The whole cortex stands beside its parcels, though no voxel bears its label.
    assert found.structure("Left-Cerebral-Cortex").ml == pytest.approx(1.0)
    assert found.structure("Right-Cerebral-Cortex").ml == pytest.approx(0.2)
    assert [one.label for one in found.structures] == sorted(one.label for one in found.structures)
    assert found.warnings == ()
    with pytest.raises(KeyError, match="Left-Amygdala"):
        found.structure("Left-Amygdala")


def test_shares_refer_to_all_labels_where_nothing_larger_is_known() -> None:
    found = segmentation_of_user(Volume(_labels(), SCAN.affine), SCAN)
    assert found.intracranial_ml == pytest.approx(2 * 0.216 + 1.0 + 0.2 + 1.0)
    smaller = segmentation_of_user(Volume(_labels(), SCAN.affine), SCAN, 1.0)
    assert smaller.intracranial_ml == found.intracranial_ml


def test_another_grid_is_resampled_by_nearest_neighbour() -> None:
    """The same blocks on a flipped grid of twice the resolution, as FreeSurfer's conformed volumes are."""
    fine = np.repeat(np.repeat(np.repeat(_labels(np.int32), 2, 0), 2, 1), 2, 2)[::-1]
    affine = np.diag([-0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = SCAN.shape[0] - 1 + 0.25, -0.25, -0.25
    found = segmentation_of_user(Volume(fine, affine, "aseg"), SCAN)
    assert np.array_equal(found.labels.array, _labels(np.int16))


def test_labels_that_freesurfer_does_not_name() -> None:
    array = _labels()
    array[array == 53] = 9000
    array[array == 2] = 12
    given = Volume(array, SCAN.affine, "mine")
    found = segmentation_of_user(given, SCAN, names={12: "My tumour"})
    assert found.structure("My tumour").ml == pytest.approx(1.0)
    assert found.structure("Label-9000").ml == pytest.approx(0.216)
    assert found.warnings == (
        "mine has a label that FreeSurfer's table does not name (9000): it is called by its number.",
    )


def test_a_segmentation_whose_sides_are_swapped_is_warned_of() -> None:
    """Labels that the user names may lie anywhere."""
    mirrored = Volume(_labels()[::-1].copy(), SCAN.affine, "aseg")
    found = segmentation_of_user(mirrored, SCAN)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("aseg has Left-Hippocampus to the right of its counterpart")
    named = segmentation_of_user(mirrored, SCAN, names={17: "a", 53: "b", 1006: "c", 2006: "d"})
    assert named.warnings == ()
    # The same brain stored from left to right instead of from right to left is no other brain.
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = SCAN.shape[0] - 1
    flipped = Volume(_labels()[::-1].copy(), affine, "aseg")
    assert segmentation_of_user(flipped, Volume(SCAN.array, affine, "scan")).warnings == ()


def test_a_segmentation_that_lies_beside_the_scan_is_warned_of_or_refused() -> None:
    moved = np.diag([1.0, 1.0, 1.0, 1.0])
    moved[:3, 3] = 9, 0, 0
    found = segmentation_of_user(Volume(_labels(), moved, "aseg"), SCAN)
    assert len(found.warnings) == 1
    assert "lies within the scan" in found.warnings[0]
    moved[:3, 3] = 900, 0, 0
    with pytest.raises(UserError, match="holds no label within scan"):
        segmentation_of_user(Volume(_labels(), moved, "aseg"), SCAN)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.full(SCAN.shape, 1.5), "whole numbers"),
        (np.full(SCAN.shape, -1), "whole numbers"),
        (np.full(SCAN.shape, np.nan), "whole numbers"),
        (np.arange(np.prod(SCAN.shape)).reshape(SCAN.shape), "seems to be an image"),
        (np.full(SCAN.shape, 2.0**40), "labels above"),
        (np.zeros(SCAN.shape), "holds no label"),
    ],
)
def test_what_is_no_segmentation_is_refused(array: np.ndarray, what: str) -> None:
    with pytest.raises(UserError, match=what):
        segmentation_of_user(Volume(array, SCAN.affine, "file"), SCAN)


def test_large_labels_are_kept() -> None:
    array = _labels(np.int32)
    array[array == 17] = 100_000
    found = segmentation_of_user(Volume(array, SCAN.affine), SCAN)
    assert found.labels.array.dtype == np.int32
    assert found.structure("Label-100000").ml == pytest.approx(0.216)
