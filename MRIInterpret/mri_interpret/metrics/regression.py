"""How well predicted numbers match the true ones, with intervals over subjects."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import LEVEL, REPEATS, Estimate, resamples

Floats = NDArray[np.float64]
LEAST = 3  # subjects; with fewer, no interval is given


def r_squared(predicted: Floats, true: Floats) -> float:
    """Coefficient of determination: 1 less the squared errors' share of the variance of the true values.

    1 for exact predictions, 0 for those no better than the true values' mean, negative for worse ones; NaN where all
    true values are the same.
    """
    total = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((true - predicted) ** 2).sum()) / total if total > 0 else math.nan


def mean_absolute_error(predicted: Floats, true: Floats) -> float:
    """Mean size of the errors, in the values' unit."""
    return float(np.abs(predicted - true).mean())


def mean_error(predicted: Floats, true: Floats) -> float:
    """Mean of predicted less true: positive where predictions are too high."""
    return float((predicted - true).mean())


def pearson(first: Floats, second: Floats) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    a, b = first - first.mean(), second - second.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    # What rounding leaves of equal numbers is no variation.
    varies = min(np.ptp(first) / (np.abs(first).max() or 1), np.ptp(second) / (np.abs(second).max() or 1)) > 1e-12
    return min(1.0, max(-1.0, float(a @ b) / size)) if size > 0 and varies else math.nan


def estimate(
    statistic: Callable[[Floats, Floats], float],
    first: ArrayLike,
    second: ArrayLike,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Estimate:
    """A statistic of pairs of numbers with its 95 % percentile interval over subjects.

    Parameters
    ----------
    statistic
        Such as :func:`r_squared`.
    first, second
        A number for each subject, (subjects,), finite.
    repeats, seed
        Of the bootstrap, which draws subjects. Draws in which the statistic is not defined do not count; with fewer
        than ``LEAST`` subjects there is no interval.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    value = statistic(a, b) if len(a) else math.nan
    if len(a) < LEAST or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, len(a))
    draws = [statistic(a[chosen], b[chosen]) for chosen in resamples(np.zeros(len(a)), repeats, seed)]
    finite = [draw for draw in draws if math.isfinite(draw)]
    low, high = np.percentile(finite, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(value, float(low), float(high), len(a))
