"""Threshold-free cluster enhancement of a group difference, by nilearn: extended effects count for more than |t| alone.

Smith & Nichols 2009, with family-wise correction by the maximum over the brain. nilearn follows fslmaths: 100 steps for
each map, extents weighted by the power 0.5, heights by 2, faces, edges and corners all joining voxels. It needs the
whole brain at once, on the coarse grid of the test about 0.2 MiB for each subject.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Grid, Volume
from .disk_matrix import Rows

_CHUNK = 20  # permutations between two checks for the user's cancelling

Floats = NDArray[np.float64]


def tfce_difference(
    tested: Floats,
    data: Rows,
    confounds: Floats | None,
    inside: NDArray[np.bool_],
    grid: Grid,
    *,
    permutations: int,
    seed: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> tuple[Floats, Floats, Floats]:
    """t, its enhancement, and the highest enhancement in each permutation.

    Parameters
    ----------
    tested
        (subjects, 1): the groups.
    data
        (subjects, voxels), the voxels of ``inside`` in C order; values that are the same in all subjects have t 0.
    confounds
        (subjects, columns) or None.
    inside, grid
        The brain, shape (I, J, K), and its grid.
    permutations
        Their number.
    seed
        Random seed of the permutations.
    progress
        Gets the share done; may raise to cancel.

    Returns
    -------
    t, enhancement
        (voxels,); the enhancement is never negative, whichever group is higher.
    highest
        (permutations,).
    """
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    varying = np.ptp(data, axis=0) > 0
    t, enhancement = np.zeros(len(varying)), np.zeros(len(varying))
    highest = np.zeros(permutations)
    if not varying.any():
        return t, enhancement, highest
    kept = np.zeros(grid.shape, dtype=np.uint8)
    kept[inside] = varying
    masker = NiftiMasker(mask_img=Volume(kept, grid.affine).to_nibabel()).fit()
    values = np.ascontiguousarray(data[:, varying], dtype=np.float64)
    for number, start in enumerate(range(0, permutations, _CHUNK)):
        count = min(_CHUNK, permutations - start)
        found = permuted_ols(
            tested, values, confounding_vars=confounds, n_perm=count, two_sided_test=True, random_state=seed + number,
            n_jobs=1, masker=masker, tfce=True, output_type="dict",
        )  # fmt: skip
        highest[start : start + count] = found["h0_max_tfce"][0]
        t[varying], enhancement[varying] = found["t"][0], np.abs(found["tfce"][0])
        progress((start + count) / permutations)
    return t, enhancement, highest
