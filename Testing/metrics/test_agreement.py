"""ICC and Kendall's W against published tables and pingouin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.metrics.agreement import intraclass_correlation, intraclass_correlations, kendall_w
from scipy import stats

# Shrout & Fleiss 1979, table 2: six items (rows), four raters.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float).T


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    assert intraclass_correlations(RATINGS) == pytest.approx((0.29, 0.71), abs=0.005)  # their table 4
    assert intraclass_correlation(RATINGS) == intraclass_correlations(RATINGS)[0]


def test_icc_is_pingouins() -> None:
    pingouin = pytest.importorskip("pingouin")
    pd = pytest.importorskip("pandas")
    ratings = np.random.default_rng(3).normal(size=(5, 9)) + np.arange(9)
    long = pd.DataFrame([(r, i, v) for (r, i), v in np.ndenumerate(ratings)], columns=["rater", "item", "value"])
    found = pingouin.intraclass_corr(long, targets="item", raters="rater", ratings="value")["ICC"].tolist()
    assert intraclass_correlations(ratings) == pytest.approx(tuple(found[1:3]))


def test_icc_knows_perfect_agreement_and_its_limits() -> None:
    profile = np.array([3.0, 1.0, 2.0])
    assert intraclass_correlation(np.stack([profile, profile, profile])) == pytest.approx(1)
    absolute, consistency = intraclass_correlations(np.stack([profile, profile + 2]))
    assert absolute < 0.5
    assert consistency == pytest.approx(1)
    assert math.isnan(intraclass_correlation(profile[None]))
    assert math.isnan(intraclass_correlation(np.ones((3, 4))))
    assert math.isnan(intraclass_correlation(np.array([[1.0, math.nan], [1.0, 2.0]])))


def test_kendalls_w_of_agreement_and_opposition() -> None:
    assert kendall_w(np.array([[1.0, 2, 3, 4]] * 3))[0] == pytest.approx(1.0)
    assert kendall_w(np.array([[1.0, 2, 3], [3, 2, 1]]))[0] == pytest.approx(0.0)
    assert np.isnan(kendall_w(RATINGS[:1])).all()
    assert np.isnan(kendall_w(np.ones((3, 4)))).all()


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(3, 9))
@settings(max_examples=20, deadline=None)
def test_kendalls_w_by_its_own_formula_ties_included(seed: int, raters: int, items: int) -> None:
    ratings = np.random.default_rng(seed).integers(0, 4, (raters, items)).astype(float)
    ranks = np.apply_along_axis(stats.rankdata, 1, ratings)
    ties = sum(float((counts**3 - counts).sum()) for row in ranks for counts in [np.unique(row, return_counts=True)[1]])
    bottom = raters**2 * (items**3 - items) - raters * ties
    expected = 12 * ((ranks.sum(0) - ranks.sum(0).mean()) ** 2).sum() / bottom if bottom else math.nan
    w, p = kendall_w(ratings)
    assert w == pytest.approx(expected, nan_ok=True)
    if bottom:
        assert p == pytest.approx(stats.chi2.sf(raters * (items - 1) * w, items - 1))
