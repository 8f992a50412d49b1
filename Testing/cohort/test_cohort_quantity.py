"""A cohort of a model that returns a quantity: true values from the table, errors, correlations, page and scene."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from mri_interpret.cohort.group import write_group
from mri_interpret.cohort.group_maps import memberships, template_brain
from mri_interpret.cohort.participants_table import read_table
from mri_interpret.cohort.planning import Options, Plan, make_plan
from mri_interpret.cohort.validation import Cohort, InvalidTable, read_cohort
from mri_interpret.errors import UserError
from mri_interpret.models.outputs import OutputMeaning
from scipy import stats
from sklearn import metrics

from Testing.cohort.cohort_scans import write_scan
from Testing.cohort.written_cohort import (
    ERRORS,
    GROUPS,
    INTRACRANIAL_ML,
    anatomy_of,
    map_of,
    write_finished_cohort,
)
from Testing.fixtures_explanation import MODEL_GRID
from Testing.models.bundles import NETWORK, write_network, write_small_bundle

AGE = OutputMeaning("regression", ("brain age",), True, "years", value_range=(40.0, 90.0))


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.nii.gz", 0)


def cohort_of(scan: Path, head: str, rows: list[str], output: OutputMeaning = AGE, **columns: str) -> Cohort:
    table = scan.parent / "table.csv"
    lines = [f"participant_id,path,{head}", *(f"S{number},{scan.name},{row}" for number, row in enumerate(rows))]
    table.write_text("\n".join(lines) + "\n")
    return read_cohort(read_table(table, columns), output)


# ---------------------------------------------------------------------- the table


@pytest.mark.parametrize("head", ["brain age", "Brain_Age", "brain-age", "BRAINAGE"])
def test_the_column_with_the_quantitys_name_holds_the_truth(scan: Path, head: str) -> None:
    cohort = cohort_of(scan, head, ["71.5", "", "64"])
    assert cohort.truth == head
    assert [subject.truth for subject in cohort.subjects] == [71.5, None, 64.0]
    assert head in cohort.covariates
    assert cohort.notes == (f"1 of 3 subjects have no {head}: they do not count in the model's error.",)


def test_another_column_can_be_named(scan: Path) -> None:
    cohort = cohort_of(scan, "age,sex", ["71,F", "64,M"], truth="age")
    assert cohort.truth == "age"
    assert [subject.truth for subject in cohort.subjects] == [71.0, 64.0]
    assert cohort.covariates == ("age", "sex")
    assert cohort.notes == ()


def test_without_true_values_it_is_said_which_columns_there_are(scan: Path) -> None:
    cohort = cohort_of(scan, "age,sex", ["71,F", "64,M"])
    assert cohort.truth == ""
    (note,) = cohort.notes
    assert "No column of the table is called 'brain age'" in note
    assert "(there are age, sex)" in note


def test_groups_may_be_called_anything(scan: Path) -> None:
    cohort = cohort_of(scan, "group,brain age", ["smoker,71", "never,64", ",60", "smoker,80"])
    assert cohort.classes == ("smoker", "never")
    assert [subject.group for subject in cohort.subjects] == ["smoker", "never", "", "smoker"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,old", "b,64"], "Line 2 (sub-S0): the brain age 'old' is no number"),
        (["a,nan!", "b,inf"], "the brain age 'inf' is no number"),
        (["all,60", "b,64"], "The group 'all' cannot be called that"),
        (["++,60", "b,64"], "The group '++' cannot be called that"),
        (["A-1,60", "a1,64"], "The groups 'A-1' and 'a1' would share their files"),
    ],
)
def test_problems_of_the_table(scan: Path, rows: list[str], words: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        cohort_of(scan, "group,brain age", rows)
    assert any(words in problem for problem in caught.value.problems)


def test_a_model_of_classes_has_no_true_numbers(scan: Path) -> None:
    with pytest.raises(UserError, match="the truth stands in the column of groups"):
        cohort_of(scan, "group,age", ["CN,71"], OutputMeaning("logits", ("CN", "AD")), truth="age")


def test_sets_of_subjects_without_predicted_classes() -> None:
    assert memberships(["b", "", "a", "b"], [], ("b", "a")) == {"all": [0, 1, 2, 3], "true-b": [0, 3], "true-a": [2]}
    assert memberships(["", ""], [], ()) == {"all": [0, 1]}


# ---------------------------------------------------------------------- the plan


@pytest.fixture(scope="module")
def age_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as if it returned an age: written cohorts never run it."""
    about = {"kind": "regression", "name": "age", "unit": "years", "range": [40, 90]}
    changes = {
        "mri_interpret.output": about,
        "mri_interpret.classes": None,
        "network_data_format": None,
        "mri_interpret.grid": MODEL_GRID,
    }
    folder = write_small_bundle(tmp_path_factory.mktemp("age"), changes)
    write_network(folder, {**NETWORK, "num_classes": 1})
    return folder


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory, age_bundle: Path) -> Plan:
    return write_finished_cohort(tmp_path_factory.mktemp("aged"), age_bundle)


def test_the_plan(aged: Plan) -> None:
    assert aged.settings.target == "value"
    assert aged.cohort.truth == "age"
    assert aged.cohort.classes == ("CN", "MCI", "AD")
    assert aged.contrast == ("AD", "CN")


@pytest.mark.parametrize("target", ["AD-CN", "value-200", "older"])
def test_a_target_that_it_has_not(aged: Plan, tmp_path: Path, target: str) -> None:
    with pytest.raises(UserError) as caught:
        make_plan(aged.cohort.table, tmp_path, Options(model=str(aged.options.model), target=target))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- group results


@pytest.fixture(scope="module")
def group(aged: Plan) -> Path:
    return write_group(aged, aged.subject_results())["folder"]


@pytest.mark.slow
def test_errors_and_correlations(group: Path) -> None:
    table = pd.read_csv(group / "predictions.csv")
    true = 60 + np.arange(len(GROUPS))
    assert table["true"].tolist() == true.tolist()
    assert table["predicted"].tolist() == (true + ERRORS).tolist()
    assert table["error"].tolist() == ERRORS
    assert set(table["sd"]) == {1.5}
    assert "± 1.5" in (group.parent.parent / "out" / "report.html").read_text(encoding="utf-8")
    measures = pd.read_csv(group / "performance.csv").set_index("measure")
    value = measures["value"]
    assert value["R2"] == pytest.approx(metrics.r2_score(true, true + ERRORS))
    assert value["mean absolute error"] == pytest.approx(np.abs(ERRORS).mean())
    assert value["mean error"] == pytest.approx(np.mean(ERRORS))
    assert value["Pearson correlation"] == pytest.approx(stats.pearsonr(true, true + ERRORS).statistic)
    assert (measures["low"] < value).all()
    assert (value < measures["high"]).all()
    others = pd.read_csv(group / "value_correlations.csv").set_index("column")
    share = next(name for name in others.index if name.lower().startswith("hippocampus, "))
    assert {"age", "Left-Hippocampus"} < set(others.index)
    assert "sex" not in others.index
    fractions = [
        anatomy_of(place).structure("Left-Hippocampus").ml + anatomy_of(place).structure("Right-Hippocampus").ml
        for place in range(len(GROUPS))
    ]
    fractions = np.array(fractions) / (INTRACRANIAL_ML + np.arange(len(GROUPS)))
    assert others["pearson"][share] == pytest.approx(stats.pearsonr(fractions, true + ERRORS).statistic, abs=1e-3)
    assert others["pearson"]["age"] == pytest.approx(value["Pearson correlation"])
    volumes = pd.read_csv(group.parent.parent / "participants.tsv", sep="\t")["Left-Hippocampus"]
    assert others["spearman"]["Left-Hippocampus"] == pytest.approx(stats.spearmanr(volumes, true + ERRORS).statistic)
    assert not (group / "confusion.csv").exists()


@pytest.mark.slow
def test_group_maps_of_all_subjects_and_of_each_group(aged: Plan, group: Path) -> None:
    inside = template_brain(aged.grid)
    for name, places in (("all", range(11)), ("true-AD", range(6, 11))):
        maps = np.stack([map_of(aged.grid, place, "lrp")[inside] for place in places])
        found = np.asarray(nib.load(group / "maps" / "lrp" / f"{name}_mean.nii.gz").dataobj)
        np.testing.assert_allclose(found[inside], maps.mean(0), atol=1e-4)
    assert not list((group / "maps" / "lrp").glob("predicted-*"))
    assert (group / "maps" / "lrp" / "AD-minus-CN_t.nii.gz").is_file()


@pytest.mark.slow
def test_the_page_speaks_of_the_quantity(aged: Plan, group: Path) -> None:
    page = (group.parent / "report.html").read_text("utf-8")
    page = re.sub(r"base64,[^\"]+|<style>.*?</style>", "", page, flags=re.DOTALL)
    for words in ("Predicted age (years)", "Mean absolute error", "R²", "What the age goes with", "Research use only",
                  "red raises the age"):  # fmt: skip
        assert words in page, words
    for words in ("confusion", "probabilit", "classified", "Logit"):
        assert words not in page, words


@pytest.mark.slow
def test_the_scene_and_the_panels_table(group: Path) -> None:
    pytest.importorskip("slicer")
    from mri_interpret.doors.result_tables import newest_cohort
    from mri_interpret.scene.group import build_group_scene
    from mri_interpret.scene.headless import HeadlessScene
    from mri_interpret.scene.views import add_views

    with HeadlessScene() as headless:
        add_views(headless.scene)
        nodes = build_group_scene(group.parent, headless.scene)
        assert ("summary", "all_mean") in nodes.maps
        assert "Mean absolute error: 1.8 years" in nodes.note.GetText()
        found = newest_cohort(headless.scene)
    assert found is not None
    assert found[0].heads[0] == "Measure"
    assert [row[0] for row in found[0].rows] == ["R2", "mean absolute error", "mean error", "Pearson correlation"]
    assert found[0].rows[1][1] == pytest.approx(np.abs(ERRORS).mean())


@pytest.mark.slow
def test_no_groups_and_no_true_values(age_bundle: Path, aged: Plan, tmp_path: Path) -> None:
    """The same subjects in a table that tells nothing of them: their results stay, and nothing is measured."""
    lines = aged.cohort.table.read_text().splitlines()
    bare = aged.cohort.table.with_name("bare.tsv")
    bare.write_text("\n".join("\t".join([line.split("\t")[0], line.split("\t")[-1]]) for line in lines) + "\n")
    plan = make_plan(bare, aged.output, aged.options)
    assert not plan.jobs
    files = write_group(plan, plan.subject_results())
    page = files["report"].read_text("utf-8")
    assert "The table holds no true values" in page
    assert "fewer than two groups" in page
    assert not (files["folder"] / "performance.csv").exists()
