"""The summary score: its properties, and each number of the agreement table against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Grid
from mri_interpret.summary import AGGREGATIONS, consensus_labels, rank_inside, summarise
from scipy import stats

SHAPE = (14, 15, 13)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))


def _brain() -> np.ndarray:
    index = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    return (index**2).sum(0) < 36


def _labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    labels[:7, :7], labels[7:, :7], labels[:7, 7:], labels[7:, 7:] = 1, 2, 3, 4
    labels[..., 8:] += 4
    return labels


def _maps(seed: int, count: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=SHAPE)
    return {f"m{i}": (base + rng.normal(size=SHAPE)).astype(np.float32) * 10.0**-i for i in range(count)}


@given(st.integers(0, 10**6), st.permutations(range(4)), st.sampled_from(AGGREGATIONS))
@settings(max_examples=15, deadline=None)
def test_the_order_of_methods_does_not_matter(seed: int, order: list[int], how: str) -> None:
    maps = _maps(seed)
    shuffled = {f"m{i}": maps[f"m{i}"] for i in order}
    a = summarise(maps, _brain(), GRID, _labels(), aggregation=how)
    b = summarise(shuffled, _brain(), GRID, _labels(), aggregation=how)
    assert np.array_equal(a.score.array, b.score.array)
    assert np.array_equal(a.consensus.array, b.consensus.array)
    assert a.kendall_w == b.kendall_w


@given(st.integers(0, 10**6), st.floats(1e-9, 1e9))
@settings(max_examples=15, deadline=None)
def test_a_positive_factor_does_not_change_the_summary(seed: int, factor: float) -> None:
    maps = _maps(seed)
    scaled = dict(maps, m1=maps["m1"].astype(np.float64) * factor)
    assert np.allclose(
        summarise(maps, _brain(), GRID, _labels()).score.array,
        summarise(scaled, _brain(), GRID, _labels()).score.array,
        atol=1e-6,
    )
    a = summarise(maps, _brain(), GRID, _labels(), aggregation="mean").score.array
    b = summarise(scaled, _brain(), GRID, _labels(), aggregation="mean").score.array
    # Two voxels that agree to seven digits may change places; nothing else may happen.
    assert np.abs(a - b).max() < 3 / _brain().sum()
    assert np.mean(a != b) < 0.02


def test_one_method_alone_gives_its_own_map() -> None:
    """By default its size, scaled to a largest value of 1, with the map's own order of the voxels."""
    brain = _brain()
    values = _maps(1)["m0"]
    score = summarise({"only": values}, brain, GRID, _labels(), fwhm_mm=0.0).score.array
    assert np.allclose(score[brain], np.abs(values[brain]) / np.abs(values[brain]).max(), atol=1e-6)
    assert not score[~brain].any()
    ranks = summarise({"only": values}, brain, GRID, _labels(), fwhm_mm=0.0, aggregation="mean").score.array
    assert np.array_equal(rank_inside(score[brain]), rank_inside(ranks[brain]))


def test_one_method_alone_gives_its_own_rank_map() -> None:
    brain = _brain()
    values = np.abs(_maps(1)["m0"])
    result = summarise({"only": values}, brain, GRID, _labels(), fwhm_mm=0.0, aggregation="mean")
    expected = (stats.rankdata(values[brain], method="min") - 1) / (brain.sum() - 1)
    assert np.allclose(result.score.array[brain], expected, atol=1e-6)
    assert not result.score.array[~brain].any()
    assert not result.spread.array.any()
    assert np.isnan(result.kendall_w)
    assert len(result.agreement) == 0
    assert set(np.unique(result.consensus.array)) == {0, 3}
    assert (result.consensus.array == 3).sum() == pytest.approx(0.05 * brain.sum(), abs=1)


def test_voxels_without_evidence_stay_at_zero() -> None:
    brain = _brain()
    values = np.where(np.indices(SHAPE)[0] > 7, 1.0 + np.indices(SHAPE)[1], -5.0)
    result = summarise({"a": values}, brain, GRID, _labels(), fwhm_mm=0.0, part="positive")
    assert not result.score.array[brain & (values < 0)].any()
    assert (result.score.array[brain & (values > 1)] > 0).all()


def test_densities_are_joined_by_their_means() -> None:
    """Each map counts with its size over its mean: a map a thousand times stronger has no more say."""
    maps, brain = _maps(2, 3), _brain()
    weights = {"m0": 3.0, "m1": 1.0, "m2": 1.0}
    found = summarise(maps, brain, GRID, _labels(), weights=weights, fwhm_mm=0.0).score.array[brain]
    size = {name: np.abs(values[brain]).astype(np.float64) for name, values in maps.items()}
    expected = sum(weights[name] * values / values.mean() for name, values in size.items())
    assert np.allclose(found, expected / expected.max(), atol=1e-6)


def test_signed_densities_keep_evidence_for_the_target_only() -> None:
    maps, brain = _maps(4, 2), _brain()
    for part in ("signed", "positive", "absolute"):
        score = summarise(maps, brain, GRID, _labels(), part=part).score.array
        assert score.min() >= 0
        assert score.max() == pytest.approx(1)


def test_weights_and_methods_excluded() -> None:
    maps, brain = _maps(2, 3), _brain()
    alone = {
        name: summarise({name: values}, brain, GRID, _labels(), aggregation="mean").score.array
        for name, values in maps.items()
    }
    both = summarise(maps, brain, GRID, _labels(), weights={"m0": 3.0, "m1": 1.0, "m2": 0.0}, aggregation="mean")
    assert np.allclose(both.score.array, 0.75 * alone["m0"] + 0.25 * alone["m1"], atol=1e-6)
    reason = "fails the randomisation check"
    out = summarise(maps, brain, GRID, _labels(), exclude={"m2": reason}, aggregation="mean")
    assert np.allclose(out.score.array, 0.5 * (alone["m0"] + alone["m1"]), atol=1e-6)
    assert out.excluded == {"m2": "fails the randomisation check"}
    assert set(out.agreement["method_b"]) == {"m1", "m2"}, "left out of the score, but not out of the table"


def test_the_product_needs_all_methods() -> None:
    brain = _brain()
    maps = {"a": np.where(np.indices(SHAPE)[0] > 7, 1.0, 0.0) * (1 + np.indices(SHAPE)[2]), "b": _maps(3)["m0"] ** 2}
    result = summarise(maps, brain, GRID, _labels(), fwhm_mm=0.0, aggregation="product")
    ranks = [
        summarise({n: v}, brain, GRID, _labels(), fwhm_mm=0.0, aggregation="mean").score.array for n, v in maps.items()
    ]
    assert np.allclose(result.score.array, np.sqrt(ranks[0] * ranks[1]), atol=1e-6)


def test_smoothing_brings_maps_to_one_resolution() -> None:
    """A point in a fine map, and the same point already blurred by 8 mm, get the same rank map."""
    shape = (31, 31, 31)
    grid = Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    index = np.indices(shape) - 15
    fine = np.zeros(shape)
    fine[15, 15, 15] = 1.0
    sigma = 8.0 / 2.354820045 / 2.0
    coarse = np.exp(-(index**2).sum(0) / (2 * sigma**2))
    ball = (index**2).sum(0) < 36
    brain = np.ones(shape, bool)
    maps = {"fine": fine, "coarse": coarse}
    ranks = {
        name: summarise({name: values}, brain, grid, np.ones(shape), resolution_mm={"coarse": 8.0}).score.array
        for name, values in maps.items()
    }
    assert stats.spearmanr(ranks["fine"][ball], ranks["coarse"][ball]).statistic > 0.999


def test_the_agreement_table_against_scipy() -> None:
    maps, brain, labels = _maps(5, 3), _brain(), _labels()
    table = summarise(maps, brain, GRID, labels, fwhm_mm=0.0).agreement.set_index(["method_a", "method_b"])
    size = {name: np.abs(values)[brain] for name, values in maps.items()}
    for (a, b), row in table.iterrows():
        assert row.spearman == pytest.approx(stats.spearmanr(size[a], size[b]).statistic, abs=1e-6)
        top = [rank_inside(size[name]) > 0.95 for name in (a, b)]
        assert row.dice_top5 == pytest.approx(2 * (top[0] & top[1]).sum() / (top[0].sum() + top[1].sum()))
        profile = [
            [rank_inside(size[name])[labels[brain] == label].mean() for label in np.unique(labels[brain])]
            for name in (a, b)
        ]
        assert row.region_correlation == pytest.approx(stats.pearsonr(*profile).statistic, abs=1e-9)


def test_consensus_counts_votes() -> None:
    ranks = np.zeros((6, 5))
    for voxel, votes in enumerate((0, 2, 3, 4, 6)):
        ranks[:votes, voxel] = 0.99
    assert consensus_labels(ranks).tolist() == [0, 0, 1, 2, 3]


def test_bad_maps() -> None:
    brain, labels, good = _brain(), _labels(), _maps(0)["m0"]
    with pytest.raises(UserError, match="at least one map"):
        summarise({}, brain, GRID, labels)
    with pytest.raises(UserError, match="NaN or infinite"):
        summarise({"a": np.full(SHAPE, np.nan)}, brain, GRID, labels)
    with pytest.raises(ValueError, match="shape"):
        summarise({"a": good[:-1]}, brain, GRID, labels)
    with pytest.raises(UserError, match="weights of the summary score are 0"):
        summarise({"a": good}, brain, GRID, labels, weights={"a": 0.0})
    nothing = summarise({"a": np.zeros(SHAPE)}, brain, GRID, labels)
    assert nothing.weights == {}
    assert "constant" in nothing.excluded["a"]
    assert not nothing.score.array.any()
    assert not nothing.consensus.array.any()
    with pytest.raises(UserError, match="not be negative"):
        summarise({"a": good}, brain, GRID, labels, weights={"a": -1.0})
    constant = summarise({"a": good, "flat": np.full(SHAPE, 2.0)}, brain, GRID, labels)
    assert constant.excluded == {"flat": "the map is constant inside the brain"}
    against = summarise({"a": good, "against": -np.abs(good)}, brain, GRID, labels, part="positive")
    assert "all against it" in against.excluded["against"]
    assert np.allclose(constant.score.array, summarise({"a": good}, brain, GRID, labels).score.array)
