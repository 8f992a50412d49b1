"""Where do two groups' maps differ? A permutation test, corrected by the maximum over the brain, by nilearn.

nilearn's ``permuted_ols`` (Freedman & Lane's scheme, family-wise error by the maximum of |t|; Winkler 2014) is run on
blocks of voxels. The same seed gives each block the same permutations, so the maximum over the whole brain in each
permutation is the maximum over the blocks, and the p-values are those of one run over everything, with less memory.
The maximum is of |t|, or of its threshold-free cluster enhancement (:mod:`.tfce`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..images.smoothing import Floats, sigma_in_voxels, smooth_inside
from ..images.volume import Array, Grid, Volume
from ..summary import COMMON_FWHM_MM
from .disk_matrix import DiskMatrix, Rows
from .tfce import tfce_difference

PERMUTATIONS = 1000
FEWEST_PERMUTATIONS = 19  # with fewer, no p can be 0.05
CORRECTIONS = ("max", "tfce")
LEAST = 4  # subjects in each group; with fewer, no test is made
STRIDE = 2  # after smoothing to 8 mm, every second voxel of the 2 mm grid is enough
SEED = 7
_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class GroupDifference:
    """First group minus second group."""

    t: Volume  # on every second voxel of the model's grid; positive where the first group's maps are higher
    logp: Volume  # -log10 of the family-wise corrected two-sided p
    n: tuple[int, int]
    permutations: int
    significant: int  # voxels with corrected p <= 0.05, of the coarser grid
    threshold: float  # |t| (or enhancement) at corrected p = 0.05
    enhancement: Volume | None = None  # of |t|, never negative; None where |t| itself was corrected

    @property
    def correction(self) -> str:
        """One of ``CORRECTIONS``."""
        return "max" if self.enhancement is None else "tfce"


def coarse_grid(grid: Grid, stride: int = STRIDE) -> Grid:
    """The grid of every ``stride``-th voxel."""
    shape = [len(range(0, size, stride)) for size in grid.shape]
    return Grid((shape[0], shape[1], shape[2]), grid.affine @ np.diag([stride, stride, stride, 1.0]))


def permutation_difference(
    read: Callable[[int], Rows],
    first: list[int],
    second: list[int],
    inside: NDArray[np.bool_],
    grid: Grid,
    folder: Path,
    *,
    confounds: NDArray[np.float64] | None = None,
    permutations: int = PERMUTATIONS,
    correction: str = "max",
    block_bytes: int = _BLOCK_BYTES,
    progress: Callable[[float], None] = lambda fraction: None,
) -> GroupDifference:
    """Test the maps of two groups of subjects against each other.

    Parameters
    ----------
    read
        Subject's position to its map inside the brain, (voxels,).
    first, second
        Positions of each group's subjects; at least ``LEAST`` each.
    inside, grid
        The brain, shape (I, J, K), and its grid.
    folder
        Where the temporary file lies.
    confounds
        (subjects of both groups in that order, columns) to adjust for; no constant column is needed.
    permutations
        Their number.
    correction
        "max" (the maximum of |t|) or "tfce" (of the threshold-free cluster enhancement of t).
    progress
        Gets the share done; may raise to cancel.
    """
    if correction not in CORRECTIONS:
        raise ValueError(f"correction '{correction}', not one of {', '.join(CORRECTIONS)}")
    if min(len(first), len(second)) < LEAST:
        raise ValueError(f"{len(first)} and {len(second)} subjects: at least {LEAST} in each group are needed")
    chosen = inside[::STRIDE, ::STRIDE, ::STRIDE]
    members = [*first, *second]
    weight: Floats | None = None
    with DiskMatrix(int(chosen.sum()), folder) as matrix:
        for done, place in enumerate(members):
            coarse_map, weight = _coarse(read(place), inside, grid, weight)
            matrix.append(coarse_map[chosen])
            progress(0.3 * (done + 1) / len(members))
        tested = np.repeat([1.0, 0.0], [len(first), len(second)])[:, None]
        coarse = coarse_grid(grid)

        def told(fraction: float) -> None:
            progress(0.3 + 0.7 * fraction)

        if correction == "tfce":
            data = matrix.block(0, matrix.columns, range(len(members)))
            t, score, highest = tfce_difference(
                tested, data, confounds, chosen, coarse, permutations=permutations, seed=SEED, progress=told
            )
        else:
            t, highest = _in_blocks(tested, matrix, confounds, permutations, block_bytes, told)
            score = np.abs(t)
    p = corrected_p(score, highest)
    return GroupDifference(
        t=_volume(t, chosen, coarse, "t"),
        logp=_volume(-np.log10(p), chosen, coarse, "-log10 p"),
        n=(len(first), len(second)),
        permutations=permutations,
        significant=int((p <= 0.05).sum()),
        threshold=critical_value(highest),
        enhancement=_volume(score, chosen, coarse, "TFCE") if correction == "tfce" else None,
    )


def _in_blocks(
    tested: NDArray[np.float64],
    matrix: DiskMatrix,
    confounds: NDArray[np.float64] | None,
    permutations: int,
    block_bytes: int,
    progress: Callable[[float], None],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """t of every voxel, and the highest |t| of the brain in each permutation."""
    t, highest = np.zeros(matrix.columns), np.zeros(permutations)
    # In float64 there, with a copy or two.
    for start, stop, block in matrix.blocks(range(matrix.rows), block_bytes // 4):
        varying = np.ptp(block, axis=0) > 0
        if varying.any():
            values, maxima = _permuted(tested, block[:, varying], confounds, permutations)
            t[start:stop][varying] = values
            highest = np.maximum(highest, maxima)
        progress(stop / matrix.columns)
    return t, highest


def corrected_p(score: NDArray[np.float64], highest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Family-wise corrected p: the share of permutations whose highest reaches |score|, the data's own included."""
    ordered = np.sort(highest)
    reached = len(ordered) - np.searchsorted(ordered, np.abs(score), side="left")
    return np.asarray((1 + reached) / (1 + len(ordered)))


def critical_value(highest: NDArray[np.float64], level: float = 0.05) -> float:
    """The least score whose :func:`corrected_p` is at most ``level``: just above a permutation's highest.

    Infinite if there are too few permutations for any.
    """
    ordered = np.sort(highest)
    above = np.nextafter(ordered, np.inf)
    reached = above[corrected_p(above, highest) <= level]
    return float(reached[0]) if len(reached) else float("inf")


def _permuted(
    tested: NDArray[np.float64], block: Rows, confounds: NDArray[np.float64] | None, permutations: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from nilearn.mass_univariate import permuted_ols

    found = permuted_ols(
        tested,
        np.ascontiguousarray(block, dtype=np.float64),
        confounding_vars=confounds,
        n_perm=permutations,
        two_sided_test=True,
        random_state=SEED,
        n_jobs=1,
        output_type="dict",
    )
    return np.asarray(found["t"])[0], np.asarray(found["h0_max_t"])[0]


def _coarse(row: Rows, inside: NDArray[np.bool_], grid: Grid, weight: Floats | None) -> tuple[Floats, Floats]:
    """A map smoothed inside the brain and taken at every second voxel; and the smoothed mask, for the next map."""
    full = np.zeros(grid.shape, dtype=np.float32)
    full[inside] = row
    sigma = sigma_in_voxels(COMMON_FWHM_MM, grid.spacing)
    smooth, weight = smooth_inside(full, inside, sigma, weight=weight, truncate=3.0)
    return smooth[::STRIDE, ::STRIDE, ::STRIDE], weight


def _volume(values: Array, chosen: NDArray[np.bool_], grid: Grid, name: str) -> Volume:
    array = np.zeros(grid.shape, dtype=np.float32)
    array[chosen] = values
    return Volume(array, grid.affine, name)
