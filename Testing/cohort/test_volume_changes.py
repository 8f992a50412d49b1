"""What volume methods say of a cohort: the long table, group means, the page's section, and the names of the files."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.anatomy.structure_changes import StructureChange, change_table
from mri_interpret.cohort import page_content
from mri_interpret.cohort.derivatives import BidsDerivatives, write_tsv
from mri_interpret.cohort.subject_result import SubjectResult
from mri_interpret.cohort.subjects import Subject
from mri_interpret.cohort.volume_changes import change_tables, changes_long, group_changes, reached
from mri_interpret.drawing.html import render
from scipy import stats

GROUPS = ["CN", "AD", "AD", "AD", ""]
ASKED = [-0.1, 0.2, 0.3, 0.25, 0.4]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subjects")
    found = []
    for place, (group, asked) in enumerate(zip(GROUPS, ASKED, strict=True)):
        table = change_table(
            {
                "volume_counterfactual": [
                    StructureChange(17, "Left-Hippocampus", 3.0, asked, asked - 0.01, asked + 0.01, 3),
                    StructureChange(53, "Right-Hippocampus", 0.1 if place == 1 else 3.0, 0.5),
                ],
                "volume_gradient": [StructureChange(17, "Left-Hippocampus", 3.0, effect=-0.01 * place)],
            }
        )
        own = folder / f"{place}.tsv"
        write_tsv(table, own)
        record = {
            "files": {"volume_changes": {"path": own.name, "bytes": 0}},
            "prediction": {"predicted": "AD", "probabilities": {"CN": 0.2, "AD": 0.8}, "logits": {}},
            "counterfactuals": {"volume_counterfactual": {"reached": place != 2, "plausible": place > 2}},
        }
        found.append(SubjectResult(Subject(f"S{place}", Path("scan.nii.gz"), group), folder, record))
    return found


def test_groups_have_means_with_intervals_of_structures_that_are_large_enough(results):
    long = changes_long(results)
    assert long["subject"].nunique() == 5
    table = group_changes(long).set_index(["method", "measure", "structure", "group"])
    row = table.loc[("volume_counterfactual", "change", "Left-Hippocampus", "AD")]
    low, high = stats.t.interval(0.95, 2, np.mean(ASKED[1:4]), stats.sem(ASKED[1:4]))
    assert (row["n"], row["mean"], row["low"], row["high"]) == pytest.approx((3, 0.25, low, high))
    assert table.loc[("volume_counterfactual", "change", "Left-Hippocampus", "all"), "n"] == 5
    assert table.loc[("volume_counterfactual", "change", "Right-Hippocampus", "AD"), "n"] == 2  # one is too small
    assert table.loc[("volume_gradient", "effect", "Left-Hippocampus", "AD"), "mean"] == pytest.approx(-0.02)
    assert ("volume_gradient", "change", "Left-Hippocampus", "AD") not in table.index


def test_the_page_shows_them_and_how_many_reached_the_goal(results):
    assert reached(results) == {"volume_counterfactual": (5, 4, 2)}
    shown = change_tables(
        group_changes(changes_long(results)), {"volume_gradient": "Volume gradient"}, reached(results)
    )
    templates = Path(page_content.__file__).with_name("templates")
    text = html.unescape(render(templates, "volume_changes.html.j2", volume_changes=shown))
    assert "4 of 5 subjects reached the goal; in 2 the" in text
    assert "<td>Left hippocampus</td>" in text
    assert "+25.0 % (+12.6 % to +37.4 %), n = 3" in text
    assert "<h3>Volume gradient</h3>" in text
    assert "−0.02 (" in text


def test_a_cohort_without_volume_methods_has_empty_tables(results):
    bare = [SubjectResult(one.subject, one.folder, one.record | {"files": {}}) for one in results]
    assert changes_long(bare).empty
    assert group_changes(changes_long(bare)).empty


def test_the_deformed_scan_and_its_displacement_have_bids_names():
    layout = BidsDerivatives("sub-01", native=True, sidecars={})
    assert layout.volume("counterfactual") == "anat/sub-01_space-orig_desc-counterfactual_T1w"
    assert layout.volume("displacement") == "anat/sub-01_from-orig_to-counterfactual_mode-image_xfm"
    assert layout.volume("counterfactual(goal=CN)") == "anat/sub-01_space-orig_desc-counterfactualgoalCN_T1w"
    assert layout.volume("displacement(goal=CN)") == "anat/sub-01_from-orig_to-counterfactualgoalCN_mode-image_xfm"
    assert BidsDerivatives("sub-01", native=False, sidecars={}).volume("counterfactual") is None
