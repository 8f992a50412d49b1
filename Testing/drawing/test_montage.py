"""Montages show the brain only."""

from __future__ import annotations

import numpy as np
from mri_interpret.drawing.montage import Backdrop, map_montage
from mri_interpret.images.volume import Volume
from mri_interpret.planes.colour_scale import relevance_scale

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0]) @ np.block([[np.eye(3), np.full((3, 1), -10.0)], [np.zeros((1, 3)), 1]])


def test_what_lies_outside_the_brain_is_not_drawn() -> None:
    place = np.indices((20, 20, 20)) - 9.5
    brain = (place**2).sum(0) < 36
    scan = Volume(np.where(brain, 100.0, 20.0).astype(np.float32), AFFINE)
    mask = Volume(brain.astype(np.uint8), AFFINE)
    inside = np.where(brain, place[0], 0).astype(np.float32)
    loud = np.where(brain, inside, 50).astype(np.float32)
    backdrop = Backdrop.of(scan, mask)
    pictures = []
    for array in (inside, loud, 0 * inside):
        scale = relevance_scale(array, mask.array, True, "logit")
        pictures.append(map_montage(backdrop, Volume(array, AFFINE), scale, "Map", "logit"))
    quiet, shouted, empty = pictures
    assert shouted == quiet
    assert empty.data != quiet.data
