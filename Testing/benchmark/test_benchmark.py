"""The benchmark on one small network: what is measured, what a kill loses, what the command writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.attribution.registry import create_method
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, affected_structures, benchmarked_model, on_grid
from mri_interpret.benchmark.design import BenchmarkDesign, ExtraMeasurements
from mri_interpret.benchmark.measurements import measure_subject
from mri_interpret.benchmark.methods import SLOW, fast_methods, slow_methods, titles
from mri_interpret.benchmark.network_under_test import NetworkUnderTest, random_copy
from mri_interpret.benchmark.run import run_benchmark
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject, atlas_on_model_grid
from mri_interpret.benchmark.stored_maps import maps_path, mean_maps, read_maps, save_maps, training_agreement
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import CORRELATION
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.command_line.benchmark import chosen_anatomies, write_results
from mri_interpret.drawing.method_comparison import mean_map_picture
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.images.volume import Grid
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.preprocessing.steps.chain import default_steps
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import MODEL_GRID, PUBLISHED
from mri_interpret.simulation.template_anatomy import template_anatomy

from Testing.benchmarks.summary_candidates import measure as measure_candidates
from Testing.benchmarks.summary_candidates import run as run_candidates
from Testing.benchmarks.summary_candidates import with_candidates
from Testing.fixtures_explanation import write_age_bundle

pytestmark = pytest.mark.slow

METHODS = ("gradient", "gradient_x_input", "volume_gradient", "grad_cam")
TINY = BenchmarkDesign(
    subjects=3, seed=5, faithfulness=1, random_network=1, randomisation=1, stability=1, slow_methods=1, pictured=1
)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> SubjectStream:
    return SubjectStream([template_anatomy()], 5, tmp_path_factory.mktemp("subjects"))


@pytest.fixture(scope="module")
def tiny() -> BenchmarkedModel:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = PlainCNN3d(channels=(4, 4), strides=(4, 2)).eval()
    labels, names = atlas_on_model_grid()
    under_test = NetworkUnderTest(
        network,
        (-1.0, 0.0, 1.0),
        MODEL_GRID,
        labels,
        affected_structures(names),
        {name: create_method(name) for name in METHODS},
        {"smoothgrad": create_method("smoothgrad", samples=2)},
        METHODS,
    )
    metadata = SimpleNamespace(grid=MODEL_GRID, preprocessing=default_steps(MODEL_GRID, (0.5, 99.5)))
    bundle: Any = SimpleNamespace(metadata=metadata, network=network)
    return BenchmarkedModel("tiny", bundle, under_test)


@pytest.fixture(scope="module")
def result(
    tiny: BenchmarkedModel, stream: SubjectStream, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, pd.DataFrame, int]:
    """A run that is stopped in its second subject and then goes on: folder, rows, subjects measured at the stop."""
    folder = tmp_path_factory.mktemp("benchmark")

    def stop(step: str, fraction: float) -> None:
        if step.startswith("Subject 2") and fraction > 0.34:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        run_benchmark([tiny], stream, TINY, folder, stop)
    kept = len(list((folder / "rows").glob("*.csv")))
    return folder, run_benchmark([tiny], stream, TINY, folder), kept


@pytest.mark.slow
def test_a_stop_loses_at_most_one_subject(
    result: tuple[Path, pd.DataFrame, int], tiny: BenchmarkedModel, stream: Any
) -> None:
    folder, rows, kept = result
    assert kept == 1
    assert list(rows["subject"].unique()) == ["CN 0", "MCI 1", "AD 2"]
    fresh, _ = measure_subject(tiny.under_test, stream[1], TINY.extra(1))
    again = rows[rows["subject"] == "MCI 1"]
    assert np.allclose(again["value"], fresh["value"], rtol=1e-4, atol=1e-6, equal_nan=True)
    steps: list[str] = []
    run_benchmark([tiny], stream, TINY, folder, lambda step, fraction: steps.append(step))
    assert len(steps) == 1, "everything is there: nothing is measured again"


@pytest.mark.slow
def test_what_is_measured(
    result: tuple[Path, pd.DataFrame, int], stream: SubjectStream, tiny: BenchmarkedModel
) -> None:
    _, rows, _ = result
    ill = rows[rows["group"] == "AD"]
    table = ill.pivot_table(index="method", columns="measure", values="value", dropna=False)
    assert table.loc["uniform", "times chance"] == pytest.approx(1)
    assert table.loc["effect", "structures"] >= 0
    assert {"faithfulness", "randomised", "icc", "random network, times chance"} <= set(
        ill[ill["method"] == "gradient"]["measure"]
    )
    assert {"faithfulness", "icc"} <= set(ill[ill["method"] == "summary"]["measure"])
    assert "times chance" in set(ill[ill["method"] == "smoothgrad"]["measure"])
    assert set(ill[ill["measure"] == CORRELATION]["method"]) == {"volume_gradient"}
    given = stream[2]
    maps, _ = tiny.under_test.explain(tiny.under_test.network, given.image, given.mask, tiny.under_test.methods)
    values = maps["gradient"]
    chance = given.truth.sum() / given.mask.sum()
    for measure, part in (
        ("times chance", np.abs(values)),
        ("times chance, positive part", np.maximum(values, 0)),
        ("times chance, negative part", np.maximum(-values, 0)),
    ):
        expected = part[given.truth].sum() / part[given.mask].sum() / chance
        assert table.loc["gradient", measure] == pytest.approx(expected, rel=1e-4), measure
    # Without disease there is no truth, but there is relevance in the hippocampi.
    well = rows[rows["group"] == "CN"]
    assert set(well["measure"]) == {
        "hippocampal relevance",
        "hippocampal density",
        "hippocampal density, positive part",
    }
    row = well[(well["method"] == "gradient") & (well["measure"] == "hippocampal relevance")]
    healthy = stream[0]
    found, _ = tiny.under_test.explain(tiny.under_test.network, healthy.image, healthy.mask, tiny.under_test.methods)
    inside = healthy.hippocampus & healthy.mask
    assert row["value"].iloc[0] == pytest.approx(found["gradient"][inside].mean(), rel=1e-4)


@pytest.mark.slow
def test_a_random_copy_has_learned_nothing(tiny: BenchmarkedModel, stream: SubjectStream) -> None:
    before = {name: value.clone() for name, value in tiny.under_test.network.state_dict().items()}
    other = random_copy(tiny.under_test, stream[0].image, 3)
    for name, value in tiny.under_test.network.state_dict().items():
        assert torch.equal(value, before[name])
        if value.ndim > 1:
            assert not torch.allclose(value, other.state_dict()[name])


@pytest.mark.slow
def test_other_settings_are_refused(
    result: tuple[Path, pd.DataFrame, int], tiny: BenchmarkedModel, stream: Any
) -> None:
    folder, _, _ = result
    with pytest.raises(UserError, match="other settings \\(subjects\\)"):
        run_benchmark([tiny], stream, replace(TINY, subjects=6), folder)
    other = SubjectStream(stream.anatomies, stream.seed, disease=PUBLISHED)
    with pytest.raises(UserError, match="other settings \\(disease\\)"):
        run_benchmark([tiny], other, TINY, folder)


@pytest.mark.slow
def test_files_and_picture(result: tuple[Path, pd.DataFrame, int], tmp_path: Path) -> None:
    folder, rows, _ = result
    maps = mean_maps(["tiny"], TINY.subjects, folder)
    assert {"scan", "mask", "effect", "gradient", "summary"} <= set(maps)
    write_results(tmp_path, rows, maps, MODEL_GRID, TINY.pictured)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "tables", "tables.md", "maps.webp"}
    assert (tmp_path / "maps.webp").read_bytes()[:4] == b"RIFF"
    written = pd.read_csv(tmp_path / "rows.csv")
    assert len(written) == len(rows)
    assert {path.stem for path in (tmp_path / "tables").iterdir()} >= {"localisation", "checks", "biology"}
    page = (tmp_path / "tables.md").read_text(encoding="utf-8")
    assert "Gradient x input" in page
    assert "## Volumes" in page
    lone = {name: maps[name] for name in ("scan", "mask", "effect", "gradient")}
    assert mean_map_picture(lone, MODEL_GRID, titles()) != mean_map_picture(maps, MODEL_GRID, titles())


def test_mean_maps_are_means_of_scaled_maps(tmp_path: Path, tiny: BenchmarkedModel, stream: SubjectStream) -> None:
    given = stream[2]
    values = [given.image[0, 0].numpy() * scale for scale in (1.0, -3.0)]
    for index, array in enumerate(values):
        save_maps(maps_path(tmp_path, "a", index), given, {"m": array})
    found = mean_maps(["a"], 2, tmp_path)
    assert np.allclose(found["m"], 0, atol=1e-3), "scaled to 1 each, these two cancel"
    assert np.allclose(found["mask"], given.mask)
    assert np.allclose(found["effect"][given.mask], np.abs(given.effect[given.mask]), atol=2e-3)
    assert mean_maps(["b"], 2, tmp_path) == {}


@pytest.mark.slow
def test_other_trainings_are_compared_subject_by_subject(
    tmp_path: Path, tiny: BenchmarkedModel, stream: SubjectStream
) -> None:
    given, labels = stream[2], tiny.under_test.labels
    rng = np.random.default_rng(0)
    base = given.image[0, 0].numpy()
    for name in ("a", "b"):
        unlike = rng.uniform(size=base.shape).astype(np.float32)
        save_maps(maps_path(tmp_path, name, 2), given, {"same": base, "unlike": unlike})
    table = training_agreement(["a", "b"], 3, tmp_path, labels).set_index(["method", "measure"])["value"]
    assert table["same", "trainings: icc"] == pytest.approx(1, abs=1e-6)
    assert table["same", "trainings: spearman"] == pytest.approx(1, abs=1e-6)
    assert abs(table["unlike", "trainings: spearman"]) < 0.02
    assert training_agreement(["a"], 3, tmp_path, labels).empty
    assert training_agreement(["a", "c"], 3, tmp_path, labels).empty


@pytest.mark.slow
def test_candidates_of_the_summary_are_measured_once_and_kept(
    tiny: BenchmarkedModel, stream: SubjectStream, tmp_path: Path
) -> None:
    further = {"volume_gradient": {}, "smoothgrad": {"samples": 2}}
    assert list(with_candidates(tiny, {}, further).under_test.methods) == [
        *("grad_cam", "gradient", "volume_gradient", "smoothgrad")
    ], "default methods and the further ones"
    one = with_candidates(tiny, {"grad_cam": "does not depend on the network"}, further)
    assert list(one.under_test.methods) == ["gradient", "volume_gradient", "smoothgrad"], "and none that is distrusted"
    contrast = float(explained_values(tiny.under_test.network, stream[2].image, list(tiny.under_test.target))[0])
    ill_is_up = np.sign(contrast) * np.array(tiny.under_test.target)
    one, other = (
        replace(one, under_test=replace(one.under_test, target=tuple(sign * ill_is_up))) for sign in (1.0, -1.0)
    )
    frame, none = measure_candidates(other, stream[2])
    assert (frame["called_ill"].tolist(), none) == ([False], {}), "who is not called ill is not explained"
    run_candidates([one], stream, [2], tmp_path)
    rows = pd.concat([pd.read_csv(path) for path in sorted((tmp_path / "rows").glob("*.csv"))])
    ill = rows[rows["group"] == "AD"].set_index("method")["value"]
    given, maps = stream[2], read_maps(maps_path(tmp_path, "tiny", 2))
    assert maps is not None
    for key in one.under_test.methods:
        size = np.abs(maps[key])
        expected = size[given.truth].mean() / size[given.mask].mean()
        assert ill[key] == pytest.approx(expected, rel=1e-2), "maps are kept in half precision"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    run_candidates([one], stream, [2], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


def test_subjects_come_on_the_grid_of_the_model(stream: SubjectStream) -> None:
    grid = Grid((60, 70, 60), np.array([[3.2, 0, 0, -95.0], [0, 3.2, 0, -128], [0, 0, 3.2, -88], [0, 0, 0, 1]]))
    bundle: Any = SimpleNamespace(metadata=SimpleNamespace(grid=grid, preprocessing=default_steps(grid, (1.0, 99.0))))
    given = stream[2]
    found = on_grid(given, bundle)
    assert found.image.shape == (1, 1, *grid.shape)
    assert 0 <= float(found.image.min()) <= float(found.image.max()) <= 1
    assert not found.image[0, 0].numpy()[~found.mask].any()
    ratio = grid.voxel_volume / MODEL_GRID.voxel_volume
    assert found.mask.sum() * ratio == pytest.approx(given.mask.sum(), rel=0.05)
    assert found.hippocampus.sum() * ratio == pytest.approx(given.hippocampus.sum(), rel=0.2)
    same: Any = SimpleNamespace(
        metadata=SimpleNamespace(grid=MODEL_GRID, preprocessing=default_steps(MODEL_GRID, (0.5, 99.5)))
    )
    assert on_grid(given, same) is given


def test_the_plan_shares_no_anatomy_between_halves() -> None:
    design = BenchmarkDesign(subjects=200)
    halves: dict[int, set[str]] = {}
    for index in range(200):
        halves.setdefault(index // 3 % 4, set()).add(design.half(index, 4))
    assert halves == {0: {"choose"}, 1: {"report"}, 2: {"choose"}, 3: {"report"}}
    assert {design.half(index, 1) for index in range(6)} == {"choose", "report"}


def test_the_plan_gives_costly_checks_to_ill_subjects_of_both_halves() -> None:
    design = BenchmarkDesign(subjects=200, faithfulness=40, slow_methods=8)
    details = {index: design.extra(index, 4) for index in range(200)}
    checked = [index for index, one in details.items() if one.faithfulness]
    assert len(checked) == 40
    assert all(design.group(index) == "AD" for index in checked)
    assert sum(design.half(index, 4) == "choose" for index in checked) == 20
    assert sum(one.slow_methods for one in details.values()) == 8
    assert all(details[index] == ExtraMeasurements() for index in range(200) if design.group(index) != "AD")
    assert BenchmarkDesign(subjects=9, faithfulness=40).extra(2).faithfulness
    with pytest.raises(UserError, match="at least 3"):
        BenchmarkDesign(subjects=2)
    with pytest.raises(UserError, match="not be negative"):
        BenchmarkDesign(slow_methods=-1)


def test_every_composite_takes_part_and_has_a_title() -> None:
    fast, slow = fast_methods(), slow_methods()
    assert create_method("lrp") in fast.values(), "whatever the default is, it is measured"
    assert create_method("lrp_grad_cam_pp") in fast.values()
    assert len(set(fast.values())) == len(fast)
    assert set(slow) == set(SLOW)
    assert slow["integrated_gradients"].parameters()["steps"] == SLOW["integrated_gradients"]["steps"]
    assert set(titles()) >= set(fast) | set(slow) | {"summary", "edges"}
    assert len({titles()[key] for key in fast}) == len(fast)
    assert list(fast_methods(["grad_cam"])) == ["grad_cam"]


def test_anatomies_are_named_by_the_ends_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "labels_02.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="called '99'"):
        chosen_anatomies(tmp_path, ["02", "99"], silent)
    with pytest.raises(UserError, match="--label-maps"):
        chosen_anatomies(None, ["02"], silent)


def test_a_model_without_the_classes_is_refused() -> None:
    bundle: Any = SimpleNamespace(
        metadata=SimpleNamespace(grid=MODEL_GRID, output=OutputMeaning("logits", ("sick", "well")))
    )
    with pytest.raises(UserError, match="AD"):
        benchmarked_model(bundle)


def test_a_model_that_returns_a_quantity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"returns a quantity \(brain age\); the benchmark needs classes"):
        benchmarked_model(load_bundle(write_age_bundle(tmp_path / "age")))


def test_a_subject_without_the_disease_has_no_localisation(tiny: BenchmarkedModel, stream: SubjectStream) -> None:
    given: SimulatedSubject = stream[0]
    rows, maps = measure_subject(tiny.under_test, given, ExtraMeasurements(), None)
    assert "times chance" not in set(rows["measure"])
    assert set(maps) == {*METHODS, "summary"}
