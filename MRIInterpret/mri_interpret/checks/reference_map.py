"""A reference map from elsewhere, in template space, and how alike this scan's maps are to it.

A meta-analysis or a published group map says where a disease is usually seen. A correlation with it means little by
itself: two smooth maps of one brain correlate by chance. So it stands beside what the same map reaches with the
reference mirrored, shifted, and with random maps as smooth as the reference. Rotations of the cortex's surface
(Alexander-Bloch et al. 2018) are for surfaces; random maps of the same smoothness are the usual null of volumes (Burt
et al. 2020, "Generative modeling of brain maps with spatial autocorrelation", who match the variogram; here one
Gaussian smoothness is matched, which is coarser).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy  # scipy.stats is loaded on first use
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.conversion import as_volume
from ..images.smoothing import smooth_inside
from ..images.volume import Array, Grid, Volume, resample
from ..metrics.similarity import correlation, region_profile
from ..progress import ProgressCallback, silent
from ..summary import COMMON_FWHM_MM

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
SHIFT_MM = 20.0
RANDOM_MAPS = 39  # the highest of them is the 97.5th percentile
FEWEST_REGIONS = 5  # a rank correlation of fewer says nothing
COLUMNS = ("method", "reference", "level", "correlation", "mirrored", "shifted", "random", "p")
STEP = "Comparing with a reference"
_FWHM = math.sqrt(8 * math.log(2))  # of a Gaussian, in standard deviations
_LEAST_INSIDE = 0.05


@dataclass(frozen=True)
class ReferenceMap:
    """A map that others made, in template space (MNI152).

    Attributes
    ----------
    name
        For tables.
    volume
        Finite float32 values, on its own grid; what is not a number counts as 0.
    """

    name: str
    volume: Volume


def read_references(given: Any) -> tuple[ReferenceMap, ...]:
    """Reference maps from files or images: one, or a list or dictionary (name to image) of several.

    Raises
    ------
    UserError
        If one cannot be read, carries no orientation, is zero or the same everywhere, or lies outside of the template's
        brain.
    """
    if given is None or (isinstance(given, str) and not given):
        return ()
    if isinstance(given, Mapping):
        named = [(str(name), image) for name, image in given.items()]
    elif isinstance(given, list | set) or (isinstance(given, tuple) and not _is_array_with_affine(given)):
        named = [("", image) for image in given]
    else:
        named = [("", given)]
    return tuple(_read(name, image) for name, image in named)


def _is_array_with_affine(given: tuple[Any, ...]) -> bool:
    return len(given) == 2 and np.shape(given[1]) == (4, 4)


def _read(name: str, image: Any) -> ReferenceMap:
    volume = as_volume(image, name="reference map")
    file = Path(image).name if isinstance(image, str | Path) else ""
    called = name or file or volume.name or "reference map"
    values = np.nan_to_num(np.asarray(volume.array, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if not values.any():
        raise UserError(f"The reference map {called} is zero everywhere: give a map with values.", option="reference")
    from ..preprocessing.template import load_template

    brain = load_template(2)[1]
    covered = resample(brain, volume.grid, order=0).array > 0
    if float(np.mean(covered[values != 0])) < _LEAST_INSIDE:
        raise UserError(
            f"The reference map {called} lies outside of the template's brain: give one in MNI152 space.",
            option="reference",
        )
    if np.ptp(values[covered]) == 0:
        raise UserError(
            f"The reference map {called} has the same value in all of the brain: there is nothing to compare.",
            option="reference",
        )
    return ReferenceMap(called, Volume(values, volume.affine, called))


def compare(
    maps: Mapping[str, Array],
    references: Sequence[ReferenceMap],
    inside: Array,
    labels: Array,
    grid: Grid,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """Rank correlations of the sizes of maps with the sizes of reference maps.

    Both are smoothed to 8 mm (full width at half maximum) inside the brain first, so that detail that the other cannot
    have does not count.

    Parameters
    ----------
    maps
        By method, (I, J, K) on ``grid``.
    references
        From :func:`read_references`; on any grids.
    inside, labels
        Brain and atlas labels, (I, J, K).
    grid
        The network's, in template space.
    seed
        Of the random maps.
    progress
        Called after each random map; may raise :class:`~mri_interpret.errors.Cancelled`.

    Returns
    -------
    DataFrame
        One row per map, reference and level ("voxel": over the brain; "region": of the mean of each atlas region):
        ``correlation`` (Spearman); the same with the reference ``mirrored`` from left to right; the highest with it
        ``shifted`` by 20 mm either way along an axis; the 95th percentile of ``random`` maps of the reference's
        smoothness; ``p``, the share of these (and of the map itself) that reach the correlation. NaN where a map is
        constant, or the atlas has fewer than five regions.
    """
    import pandas as pd

    brain = np.asarray(inside) > 0
    ranks = {name: _ranks(_smoothed(values, brain, grid), brain, labels) for name, values in maps.items()}
    rows = []
    for number, one in enumerate(references):
        progress(STEP, number / len(references))
        found = {
            key: [_ranks(_smoothed(values, brain, grid), brain, labels) for values in moved]
            for key, moved in _moved(one.volume, grid).items()
        }
        (own,) = found["correlation"]
        plain = resample(one.volume, grid).array
        random = []
        for drawn in range(RANDOM_MAPS):
            values = _random_map(np.abs(plain), brain, np.random.default_rng([seed, drawn]))
            random.append(_ranks(_smoothed(values, brain, grid), brain, labels))
            progress(STEP, (number + (drawn + 1) / (RANDOM_MAPS + 1)) / len(references))
        for name, mine in ranks.items():
            for level in ("voxel", "region"):
                value = correlation(mine[level], own[level])
                chance = np.array([correlation(mine[level], other[level]) for other in random])
                known = math.isfinite(value) and bool(np.isfinite(chance).all())
                rows.append(
                    {
                        "method": name,
                        "reference": one.name,
                        "level": level,
                        "correlation": value,
                        "mirrored": _highest(mine[level], [other[level] for other in found["mirrored"]]),
                        "shifted": _highest(mine[level], [other[level] for other in found["shifted"]]),
                        "random": float(np.quantile(chance, 0.95)) if known else math.nan,
                        "p": float((1 + np.count_nonzero(chance >= value)) / (1 + len(chance))) if known else math.nan,
                    }
                )
    progress(STEP, 1.0)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _highest(mine: Floats, others: Sequence[Floats]) -> float:
    values = [correlation(mine, other) for other in others]
    return max(values) if all(map(math.isfinite, values)) else math.nan


def _moved(volume: Volume, grid: Grid) -> dict[str, list[NDArray[np.float32]]]:
    """The reference on the grid as it is, mirrored at the midplane, and shifted along each axis."""

    def seen(world: Floats) -> NDArray[np.float32]:
        return np.asarray(resample(volume, grid, world).array, dtype=np.float32)

    def shifts() -> Iterator[Floats]:
        for axis in range(3):
            for sign in (1.0, -1.0):
                world = np.eye(4)
                world[axis, 3] = sign * SHIFT_MM
                yield world

    return {
        "correlation": [seen(np.eye(4))],
        "mirrored": [seen(np.diag([-1.0, 1.0, 1.0, 1.0]))],
        "shifted": [seen(world) for world in shifts()],
    }


def _smoothed(values: Array, brain: NDArray[np.bool_], grid: Grid) -> NDArray[np.float32]:
    sigma = (COMMON_FWHM_MM / _FWHM / grid.spacing).tolist()
    smooth, _ = smooth_inside(np.abs(np.asarray(values, dtype=np.float32)), brain, sigma)
    return np.where(brain, smooth, 0).astype(np.float32)


def _ranks(values: Array, brain: NDArray[np.bool_], labels: Array) -> dict[str, Floats]:
    """Ranks of the brain's voxels, and of the regions' means; no regions where there are too few."""
    profile = region_profile(values, labels, brain)
    regions = scipy.stats.rankdata(profile) if len(profile) >= FEWEST_REGIONS else np.empty(0)
    return {"voxel": scipy.stats.rankdata(values[brain]), "region": regions}


def _random_map(like: Array, brain: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise as smooth as ``like``, lifted so that its least value in the brain is 0: sizes are not signed."""
    noise = ndimage.gaussian_filter(rng.standard_normal(like.shape).astype(np.float32), smoothness(like, brain))
    return np.where(brain, noise - noise[brain].min(), 0).astype(np.float32)


def smoothness(values: Array, inside: Array) -> float:
    """Standard deviation in voxels of the Gaussian that makes white noise as smooth as a map.

    White noise through a Gaussian of standard deviation s has a correlation of exp(-1 / (4 s^2)) between neighbours;
    the mean over the axes is taken. Source: Forman et al. 1995, "Improved assessment of significant activation in
    functional magnetic resonance imaging", appendix. 0 for a map rougher than any smoothed noise.
    """
    brain = np.asarray(inside) > 0
    found = np.asarray(values, dtype=np.float64)
    neighbours = []
    for axis in range(3):
        here, there = [slice(None)] * 3, [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        both = brain[tuple(here)] & brain[tuple(there)]
        neighbours.append(correlation(found[tuple(here)][both], found[tuple(there)][both]))
    mean = float(np.mean(neighbours))
    return math.sqrt(-1 / (4 * math.log(mean))) if 0 < mean < 1 else 0.0
