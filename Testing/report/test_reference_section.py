"""Maps from elsewhere on the page, in the saved folder, and over the subjects of a cohort."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from mri_interpret.checks.reference_map import COLUMNS
from mri_interpret.cohort import references as cohort_references
from mri_interpret.cohort.references import group_references, reference_tables, references_long
from mri_interpret.drawing.html import render
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.saving import load
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import ReportPictures
from mri_interpret.report.reference import reference_contents

ROWS = [
    ("lrp", "meta <1>.nii.gz", "voxel", 0.61, 0.58, 0.30, 0.22, 0.025),
    ("lrp", "meta <1>.nii.gz", "region", 0.70, 0.66, 0.31, 0.25, 0.025),
    ("summary", "meta <1>.nii.gz", "voxel", 0.20, 0.19, 0.30, 0.22, 0.30),
    ("summary", "meta <1>.nii.gz", "region", math.nan, math.nan, math.nan, math.nan, math.nan),
]
TABLE = pd.DataFrame(ROWS, columns=list(COLUMNS))


@pytest.fixture
def explanation(small_explanation: Explanation) -> Explanation:
    return replace(small_explanation, reference_table=TABLE)


def test_each_map_has_a_row_with_what_chance_reaches(explanation: Explanation, pictures: ReportPictures) -> None:
    page = page_with(explanation, pictures)
    (section,) = re.findall(r'<h2 id="reference">(.*?)</table>', page, re.DOTALL)
    assert "meta &lt;1&gt;.nii.gz" in section
    cells = [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(<td.*?)</tr>", section, re.DOTALL)
    ]
    assert cells == [
        ["LRP", "0.61", "0.58", "0.22", "0.7", "0.66", "0.25", "yes"],
        ["Summary score", "0.2", "0.3", "0.22", "–", "–", "–", "no"],
    ]
    assert 'href="#reference"' in page


def test_without_a_reference_nothing_is_said(small_explanation: Explanation, pictures: ReportPictures) -> None:
    assert reference_contents(small_explanation) == []
    assert "#reference" not in page_with(small_explanation, pictures)


def test_the_table_is_saved_and_opened_again(explanation: Explanation, tmp_path: Path) -> None:
    files = explanation.save(tmp_path / "result")
    assert files["reference"].name == "reference.csv"
    again = load(tmp_path / "result").reference_table
    assert again is not None
    pd.testing.assert_frame_equal(again, TABLE)


def _result(folder: Path, name: str, group: str | None, shift: float) -> Any:
    path = folder / f"{name}.tsv"
    TABLE.assign(correlation=TABLE["correlation"] + shift).to_csv(path, sep="\t", index=False, na_rep="n/a")
    record = {"files": {cohort_references.FILE: {"path": path.name, "bytes": 0}}}
    return SimpleNamespace(subject=SimpleNamespace(name=name, group=group), record=record, file=lambda key: path)


def test_a_cohort_has_means_by_group_and_a_table(tmp_path: Path) -> None:
    results: Any = [_result(tmp_path, "sub-1", "AD", 0.0), _result(tmp_path, "sub-2", "AD", -0.5),
                    _result(tmp_path, "sub-3", None, 0.1)]  # fmt: skip
    results.append(SimpleNamespace(subject=SimpleNamespace(name="sub-4", group="CN"), record={"files": {}}))
    long = references_long(results)
    assert list(long["subject"].unique()) == ["sub-1", "sub-2", "sub-3"]
    means = group_references(long).set_index(["group", "method", "level"])
    every, patients = means.loc["all", "lrp", "voxel"], means.loc["AD", "lrp", "voxel"]
    assert (every["n"], patients["n"]) == (3, 2)
    assert every["correlation"] == pytest.approx((0.61 + 0.11 + 0.71) / 3)
    assert patients["above_random"] == 0.5
    assert ("all", "summary", "region") not in means.index
    shown = reference_tables(means.reset_index(), {"lrp": "LRP"})
    templates = Path(cohort_references.__file__).with_name("templates")
    text = html.unescape(render(templates, "references.html.j2", references=shown))
    assert "meta <1>.nii.gz" in text
    assert text.count("<td>LRP</td>") == 4
    assert reference_tables(group_references(references_long([])), {}) == []
