"""The thresholds of unsure structures: one in twenty heads of a new anatomy lies beyond them, and of one seen fewer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from Testing.benchmarks.segmentation_uncertainty import prediction_limits

WITHIN, BETWEEN = 0.15, 0.3  # standard deviations of the logarithm
STRUCTURES = [f"structure {number}" for number in range(20)]


def heads(rng: np.random.Generator, anatomies: int, count: int) -> pd.DataFrame:
    """Good heads whose logarithms of entropy vary between anatomies and within them."""
    return pd.DataFrame(
        [
            {"plain": name, "anatomy": anatomy, "entropy": float(np.exp(level + rng.normal(0, WITHIN)))}
            for name in STRUCTURES
            for anatomy in range(anatomies)
            for level in [-2 + rng.normal(0, BETWEEN)]
            for _ in range(count)
        ]
    )


def test_one_in_twenty_heads_of_an_anatomy_that_was_not_seen_is_beyond() -> None:
    rng = np.random.default_rng(3)
    alarms, spreads = [], []
    for _ in range(40):
        limits, between = prediction_limits(heads(rng, 2, 12))
        new = heads(rng, 1, 12)
        alarms.append((new["entropy"] >= new["plain"].map(limits)).mean())
        spreads.append(between)
    assert abs(np.mean(spreads) - BETWEEN) < 0.05
    assert 0.03 < np.mean(alarms) < 0.07


def test_anatomies_that_do_not_differ_leave_the_spread_of_heads_alone() -> None:
    rng = np.random.default_rng(4)
    frame = heads(rng, 2, 200)
    frame["entropy"] = np.exp(-2 + rng.normal(0, WITHIN, len(frame)))
    limits, between = prediction_limits(frame)
    assert between < 0.05
    np.testing.assert_allclose(np.log(limits), -2 + 1.645 * WITHIN, atol=0.06)
