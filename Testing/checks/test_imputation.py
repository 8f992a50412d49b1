"""The neutral brain: template anatomy in the image's intensities."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.checks.imputation import template_imputation
from mri_interpret.images.volume import Grid, resample
from mri_interpret.preprocessing.template import load_template

GRID = Grid((48, 56, 48), np.array([[4.0, 0, 0, -94], [0, 4.0, 0, -127], [0, 0, 4.0, -87], [0, 0, 0, 1]]))


def test_it_has_the_images_intensities_in_the_templates_order() -> None:
    brain, mask = load_template(1)
    template = resample(brain, GRID).array
    inside = resample(mask, GRID, order=0).array > 0
    image = np.where(inside, np.random.default_rng(0).uniform(0.2, 0.9, GRID.shape), 0).astype(np.float32)
    found = template_imputation(image, inside, GRID)
    assert not found[~inside].any()
    np.testing.assert_allclose(np.sort(found[inside]), np.sort(image[inside]), atol=0.02)
    order = np.argsort(template[inside], kind="stable")
    assert np.all(np.diff(found[inside][order]) >= -1e-6)


def test_brain_voxels_that_the_template_lacks_are_filled_too() -> None:
    inside = np.ones(GRID.shape, dtype=bool)
    image = np.random.default_rng(1).uniform(0.2, 0.9, GRID.shape).astype(np.float32)
    found = template_imputation(image, inside, GRID)
    assert np.isfinite(found).all()
    assert found.min() >= 0.2 - 1e-6
    nowhere = Grid((6, 6, 6), np.array([[1.0, 0, 0, 500], [0, 1.0, 0, 500], [0, 0, 1.0, 500], [0, 0, 0, 1]]))
    small = np.full((6, 6, 6), 0.5, np.float32)
    assert template_imputation(small, np.ones((6, 6, 6)), nowhere) == pytest.approx(0.5)
