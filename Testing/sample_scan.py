"""The sample that ships at 2 mm: for tests of the whole way that are not about a scan's size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from mri_interpret.images.reading import read_scan
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.resources import resource


@lru_cache(maxsize=1)
def sample_at_2_mm() -> Volume:
    """Colin27, a whole head on axes R, A, S; shape (90, 108, 90)."""
    sample = read_scan(resource("SampleData", "colin27_T1.nii.gz"))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = sample.affine[:3, 3] + 0.5
    return resample(sample, Grid((90, 108, 90), affine))
