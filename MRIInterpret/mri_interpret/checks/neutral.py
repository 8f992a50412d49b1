"""A neutral brain to take the place of what is taken out: the template, in the image's own intensities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array, Grid, resample


def template_neutral(image: Array, inside: Array, grid: Grid) -> NDArray[np.float32]:
    """The template's T1 brain with the intensity distribution of the image.

    Blurring the brain takes away detail and leaves volumes as they are: a network that sees atrophy in wide ventricles
    still sees it. The template is the mean of many people without the disease; what it replaces is gone.

    Parameters
    ----------
    image, inside
        (I, J, K), in template space on ``grid``; the brain is ``inside`` > 0.
    grid
        The model's.

    Returns
    -------
    array
        (I, J, K), 0 outside the brain; brain voxels that the template lacks take its nearest ones.
    """
    from ..preprocessing.template import load_template

    chosen = np.asarray(inside) > 0
    brain, mask = load_template(1)
    template = resample(brain, grid).array
    there = resample(mask, grid, order=0).array > 0
    if not (chosen & there).any():
        return np.where(chosen, image, 0).astype(np.float32)
    nearest = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
    values = np.asarray(template[tuple(nearest)][chosen], dtype=np.float64)
    # Equal ranks get equal intensities: the darkest tenth of the template becomes the image's darkest tenth.
    source, goal = np.sort(values), np.sort(np.asarray(image, dtype=np.float64)[chosen])
    matched = np.zeros(chosen.shape, dtype=np.float32)
    matched[chosen] = np.interp(values, source, goal)
    return matched
