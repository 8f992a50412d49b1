"""Numbers over a cohort against independent computations and published examples."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mri_interpret.cohort import correlations, regions
from mri_interpret.cohort.group_difference import STRIDE, corrected_p, critical_value, permutation_difference
from mri_interpret.cohort.group_maps import group_maps, memberships
from mri_interpret.cohort.performance import confusion_table, measure, performance_table
from mri_interpret.cohort.subject_result import SubjectResult
from mri_interpret.cohort.subjects import Subject
from mri_interpret.errors import Cancelled
from mri_interpret.images.volume import Grid
from scipy import ndimage, stats
from sklearn import metrics

CLASSES = ("CN", "MCI", "AD")


def predictions(n: int = 90, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    scores = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[truth]
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    columns = {f"p_{name}": p[:, k] for k, name in enumerate(CLASSES)}
    return pd.DataFrame(
        {"group": np.array(CLASSES)[truth], "predicted": np.array(CLASSES)[p.argmax(1)], **columns}
    ).astype({"group": object})


def test_performance_agrees_with_scikit_learn() -> None:
    table = predictions()
    found = measure(table, CLASSES)
    assert found is not None
    assert np.array_equal(found.counts, metrics.confusion_matrix(table["group"], table["predicted"], labels=CLASSES))
    assert found.rates.sum(1) == pytest.approx([1, 1, 1])
    assert found.accuracy.value == pytest.approx(metrics.accuracy_score(table["group"], table["predicted"]))
    balanced = metrics.balanced_accuracy_score(table["group"], table["predicted"])
    assert found.balanced_accuracy.value == pytest.approx(balanced)
    for curve in found.curves:
        area = metrics.roc_auc_score(table["group"] == curve.name, table[f"p_{curve.name}"])
        assert curve.area.value == pytest.approx(area)
        assert curve.area.low < area < curve.area.high
        assert np.trapezoid(curve.true_positive_rate, curve.false_positive_rate) == pytest.approx(area)
    two = table[table["group"].isin(["AD", "CN"])]
    pair = metrics.roc_auc_score(two["group"] == "AD", two["p_AD"] / (two["p_AD"] + two["p_CN"]))
    assert found.pairs["AD vs CN"].value == pytest.approx(pair)
    onehot = np.stack([(table["group"] == name) for name in CLASSES], axis=1)
    brier = ((table[[f"p_{name}" for name in CLASSES]].to_numpy() - onehot) ** 2).sum(1).mean()
    assert found.brier == pytest.approx(brier)
    assert found.calibration["n"].sum() == len(table)
    assert set(performance_table(found)["measure"]) >= {"balanced accuracy", "AUC AD vs CN", "AUC MCI vs all others"}
    assert confusion_table(found)["count"].sum() == len(table)


def test_an_interval_does_not_collapse_when_all_are_right_or_wrong() -> None:
    table = pd.DataFrame({"group": ["CN"] * 5 + ["AD"] * 5, "predicted": "AD", "p_CN": 0.1, "p_MCI": 0.1, "p_AD": 0.8})
    found = measure(table, CLASSES)
    assert found is not None
    assert found.accuracy.low < 0.5 < found.accuracy.high
    assert found.balanced_accuracy.value == 0.5
    assert found.balanced_accuracy.high - found.balanced_accuracy.low > 0.1


def test_one_group_and_no_group() -> None:
    one = measure(predictions().assign(group="CN"), CLASSES)
    assert one is not None
    assert one.curves == ()
    assert one.pairs == {}
    assert measure(predictions().assign(group=None), CLASSES) is None


def test_mean_and_median_of_streamed_maps_are_exact(tmp_path: Path) -> None:
    maps = np.random.default_rng(0).normal(size=(11, 500)).astype(np.float32)
    groups = ["CN"] * 4 + ["AD"] * 6 + [""]
    predicted = ["CN"] * 3 + ["AD"] * 8
    members = memberships(groups, predicted, CLASSES)
    assert members["true-CN_predicted-AD"] == [3]
    assert members["predicted-AD"] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert "true-MCI" not in members
    found = group_maps(lambda i: maps[i], members, 11, tmp_path, block_bytes=200)  # blocks of a few voxels
    for name, places in members.items():
        assert found[name].n == len(places)
        assert np.allclose(found[name].mean, maps[places].mean(0, dtype=np.float64), rtol=1e-6)
        assert np.array_equal(found[name].median, np.median(maps[places], axis=0))
    assert not list(tmp_path.iterdir())


def test_memory_of_group_maps_does_not_grow_with_the_subjects(tmp_path: Path) -> None:
    voxels = 100_000

    def peak(subjects: int) -> int:
        members = memberships(["CN"] * (subjects // 2) + ["AD"] * (subjects // 2), ["AD"] * subjects, CLASSES)
        rng = np.random.default_rng(1)
        tracemalloc.start()
        group_maps(lambda i: rng.random(voxels, dtype=np.float32), members, subjects, tmp_path, block_bytes=4 * 2**20)
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    few, many = peak(20), peak(200)
    assert many < 1.2 * few + 2**20
    assert many < 200 * voxels * 4 / 2  # far less than all maps


def test_cancelling_between_maps_leaves_no_file(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 2:
            raise Cancelled("now")

    with pytest.raises(Cancelled):
        group_maps(lambda i: np.zeros(5, np.float32), {"true-CN": [0, 1, 2]}, 3, tmp_path, on_subject=stop)
    assert not list(tmp_path.iterdir())


GRID = Grid((20, 20, 20), np.diag([4.0, 4, 4, 1]))


def noisy_maps(effect: float, n: int = 14) -> np.ndarray:
    rng = np.random.default_rng(5)
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=GRID.shape), 1.5) for _ in range(n)])
    maps /= maps.std()
    maps[: n // 2, 4:9, 4:9, 4:9] += effect
    return maps.astype(np.float32)


def difference(maps: np.ndarray, folder: Path, inside: np.ndarray, **options: object):  # type: ignore[no-untyped-def]
    n = len(maps)
    return permutation_difference(
        lambda i: maps[i][inside], list(range(n // 2)), list(range(n // 2, n)), inside, GRID, folder,
        **{"permutations": 200, **options},
    )  # fmt: skip


def test_the_difference_is_found_where_it_is_and_not_where_there_is_none(tmp_path: Path) -> None:
    inside = np.ones(GRID.shape, bool)
    found = difference(noisy_maps(4.0), tmp_path, inside)
    significant = np.argwhere(found.logp.array >= -np.log10(0.05)) * STRIDE
    assert len(significant) == found.significant > 0
    assert ((significant >= 2) & (significant <= 10)).all()  # the block, widened by the smoothing
    assert found.t.array[tuple((significant[0] / STRIDE).astype(int))] > found.threshold
    assert found.t.affine[0, 0] == 8.0
    assert difference(noisy_maps(0.0), tmp_path, inside).significant == 0


def test_blocks_give_the_same_p_as_one_run_of_nilearn(tmp_path: Path) -> None:
    from nilearn.mass_univariate import permuted_ols

    inside = np.zeros(GRID.shape, bool)
    inside[2:18, 2:18, 2:18] = True
    maps = noisy_maps(1.0)
    age = np.random.default_rng(0).normal(size=(len(maps), 1))
    found = difference(maps, tmp_path, inside, confounds=age, block_bytes=100 * 14 * 4)  # about 25 voxels in a block
    sigma = 8.0 / 2.354820045 / 4.0
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3.0)
    smooth = np.stack(
        [ndimage.gaussian_filter(m * inside, sigma, truncate=3.0) / np.maximum(weight, 1e-9) for m in maps]
    )
    chosen = inside[::2, ::2, ::2]
    data = smooth[:, ::2, ::2, ::2][:, chosen]
    tested = np.repeat([1.0, 0.0], [7, 7])[:, None]
    whole = permuted_ols(tested, data, age, n_perm=200, random_state=7, n_jobs=1, output_type="dict")
    assert np.allclose(found.t.array[chosen], whole["t"][0], rtol=1e-3, atol=1e-3)
    assert np.allclose(found.logp.array[chosen], whole["logp_max_t"][0], atol=0.02)


def enhancement_of(t: np.ndarray) -> np.ndarray:
    """TFCE (Smith & Nichols 2009) of one sign, written down: extent ** 0.5 * height ** 2 over 100 steps."""
    found = np.zeros(t.shape)
    for height in np.linspace(0, t.max(), 101)[1:]:
        clusters, _ = ndimage.label(t >= height, np.ones((3, 3, 3)))
        sizes = np.bincount(clusters.ravel())
        found += np.where(clusters > 0, sizes[clusters] ** 0.5 * height**2, 0)
    return found


def test_cluster_enhancement_finds_the_difference_too(tmp_path: Path) -> None:
    inside = np.ones(GRID.shape, bool)
    inside[:, :, :4] = False
    maps = noisy_maps(2.5)
    maps[:, 10:, 10:, 10:] = 1.0  # the same in everyone: no t, and no voxel of a cluster
    shares: list[float] = []
    found = difference(maps, tmp_path, inside, permutations=60, correction="tfce", progress=shares.append)
    plain = difference(maps, tmp_path, inside, permutations=60)
    assert found.correction == "tfce"
    assert found.enhancement is not None
    assert np.allclose(found.t.array, plain.t.array, atol=1e-4)
    t, enhancement = found.t.array, found.enhancement.array
    expected = enhancement_of(np.maximum(t, 0)) + enhancement_of(np.maximum(-t, 0))
    assert np.corrcoef(expected.ravel(), enhancement.ravel())[0, 1] > 0.99
    significant = found.logp.array >= -np.log10(0.05)
    assert significant.sum() == found.significant > plain.significant > 0
    assert (enhancement[significant] >= found.threshold * (1 - 1e-6)).all()
    assert (np.argwhere(significant) * STRIDE <= 12).all()  # the block, widened by the smoothing and its surroundings
    assert not enhancement[8:, 8:, 8:].any()
    assert shares[-1] == pytest.approx(1.0)
    assert shares == sorted(shares)
    with pytest.raises(ValueError, match="not one of max, tfce"):
        difference(maps, tmp_path, inside, correction="fdr")


def test_cancelling_between_permutations(tmp_path: Path) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise Cancelled("now")

    with pytest.raises(Cancelled):
        difference(noisy_maps(1.0), tmp_path, np.ones(GRID.shape, bool), correction="tfce", progress=stop)
    assert not list(tmp_path.iterdir())


def test_corrected_p_counts_permutations() -> None:
    p = corrected_p(np.array([0.5, -2.5, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert p == pytest.approx([1.0, 2 / 4, 1 / 4])


def long_table(values: np.ndarray, groups: list[str]) -> pd.DataFrame:
    """(subjects, methods, regions) as a long table; the last method is the summary."""
    methods = [f"m{k}" for k in range(values.shape[1] - 1)] + ["summary"]
    rows = [
        {"subject": f"sub-{s}", "group": groups[s] or None, "predicted": "CN", "method": method, "label": r + 1,
         "region": f"R{r}", "gain": values[s, m, r], "native_volume_mm3": 100.0 + r}
        for s in range(values.shape[0]) for m, method in enumerate(methods) for r in range(values.shape[2])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_selection_and_the_regions_most_named() -> None:
    values = np.tile(np.arange(10.0), (4, 3, 1))
    values[2:, :, 0] = 99  # the last two subjects, AD, have region 0 on top
    long = long_table(values, ["CN", "CN", "AD", "AD"])
    chosen = regions.selection(long)
    one = chosen.set_index(["method", "group", "region"])["frequency"]
    assert one["m0", "all", "R0"] == 0.5
    assert one["m0", "AD", "R0"] == 1.0
    assert one["all methods", "CN", "R0"] == 0.0
    assert one["all methods", "all", "R5"] == 0.5
    assert (
        chosen.set_index(["method", "group", "region"])["n"]["all methods", "all", "R9"] == 8
    )  # 4 subjects, 2 methods
    without = regions.selection(long, ["m1"]).set_index(["method", "group", "region"])
    assert without["n"]["all methods", "all", "R9"] == 4
    assert without["frequency"]["m1", "all", "R9"] == one["m1", "all", "R9"]  # shown all the same
    assert regions.selection(long, ["m0", "m1"]).equals(chosen)  # with none left all are counted
    named = regions.most_named(chosen)
    assert set(named[named["group"] == "AD"]["region"]) == {"R0", "R9", "R8", "R7", "R6"}
    assert "R0" not in set(named[named["group"] == "CN"]["region"])


def test_maps_without_a_region_that_stands_out_name_none() -> None:
    values = np.zeros((2, 3, 6))
    values[1] = 1 + np.arange(6.0) / 10
    chosen = regions.selection(long_table(values, ["CN", "AD"]))
    assert not chosen["times"].any()
    assert regions.most_named(chosen).empty


def test_consistency_of_equal_and_of_random_orders() -> None:
    same = regions.consistency(long_table(np.tile(np.arange(12.0), (5, 3, 1)), ["CN"] * 5))
    assert same["kendall_w"].tolist() == pytest.approx([1.0] * 4)
    assert same["icc_2_1"].tolist() == pytest.approx([1.0] * 4)
    random = regions.consistency(long_table(np.random.default_rng(0).random((40, 3, 12)), ["CN"] * 40))
    assert random.iloc[0]["kendall_w"] < 0.15
    assert random.iloc[0]["p"] > 0.001
    assert random["raters"].tolist() == ["subjects"] * 3 + ["methods"]


def test_group_means_and_wide_table() -> None:
    values = np.random.default_rng(2).random((9, 2, 3))
    long = long_table(values, ["CN"] * 4 + ["AD"] * 4 + [""])
    means = regions.group_means(long).set_index(["method", "region", "group"])
    row, own = means.loc["m0", "R1", "AD"], values[4:8, 0, 1]
    low, high = stats.t.interval(0.95, 3, own.mean(), stats.sem(own))
    assert (row["n"], row["mean"], row["low"], row["high"]) == pytest.approx((4, own.mean(), low, high))
    wide = regions.wide_table(long)
    assert wide.shape == (9, 3 + 6)
    assert wide["summary: R2"].to_numpy() == pytest.approx(values[:, 1, 2])


def subjects_with(columns: dict[str, list[object]]) -> list[SubjectResult]:
    count = len(next(iter(columns.values())))
    people = [
        Subject(str(s), Path(), covariates={k: v[s] for k, v in columns.items() if v[s] is not None})  # type: ignore[misc]
        for s in range(count)
    ]
    return [SubjectResult(subject, Path(), {}) for subject in people]


def test_correlations_agree_with_scipy_and_are_corrected() -> None:
    rng = np.random.default_rng(4)
    values = rng.random((24, 2, 6))
    age: list[object] = list(rng.normal(70, 8, 24))
    age[3] = None
    known = np.array([value is not None for value in age])
    sites = ["A", "B", "C"] * 8
    volume = [1000.0 - 900 * values[s, 0, 2] for s in range(24)]
    people = subjects_with(
        {"age": age, "sex": ["F", "M"] * 12, "site": sites, "name": [f"n{k}" for k in range(24)], "R2_volume": volume}
    )
    long = long_table(values, ["CN"] * 24)
    covered = rng.random((24, 6))
    long["native_volume_mm3"] = np.repeat(covered, 2, axis=0).ravel()  # subjects x methods x regions, in this order
    table = correlations.covariate_correlations(long, people, ["age", "sex", "site", "name"])
    one = table.set_index(["method", "region", "covariate"])
    r, p = stats.spearmanr(values[known, 0, 1], [value for value in age if value is not None])
    assert (one.loc["m0", "R1", "age"]["value"], one.loc["m0", "R1", "age"]["p"]) == pytest.approx((r, p))
    assert one.loc["m0", "R1", "age"]["n"] == 23
    _, p = stats.kruskal(*[values[np.array(sites) == site, 1, 4] for site in "ABC"])
    assert one.loc["summary", "R4", "site"]["p"] == pytest.approx(p)
    assert one.loc["m0", "R2", "region volume"]["value"] == pytest.approx(-1.0)  # from the table's own column
    assert set(table[table["covariate"] == "region volume"]["region"]) == {"R2"}  # no other region has one
    aligned = table[table["covariate"] == "region volume by alignment"].set_index(["method", "region"])
    r, p = stats.spearmanr(values[:, 0, 2], covered[:, 2])
    assert (aligned.loc["m0", "R2"]["value"], aligned.loc["m0", "R2"]["p"]) == pytest.approx((r, p))
    assert "name" not in set(table["covariate"])  # words that name subjects are no covariate
    ages = table[table["covariate"] == "age"]
    assert ages["q"].to_numpy() == pytest.approx(stats.false_discovery_control(ages["p"]))


def test_columns_of_region_volumes() -> None:
    columns = ["age", "left_hippocampus_mm3", "Volume Right-Amygdala", "amygdala", "lateral_ventricles_mm3", "insula"]
    assert correlations.volume_column(columns, "Left-Hippocampus") == "left_hippocampus_mm3"
    assert correlations.volume_column(columns, "Right-Amygdala") == "Volume Right-Amygdala"
    assert correlations.volume_column(columns, "Right-Hippocampus") == ""
    # Where the table has no side, both sides' volume serves.
    assert correlations.volume_column(columns, "Left-Amygdala") == "amygdala"
    assert correlations.volume_column(columns, "Right-Lateral-Ventricle") == "lateral_ventricles_mm3"
    assert correlations.volume_column(columns, "ctx-rh-insula") == "insula"
    assert correlations.volume_column(columns, "Brain-Stem") == ""


@pytest.mark.parametrize("permutations", [19, 20, 60, 100, 1000])
def test_the_critical_value_has_a_corrected_p_of_at_most_five_percent(permutations: int) -> None:
    highest = np.random.default_rng(permutations).gamma(3, size=permutations)
    found = critical_value(highest)
    assert corrected_p(np.array([found]), highest)[0] <= 0.05
    assert corrected_p(np.nextafter([found], 0), highest)[0] > 0.05


def test_too_few_permutations_have_no_critical_value() -> None:
    assert critical_value(np.arange(18.0)) == np.inf
