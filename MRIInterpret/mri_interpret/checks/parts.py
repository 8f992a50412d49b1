"""Parts of the brain that are taken out or put back together, and what takes their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..images.smoothing import smooth_inside
from ..images.volume import Array

Labels = NDArray[np.int64]


def blocks(inside: Array, size: int) -> Labels:
    """Cubes of ``size`` voxels over the brain, numbered from 1; 0 outside the brain. Shape of ``inside``."""
    chosen = np.asarray(inside) > 0
    places = np.indices(chosen.shape) // size
    counts = [-(-extent // size) for extent in chosen.shape]
    flat = np.where(chosen, np.ravel_multi_index(tuple(places), counts) + 1, 0)
    return _renumbered(flat)


def regions(labels: Array, inside: Array, size: int) -> Labels:
    """Atlas regions inside the brain, numbered from 1, and blocks of ``size`` voxels where the atlas has none."""
    chosen = np.asarray(inside) > 0
    named = np.where(chosen, np.asarray(labels, dtype=np.int64), 0)
    rest = blocks(chosen & (named == 0), size)
    return _renumbered(np.where(named > 0, named, np.where(rest > 0, rest + named.max(initial=0), 0)))


def _renumbered(flat: NDArray[np.int64]) -> Labels:
    present, inverse = np.unique(flat, return_inverse=True)
    start = 0 if present.size and present[0] == 0 else 1
    return np.asarray(inverse.reshape(flat.shape) + start, dtype=np.int64)


def sums_and_sizes(values: Array, parts: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of the values in each part, and its number of voxels; both of shape (parts,)."""
    count = int(parts.max(initial=0))
    sums = np.bincount(parts.ravel(), np.asarray(values, dtype=np.float64).ravel(), minlength=count + 1)[1:]
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    return np.asarray(sums, dtype=np.float64), sizes.astype(np.float64)


def blurred_brain(image: Array, inside: Array, sigma: float) -> NDArray[np.float32]:
    """The brain without its detail: a Gaussian blur that takes in brain voxels only, 0 outside.

    Zeros would be a hole that no brain has, and the network's answer to holes says little about the tissue.

    Parameters
    ----------
    image, inside
        Shape (I, J, K).
    sigma
        In voxels.
    """
    chosen = np.asarray(inside) > 0
    blur, _ = smooth_inside(np.asarray(image, dtype=np.float32), chosen, sigma)
    return np.where(chosen, blur, 0).astype(np.float32)


def noisy_linear_imputation(
    image: Array, missing: Array, inside: Array, rng: np.random.Generator, noise: float = 0.01
) -> NDArray[np.float32]:
    """Fill missing voxels so that each is the mean of its six neighbours in the brain, plus a little noise.

    Without sharp edges, the shape of what was taken out tells the network nothing. Source: Rong et al. 2022, "A
    consistent and efficient evaluation strategy for attribution methods" (ROAD), section 4, in 3D with equal weights.

    Parameters
    ----------
    image, missing, inside
        Shape (I, J, K); voxels outside the brain stay as they are and are nobody's neighbours.
    rng
        Of the noise.
    noise
        Its standard deviation, in units of the image.
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
