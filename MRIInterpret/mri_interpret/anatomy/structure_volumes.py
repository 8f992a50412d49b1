"""The volume of each structure from the network's class probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def structure_volumes(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each class's probabilities added up in and next to the voxels where it is the likeliest.

    A voxel that is half one thing and half another counts half for each. Faint probability all over the brain does not
    count: with it, the mean volume error of simulated hippocampi was 50 % instead of 29 %, of lateral ventricles 18 %
    instead of 14 % (Testing/benchmarks/segmentation.md has all structures, and counts of voxels beside them).

    Parameters
    ----------
    probabilities
        (classes, I, J, K).

    Returns
    -------
    (classes,), in voxels.
    """
    winner = probabilities.argmax(0)
    sums = []
    for number, own in enumerate(probabilities):
        near = ndimage.binary_dilation(winner == number)
        sums.append(own[near].sum(dtype=np.float64))
    return np.array(sums)
