"""A cohort of a model whose labels may hold together: true labels from the table, each label measured by itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mri_interpret.cohort.label_performance import add_true_labels, label_performance_table, measure_labels
from mri_interpret.cohort.participants_table import read_table
from mri_interpret.cohort.validation import Cohort, InvalidTable, read_cohort
from mri_interpret.models.outputs import OutputMeaning
from scipy import stats
from sklearn import metrics

from Testing.cohort.test_cohort_table import write_image

LABELS = OutputMeaning("labels", ("atrophy", "white lesions"))


def cohort_of(folder: Path, head: str, rows: list[str]) -> Cohort:
    write_image(folder / "scan.nii.gz")
    lines = [f"participant_id,path,{head}", *(f"S{number},scan.nii.gz,{row}" for number, row in enumerate(rows))]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return read_cohort(read_table(folder / "table.csv"), LABELS)


def test_columns_with_the_labels_names_hold_the_truth(tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, "Atrophy,white_lesions,age", ["1,yes,70", "0,,71", ",No,72"])
    assert [subject.labels for subject in cohort.subjects] == [
        {"atrophy": True, "white lesions": True}, {"atrophy": False}, {"white lesions": False},
    ]  # fmt: skip
    assert "age" in cohort.covariates
    assert any("do not exclude one another" in note for note in cohort.notes)
    assert not any("No column" in note for note in cohort.notes)


def test_what_the_table_cannot_show_is_said(tmp_path: Path) -> None:
    assert any("give a column of 1 and 0 for each (atrophy, white lesions)" in note
               for note in cohort_of(tmp_path, "age", ["70"]).notes)  # fmt: skip
    notes = cohort_of(tmp_path, "atrophy", ["1", "1"]).notes
    assert not any("names no groups" in note or "No subject is" in note for note in notes)  # labels need no groups
    assert any("No column tells of white lesions" in note for note in notes)
    assert any("All subjects have the label atrophy" in note for note in notes)


def test_an_entry_that_is_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        cohort_of(tmp_path, "atrophy", ["1", "maybe"])
    assert caught.value.problems == ("Line 3 (sub-S1): the atrophy 'maybe' is neither 1 nor 0 (yes, no): correct it.",)


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    """Forty subjects of whom some have both labels; the second is not known of every fifth."""
    rng = np.random.default_rng(3)
    true = rng.random((40, 2)) < [0.4, 0.3]
    scores = np.clip(0.5 + 0.25 * (true - 0.5) + rng.normal(0, 0.2, true.shape), 0.01, 0.99)
    people = [
        SimpleNamespace(
            subject=SimpleNamespace(
                labels={"atrophy": bool(a)} | ({} if place % 5 == 0 else {"white lesions": bool(b)})
            )
        )
        for place, (a, b) in enumerate(true)
    ]
    table = pd.DataFrame({"p_atrophy": scores[:, 0], "p_white lesions": scores[:, 1]})
    return add_true_labels(table, people, LABELS.classes)


def test_each_label_is_measured_as_scikit_learn_does(predictions: pd.DataFrame) -> None:
    found = measure_labels(predictions, LABELS.classes)
    assert found is not None
    rows = label_performance_table(found).set_index("measure")
    for name, n in (("atrophy", 40), ("white lesions", 32)):
        known = predictions[predictions[f"true_{name}"].notna()]
        true, scores = known[f"true_{name}"].to_numpy(dtype=bool), known[f"p_{name}"].to_numpy()
        said = scores >= 0.5
        expected = {
            "AUC": metrics.roc_auc_score(true, scores), "accuracy": metrics.accuracy_score(true, said),
            "sensitivity": metrics.recall_score(true, said), "specificity": metrics.recall_score(~true, ~said),
        }  # fmt: skip
        for measure, value in expected.items():
            row = rows.loc[f"{measure} {name}"]
            assert row["value"] == pytest.approx(value)
            assert row["low"] < value < row["high"]
        assert rows.loc[f"accuracy {name}", "n"] == n
        wilson = stats.binomtest(int((said == true).sum()), n).proportion_ci(method="wilson")
        assert rows.loc[f"accuracy {name}", "low"] == pytest.approx(wilson.low)
    assert found.n == 40
    assert [curve.name for curve in found.curves] == ["atrophy", "white lesions"]


def test_a_label_that_nobody_has_has_no_area(predictions: pd.DataFrame) -> None:
    found = measure_labels(predictions.assign(true_atrophy=0), LABELS.classes)
    assert found is not None
    measures = set(label_performance_table(found)["measure"])
    assert {"AUC atrophy", "sensitivity atrophy"} & measures == set()
    assert {"accuracy atrophy", "specificity atrophy"} <= measures
    assert [curve.name for curve in found.curves] == ["white lesions"]
    bare = predictions.drop(columns=["true_atrophy", "true_white lesions"])
    assert measure_labels(bare, LABELS.classes) is None
