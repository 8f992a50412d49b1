"""Percentile bootstrap over subjects.

Own code, because ``scipy.stats.bootstrap`` refuses a group of one subject, which a small cohort has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

REPEATS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and the number of subjects behind it."""

    value: float
    low: float
    high: float
    n: int

    def as_metric(self) -> dict[str, object]:
        """As a bundle's metadata holds it."""
        return {"value": round(self.value, 4), "ci95": [round(self.low, 4), round(self.high, 4)], "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def resamples(strata: ArrayLike, repeats: int = REPEATS, seed: int = 0) -> NDArray[np.intp]:
    """Indices of subjects drawn with replacement within each stratum, shape (repeats, subjects).

    Parameters
    ----------
    strata
        The group of each subject; each resample keeps the groups' sizes.
    repeats
        Number of resamples.
    seed
        Random seed.
    """
    groups = np.asarray(strata)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    if len(members) == 1:
        return rng.integers(0, len(groups), (repeats, len(groups)))
    draws = [np.concatenate([rng.choice(indices, len(indices)) for indices in members]) for _ in range(repeats)]
    return np.stack(draws) if draws else np.zeros((0, len(groups)), dtype=np.intp)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], strata: ArrayLike, repeats: int = REPEATS, seed: int = 0
) -> Estimate:
    """A statistic with its 95 % percentile interval.

    Parameters
    ----------
    statistic
        From indices of subjects to a number.
    strata, repeats, seed
        See :func:`resamples`.
    """
    count = np.asarray(strata).size
    draws = [statistic(indices) for indices in resamples(strata, repeats, seed)]
    low, high = np.percentile(draws, _PERCENTILES)
    return Estimate(statistic(np.arange(count)), float(low), float(high), count)


def mean_estimate(values: Iterable[float], repeats: int = REPEATS, seed: int = 0) -> Estimate:
    """Mean over subjects with its 95 % percentile interval. NaN values do not count; NaN if nothing is left.

    Parameters
    ----------
    values
        One number per subject.
    repeats, seed
        See :func:`resamples`.
    """
    kept = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    if kept.size == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    means = kept[resamples(np.zeros(kept.size), repeats, seed)].mean(axis=1)
    low, high = np.percentile(means, _PERCENTILES)
    return Estimate(float(kept.mean()), float(low), float(high), kept.size)


_PERCENTILES = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
