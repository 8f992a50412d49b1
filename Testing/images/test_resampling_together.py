"""Several volumes resampled together are what SciPy makes of each."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.resampling_together import resample_together
from mri_interpret.images.volume import Grid, Volume, resample

# Turned, sheared and mirrored; the grid reaches beyond the volumes on every side.
_AFFINE = np.array([[-2.0, 0.3, 0, 9], [0.1, 1.7, 0.2, -8], [0, -0.2, 2.5, -11], [0, 0, 0, 1]])
_TO_VOLUME = np.array([[0.98, -0.1, 0, 1.3], [0.1, 1.02, 0.05, -0.7], [0.02, 0, 0.95, 0.4], [0, 0, 0, 1]])
_GRID = Grid((23, 19, 31), np.array([[0, 1.1, 0, -14], [1.3, 0, 0, -13], [0, 0, 0.9, -15], [0, 0, 0, 1]]))


@pytest.mark.parametrize("shape", [(9, 10, 8), (9, 1, 8), (1, 1, 1)])
def test_they_are_what_each_is_alone(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    volumes = [Volume(rng.normal(size=shape).astype(np.float32) * 10.0**n, _AFFINE, f"map {n}") for n in (-6, 0, 4)]
    found = resample_together(volumes, _GRID, _TO_VOLUME)
    for one, own in zip(volumes, found, strict=True):
        alone = resample(one, _GRID, _TO_VOLUME)
        assert own.array.dtype == alone.array.dtype == np.float32
        assert (alone.array == 0).any()
        assert (alone.array != 0).any()
        np.testing.assert_allclose(own.array, alone.array, rtol=1e-6, atol=1e-7 * float(np.abs(one.array).max()))
        assert own.name == one.name
        assert own.grid.same_as(_GRID)


def test_threads_change_nothing() -> None:
    import torch

    volumes = [Volume(np.random.default_rng(1).normal(size=(9, 10, 8)), _AFFINE)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(resample_together(volumes, _GRID, _TO_VOLUME)[0].array)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*results)


def test_none_other_grids_and_a_cancelled_one() -> None:
    volume = Volume(np.ones((4, 4, 4), np.float32))
    assert resample_together([], _GRID) == []
    np.testing.assert_array_equal(resample_together([volume], volume.grid)[0].array, volume.array)
    moved = Volume(volume.array, np.diag([2.0, 1, 1, 1]))
    with pytest.raises(ValueError, match="one grid"):
        resample_together([volume, moved], _GRID)

    def cancel(share: float) -> None:
        raise UserError("stopped")

    with pytest.raises(UserError, match="stopped"):
        resample_together([volume], _GRID, report=cancel)
