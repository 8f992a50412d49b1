"""Regions that stand out, and what is said where none does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.region_statistics import RegionStatistics
from mri_interpret.anatomy.top_regions import densest_regions, share_outside_brain, top_regions
from mri_interpret.images.smoothing import sigma_in_voxels
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.template import load_template
from scipy import ndimage

GRID = Grid((40, 48, 40), np.array([[4.0, 0, 0, -78], [0, 4, 0, -112], [0, 0, 4, -72], [0, 0, 0, 1]]))


@pytest.fixture(scope="module")
def brain() -> tuple[RegionStatistics, np.ndarray, Volume]:
    atlas = load_default_atlas()
    labels = resample(atlas.volume, GRID, order=0)
    inside = resample(load_template(1)[1], GRID, order=0).array > 0
    return RegionStatistics(labels, inside, atlas, "template"), inside, labels


def _frame(gains: dict[str, float], share: float = 1.0) -> pd.DataFrame:
    rows = [
        {"method": "summary", "space": "native", "label": number, "region": name, "gain": gain, "share": share}
        for number, (name, gain) in enumerate(gains.items(), start=1)
    ]
    return pd.DataFrame([*rows, {**rows[0], "label": 0, "region": "rest", "gain": 50.0}, {**rows[0], "label": -1}])


def test_regions_come_by_their_gain_and_only_if_they_stand_out() -> None:
    found = top_regions(_frame({"a": 3.1, "b": 9.0, "c": 2.9, "d": 4.0}), count=2)
    assert found.names == ["b", "d"]
    assert found.sentence == "Most relevant regions: b, d."
    assert top_regions(_frame({"a": 3.1, "b": 9.0, "c": 2.9, "d": 4.0})).names == ["b", "d", "a"]


def test_a_region_below_a_third_of_a_millilitre_has_no_rank() -> None:
    table = _frame({"a": 9.0, "b": 5.0, "c": 4.0})
    table["volume_mm3"] = [250.0, 310.0, 5000.0, 1e6, 1e6]
    assert top_regions(table).names == ["b", "c"]
    table["volume_mm3"] = 250.0
    assert top_regions(table).sentence == "No relevance lies in a region that is large enough to be ranked."


def test_a_map_without_preference_says_so() -> None:
    found = top_regions(_frame({"a": 1.2, "b": 2.4}))
    assert found.names == []
    assert found.sentence.startswith("No region stands out: relevance is densest in b, 2.4 times the brain's mean")


def test_a_map_of_zeros_says_so(brain: tuple[RegionStatistics, np.ndarray, Volume]) -> None:
    statistics, inside, labels = brain
    found = top_regions(statistics.table({"summary": np.zeros(GRID.shape)}))
    assert found.names == []
    assert "zero everywhere in the brain" in found.sentence
    elsewhere = np.where(inside & (labels.array == 0), 1.0, 0.0)
    assert (
        top_regions(statistics.table({"summary": elsewhere})).sentence
        == "No relevance lies in a region that is large enough to be ranked."
    )
    outside = statistics.table({"summary": np.where(inside, 0.0, 1.0)})
    assert "zero everywhere in the brain" in top_regions(outside).sentence
    assert share_outside_brain(outside, "summary", "template") == 1


@pytest.mark.parametrize("fwhm_mm", [0.0, 8.0, 16.0])
def test_noise_and_a_uniform_map_stand_out_nowhere(
    brain: tuple[RegionStatistics, np.ndarray, Volume], fwhm_mm: float
) -> None:
    statistics, _, _ = brain
    rng = np.random.default_rng(int(fwhm_mm))
    sigma = sigma_in_voxels(fwhm_mm, GRID.spacing)
    maps = {str(number): ndimage.gaussian_filter(rng.normal(size=GRID.shape), sigma) for number in range(4)}
    table = statistics.table({"uniform": np.ones(GRID.shape), **maps})
    # Regions of a few voxels scatter without end; the atlas has none at the model's 2 mm that matter.
    table = table[(table["volume_mm3"] > 1500) | (table["label"] <= 0)]
    for name in ("uniform", *maps):
        assert top_regions(table, name).names == [], name


def test_a_hot_hippocampus_stands_out(brain: tuple[RegionStatistics, np.ndarray, Volume]) -> None:
    statistics, inside, labels = brain
    noise = np.abs(np.random.default_rng(0).normal(size=GRID.shape))
    values = noise + 20 * (inside & (labels.array == 53))
    assert top_regions(statistics.table({"summary": values})).names == ["Right-Hippocampus"]


def test_native_space_comes_before_the_template() -> None:
    both = pd.concat([_frame({"a": 5.0}), _frame({"b": 7.0}).assign(space="template")])
    assert top_regions(both).names == ["a"]
    assert top_regions(both, space="template").names == ["b"]
    assert top_regions(_frame({"b": 7.0}).assign(space="template")).names == ["b"]


def test_the_densest_regions_need_not_stand_out() -> None:
    rows = [("lrp", "native", 1, "A", 2.5), ("lrp", "native", 2, "B", 2.9), ("lrp", "native", 3, "C", 0.1)]
    table = pd.DataFrame(rows, columns=["method", "space", "label", "region", "gain"]).assign(share=0.1)
    assert top_regions(table, "lrp").names == []
    assert densest_regions(table, "lrp", 2) == ["B", "A"]
