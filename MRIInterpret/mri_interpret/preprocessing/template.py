"""The template that scans are registered to: nilearn's ICBM152 2009a symmetric T1, brain only."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..errors import UserError
from ..images.volume import Volume

TEMPLATE_NAME = "ICBM152 2009a nonlinear symmetric (nilearn)"


@lru_cache(maxsize=2)
def load_template(resolution: int = 1) -> tuple[Volume, Volume]:
    """The template's T1 brain and its mask.

    Parameters
    ----------
    resolution
        Voxel size in mm, 1 or 2.

    Returns
    -------
    brain, mask
        brain: float32, 0..1, 0 outside the brain; mask: uint8. Shape (197, 233, 189) at 1 mm, axes R, A, S.
    """
    try:
        from nilearn.datasets import load_mni152_brain_mask, load_mni152_template
    except ImportError as error:
        raise UserError(
            "nilearn, which brings the brain template, is missing: install it (pip install nilearn)."
        ) from error
    brain = load_mni152_template(resolution=resolution)
    mask = load_mni152_brain_mask(resolution=resolution)
    affine = np.asarray(brain.affine, dtype=np.float64)
    return (
        Volume(np.asarray(brain.dataobj, dtype=np.float32), affine, "ICBM152 T1 brain"),
        Volume((np.asarray(mask.dataobj) > 0).astype(np.uint8), affine, "ICBM152 brain mask"),
    )
