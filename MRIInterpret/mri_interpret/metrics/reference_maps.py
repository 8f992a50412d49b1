"""Maps that know nothing of the model: what an explanation has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array


def edge_map(image: Array, sigma: float = 1.0) -> NDArray[np.float64]:
    """Edges: Gaussian gradient magnitude, in units of the image per voxel.

    Source of its use: Adebayo et al. 2018, "Sanity checks for saliency maps", section 5.

    Parameters
    ----------
    image
        Any shape; axes of one voxel have no gradient.
    sigma
        Standard deviation of the Gaussian in voxels.
    """
    return np.asarray(ndimage.gaussian_gradient_magnitude(np.asarray(image, dtype=np.float64), sigma))


def uniform_map(inside: Array) -> NDArray[np.float64]:
    """1 inside, 0 outside."""
    return (np.asarray(inside) > 0).astype(np.float64)
