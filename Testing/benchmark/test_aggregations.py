"""Ways to join maps, each against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.benchmark.aggregations import AGGREGATIONS, HOW, SETS, Aggregation, aggregate, join, weighted
from mri_interpret.images.volume import Grid
from mri_interpret.summary import summarise
from scipy import stats

SHAPE = (10, 11, 9)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))


def _brain() -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[1:-1, 2:-1, 1:-2] = True
    return inside


def _maps(names: tuple[str, ...], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=SHAPE).astype(np.float32) * 10.0**index for index, name in enumerate(names)}


def test_join_against_numpy() -> None:
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.1, 1, 50) * scale for scale in (1, 10, 0.01, 5, 2)]
    ranks = np.stack([(stats.rankdata(one) - 1) / 49 for one in values])
    densities = np.stack([one / one.mean() for one in values])
    assert np.allclose(join(values, "rank mean"), ranks.mean(0))
    assert np.allclose(join(values, "density mean"), densities.mean(0))
    assert np.allclose(join(values, "density median"), np.median(densities, 0))
    assert np.allclose(join(values, "density trimmed"), np.sort(densities, 0)[1:4].mean(0))
    assert np.allclose(join(values, "density product"), stats.gmean(densities, axis=0))
    # The tail: the share of voxels at least as high; the highest voxel's is 1 / n.
    at_least = np.stack([[(one >= value).mean() for value in one] for one in values])
    tails = -np.log(np.maximum(1 - (1 - at_least) * 50 / 49, 1 / 50))
    assert np.allclose(join(values, "tail mean"), tails.mean(0))
    positive = [one for one, rank in zip(values, ranks, strict=True) if rank.min() >= 0]
    assert len(join(positive, "rank product")) == 50
    with pytest.raises(ValueError, match="how must be"):
        join(values, "sum")


@pytest.mark.parametrize("how", HOW)
def test_scale_of_a_map_and_order_do_not_matter(how: str) -> None:
    rng = np.random.default_rng(2)
    values = [rng.uniform(0.1, 1, 40) for _ in range(5)]
    scaled = [one * factor for one, factor in zip(values, (1, 1e-6, 1e6, 3, 0.5), strict=True)]
    assert np.allclose(join(values, how), join(scaled, how))
    assert np.allclose(join(values, how), join(values[::-1], how))


def test_the_density_mean_is_the_summary_of_the_same_maps() -> None:
    names = SETS["fine"]
    maps = _maps(names)
    way = Aggregation("fine", "density mean")
    found = aggregate(maps, _brain(), GRID, {}, [way])[way.name]
    labels = np.ones(SHAPE, int)
    summary = summarise(maps, _brain(), GRID, labels, part="absolute", aggregation="density").score.array
    assert np.allclose(summary, found / found.max(), atol=1e-6)
    assert not found[~_brain()].any()


def test_ways_whose_methods_are_missing_are_left_out() -> None:
    maps = _maps(SETS["CAMs"])
    found = aggregate(maps, _brain(), GRID, {"grad_cam": 8.0})
    assert set(found) == {way.name for way in AGGREGATIONS if way.methods == "CAMs"}
    assert len({way.name for way in AGGREGATIONS}) == len(AGGREGATIONS)


def test_weights_by_faithfulness_leave_out_what_contradicts() -> None:
    maps = _maps(SETS["CAMs and fine"])
    one = weighted(maps, _brain(), GRID, {}, {"gradient": 0.4, "grad_cam": -0.3})
    alone = weighted({"gradient": maps["gradient"]}, _brain(), GRID, {}, {"gradient": 1.0})
    assert one is not None
    assert alone is not None
    assert np.allclose(one, alone)
    assert weighted(maps, _brain(), GRID, {}, {"gradient": -1.0}) is None
