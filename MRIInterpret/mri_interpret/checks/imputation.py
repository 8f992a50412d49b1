"""What takes the place of voxels that are removed: the template, a blurred brain, or noisy linear imputation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.smoothing import box_around, smooth_inside
from ..images.volume import Array, Grid, resample


def template_imputation(image: Array, inside: Array, grid: Grid) -> NDArray[np.float32]:
    """The template's T1 brain with the intensity distribution of the image.

    A blurred brain keeps its volumes, so a network that sees atrophy in wide ventricles still sees it. The template is
    the mean of many people without the disease.

    Parameters
    ----------
    image, inside
        (I, J, K), in template space on ``grid``; the brain is ``inside`` > 0.
    grid
        The model's grid.

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
    box = box_around(chosen | there)  # nothing beyond it is asked for, or nearest to anything within
    nearest = ndimage.distance_transform_edt(~there[box], return_distances=False, return_indices=True)
    values = np.asarray(template[box][tuple(nearest)][chosen[box]], dtype=np.float64)
    # Equal ranks get equal intensities: the darkest tenth of the template becomes the image's darkest tenth.
    source, goal = np.sort(values), np.sort(np.asarray(image, dtype=np.float64)[chosen])
    matched = np.zeros(chosen.shape, dtype=np.float32)
    matched[chosen] = np.interp(values, source, goal)
    return matched


def template_mask(grid: Grid) -> NDArray[np.bool_]:
    """The template's brain on a grid in template space, (I, J, K)."""
    from ..preprocessing.template import load_template

    return np.asarray(resample(load_template(1)[1], grid, order=0).array > 0)


def blurred_brain(image: Array, inside: Array, sigma: float) -> NDArray[np.float32]:
    """The brain without its detail: a Gaussian blur that takes in brain voxels only, 0 outside.

    Zeros instead would be holes, and the network's answer to holes says little about the tissue.

    Parameters
    ----------
    image, inside
        Shape (I, J, K).
    sigma
        Standard deviation of the Gaussian in voxels.
    """
    chosen = np.asarray(inside) > 0
    blur, _ = smooth_inside(np.asarray(image, dtype=np.float32), chosen, sigma)
    return np.where(chosen, blur, 0).astype(np.float32)


def noisy_linear_imputation(
    image: Array, missing: Array, inside: Array, rng: np.random.Generator, noise: float = 0.01
) -> NDArray[np.float32]:
    """Fill missing voxels so that each is the mean of its six neighbours in the brain, plus a little noise.

    Without sharp edges, the shape of what was removed tells the network nothing. Source: Rong et al. 2022, "A
    consistent and efficient evaluation strategy for attribution methods" (ROAD), section 4, in 3D with equal weights.

    Parameters
    ----------
    image, missing, inside
        Shape (I, J, K); voxels outside the brain stay as they are and are nobody's neighbours.
    rng
        Makes the noise.
    noise
        Standard deviation of the noise, in units of the image.
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import cg

    chosen = np.asarray(inside) > 0
    gone = (np.asarray(missing) > 0) & chosen
    filled = np.array(image, dtype=np.float32)
    count = int(gone.sum())
    if count == 0:
        return filled
    number = np.full(gone.shape, -1)
    number[gone] = np.arange(count)
    degree, right = np.zeros(count), np.zeros(count)
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for axis in range(3):
        for step in (1, -1):
            here, there = _neighbours(gone.shape, axis, step)
            valid = gone[here] & chosen[there]
            rows = number[here][valid]
            degree[rows] += 1  # each voxel has at most one neighbour per direction
            other = number[there][valid]
            known = other < 0
            right[rows[known]] += filled[there][valid][known]
            pairs.append((rows[~known], other[~known]))
    rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
    links = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    # A tiny pull to the mean of what is known makes the system solvable where a whole component is missing.
    kept = filled[chosen & ~gone]
    mean, pull = (float(kept.mean()) if kept.size else 0.0), 1e-6
    system = diags(degree + pull) - links
    solution, _ = cg(system, right + pull * mean, x0=np.full(count, mean), rtol=1e-4, maxiter=500)
    filled[gone] = (solution + rng.normal(0, noise, count)).astype(np.float32)
    return filled


def _neighbours(shape: tuple[int, ...], axis: int, step: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    here, there = [slice(None)] * len(shape), [slice(None)] * len(shape)
    here[axis] = slice(None, -1) if step > 0 else slice(1, None)
    there[axis] = slice(1, None) if step > 0 else slice(None, -1)
    return tuple(here), tuple(there)
