"""Structures are outlined at their edges and lightly filled, in their own colours and places."""

from __future__ import annotations

import io

import numpy as np
import pytest
from mri_interpret.drawing.label_montage import label_montage, outlined
from mri_interpret.drawing.montage import Backdrop
from mri_interpret.images.volume import Volume
from PIL import Image

RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
TABLE = np.array([(0, 0, 0, 0), (*RED, 0.9), (*GREEN, 0.9)], dtype=float)


def test_edges_are_opaque_and_the_inside_is_not() -> None:
    labels = np.zeros((7, 7), dtype=np.int64)
    labels[1:6, 1:6] = 1
    rgba = outlined(labels, TABLE, np.array([0.2, 0.2, 0.2]))
    assert rgba[0, 0].tolist() == [0, 0, 0, 0]
    assert rgba[1, 1].tolist() == [1, 0, 0, 0.9]
    assert rgba[3, 3].tolist() == [1, 0, 0, 0.2]
    assert (rgba[..., 3] == 0.9).sum() == 16  # the frame of a square of 5


def test_beside_another_structure_only_the_filled_one_has_a_line() -> None:
    labels = np.ones((5, 6), dtype=np.int64)
    labels[:, 3:] = 2
    rgba = outlined(labels, TABLE, np.array([0.0, 0.2, 0.0]))
    assert set(rgba[:, 2, 3]) == {0.9}
    assert set(rgba[:, 3, 3]) == {0.0}
    alone = outlined(np.where(labels == 2, 2, 0), TABLE, np.array([0.0, 0.2, 0.0]))
    assert set(alone[:, 3, 3]) == {0.9}


def test_the_patients_right_is_on_the_left_of_the_picture() -> None:
    """A red block on the right, a green one on the left, of a grid whose first axis points to the left."""
    labels = np.zeros((40, 40, 40), dtype=np.int16)
    labels[4:16, 10:30, 10:30], labels[24:36, 10:30, 10:30] = 2, 1
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (78.0, -78.0, -78.0)
    # Index 4 to 15 lies at R 62 to 18: red must be on the right, so the labels change places.
    labels = np.where(labels > 0, 3 - labels, 0)
    scan = Volume(np.full(labels.shape, 50, dtype=np.float32), affine)
    mask = Volume((labels > 0).astype(np.uint8), affine)
    picture = label_montage(Backdrop.of(scan, mask), Volume(labels, affine), {1: RED, 2: GREEN}, "alt", "What it is.")
    assert picture.caption.startswith("What it is. Radiological")
    pixels = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)
    # The middle cell of the first strip, which is axial, in five columns.
    height, width = pixels.shape[:2]
    cell = pixels[: height // 3, 2 * width // 5 : 3 * width // 5]
    redness = np.argwhere(cell[..., 0] > cell[..., 1] + 40)[:, 1]
    greenness = np.argwhere(cell[..., 1] > cell[..., 0] + 40)[:, 1]
    assert redness.size > 100
    assert greenness.size > 100
    assert redness.max() < greenness.min()


@pytest.mark.parametrize("colours", [{}, {1: RED}])
def test_labels_without_a_colour_are_not_drawn(colours: dict[int, tuple[float, float, float]]) -> None:
    labels = np.zeros((20, 20, 20), dtype=np.int32)
    labels[4:10, 4:16, 4:16], labels[10:16, 4:16, 4:16] = 1, 2035
    scan = Volume(np.full(labels.shape, 50, dtype=np.float32), np.diag([6.0, 6.0, 6.0, 1.0]))
    mask = Volume(np.ones(labels.shape, dtype=np.uint8), scan.affine)
    picture = label_montage(Backdrop.of(scan, mask), Volume(labels, scan.affine), colours, "alt", "")
    pixels = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)
    coloured = (np.abs(pixels - pixels.mean(-1, keepdims=True)) > 30).any(-1)
    # The letters' yellow mark is not there, since no slice was asked for.
    assert coloured.any() == bool(colours)
