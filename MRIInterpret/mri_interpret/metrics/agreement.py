"""How far raters (methods, subjects, repetitions) agree on items: intraclass correlation and Kendall's W."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.floating]


def intraclass_correlations(ratings: Floats) -> tuple[float, float]:
    """ICC(2,1) (absolute agreement) and ICC(3,1) (consistency), single measurement.

    Source: Shrout & Fleiss 1979, "Intraclass correlations: uses in assessing rater reliability", cases 2 and 3. Own
    code: SciPy and statsmodels have none, and pingouin, which has (the tests compare with it), needs 0.1 s a call and
    brings seaborn and statsmodels along.

    Parameters
    ----------
    ratings
        Shape (raters, items): the same items measured several times.

    Returns
    -------
    absolute, consistency
        1 for raters that agree; NaN for fewer than two raters or items, values that are not finite, or no variance.
    """
    scores = np.asarray(ratings, dtype=np.float64)
    raters, items = scores.shape
    if raters < 2 or items < 2 or not np.isfinite(scores).all():
        return math.nan, math.nan
    mean = scores.mean()
    between_items = raters * ((scores.mean(axis=0) - mean) ** 2).sum() / (items - 1)
    between_raters = items * ((scores.mean(axis=1) - mean) ** 2).sum() / (raters - 1)
    residual = scores - scores.mean(axis=0, keepdims=True) - scores.mean(axis=1, keepdims=True) + mean
    error = (residual**2).sum() / ((items - 1) * (raters - 1))
    consistent = between_items + (raters - 1) * error
    absolute = consistent + raters * (between_raters - error) / items
    return (
        float((between_items - error) / absolute) if absolute > 0 else math.nan,
        float((between_items - error) / consistent) if consistent > 0 else math.nan,
    )


def intraclass_correlation(ratings: Floats) -> float:
    """ICC(2,1), absolute agreement; see :func:`intraclass_correlations`."""
    return intraclass_correlations(ratings)[0]


def kendall_w(ratings: Floats) -> tuple[float, float]:
    """Kendall's coefficient of concordance W (Kendall & Babington Smith 1939), corrected for ties, and its p.

    W = Q / (raters (items - 1)) with Friedman's Q, which SciPy computes; p is from the chi-squared distribution.

    Parameters
    ----------
    ratings
        Shape (raters, items), any scores: they are ranked here.

    Returns
    -------
    w, p
        NaN for fewer than two raters or three items, or where every rater rates all items the same.
    """
    scores = np.asarray(ratings, dtype=np.float64)
    raters, items = scores.shape
    if raters < 2 or items < 3 or not np.isfinite(scores).all():
        return math.nan, math.nan
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.friedmanchisquare(*scores.T)
    return float(found.statistic / (raters * (items - 1))), float(found.pvalue)
