"""Volumes measured in each subject's brain: tables, groups, correlations with relevance, BIDS files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mri_interpret.anatomy.freesurfer import colour_of
from mri_interpret.cohort import correlations, regions, volumes
from mri_interpret.cohort.derivatives import label_table, write_derivatives, write_tsv
from mri_interpret.cohort.group import statistics_space
from mri_interpret.cohort.planning import Plan
from mri_interpret.cohort.subject_result import SubjectResult
from mri_interpret.cohort.subject_warnings import subject_warnings
from mri_interpret.cohort.subjects import Subject
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.label_tables import read_label_table
from scipy import stats

from Testing.cohort.written_cohort import GROUPS, INTRACRANIAL_ML, anatomy_of


def test_every_subject_has_a_row_of_volumes(finished: Plan) -> None:
    table = volumes.volume_wide(finished.subject_results())
    assert table["subject"].tolist() == [f"sub-S{place:02d}" for place in range(len(GROUPS))]
    assert table["group"].tolist() == GROUPS
    assert table["intracranial"].tolist() == [INTRACRANIAL_ML + place for place in range(len(GROUPS))]
    assert table["Left-Hippocampus"].tolist() == [anatomy_of(p).structure("Left-Hippocampus").ml for p in range(11)]


def test_group_means_are_of_both_sides_together(finished: Plan) -> None:
    table = volumes.group_volumes(finished.subject_results()).set_index(["structure", "group"])
    both = [sum(anatomy_of(p).structure(f"{side}-Hippocampus").ml for side in ("Left", "Right")) for p in range(6, 11)]
    low, high = stats.t.interval(0.95, 4, np.mean(both), stats.sem(both))
    row = table.loc[("Hippocampus", "AD")]
    assert (row["n"], row["mean"], row["low"], row["high"]) == pytest.approx((5, np.mean(both), low, high))
    whole = [INTRACRANIAL_ML + place for place in range(6, 11)]
    assert row["mean_share"] == pytest.approx(np.mean(np.divide(both, whole)))
    assert ("Entorhinal cortex", "AD") not in table.index  # parcels have a table of their own
    assert np.isnan(table.loc[("Hippocampus", "MCI"), "low"])  # one subject has no interval


def test_relevance_is_correlated_with_the_measured_share_without_any_column(finished: Plan) -> None:
    results = finished.subject_results()
    long = regions.long_table(results, statistics_space(finished))
    names = list(dict.fromkeys(long["region"]))
    shares = volumes.share_matrix(volumes.volume_long(results), results, names)
    found = correlations.covariate_correlations(long, results, [], shares)
    own = found[found["covariate"] == correlations.MEASURED_SHARE].set_index(["method", "region"])
    gain = regions.value_matrix(long, "lrp")["Left-Hippocampus"].to_numpy()
    share = [anatomy_of(place).structure("Left-Hippocampus").share for place in range(len(GROUPS))]
    r, p = stats.spearmanr(gain, share)
    row = own.loc[("lrp", "Left-Hippocampus")]
    assert (row["value"], row["p"], row["n"]) == pytest.approx((r, p, 11))
    assert r < -0.7  # the blob grows where the hippocampus shrinks
    assert correlations.ALIGNED_VOLUME not in set(found["covariate"])  # what registration covers is not needed any more
    assert set(own.index.get_level_values("region")) <= {"Left-Hippocampus", "Right-Hippocampus", "3rd-Ventricle",
        "ctx-lh-entorhinal", "ctx-rh-entorhinal"}  # fmt: skip


def test_without_segmentations_there_are_no_volumes_and_the_old_correlation(finished: Plan) -> None:
    bare = [
        SubjectResult(one.subject, one.folder, one.record | {"files": {**one.record["files"]}})
        for one in finished.subject_results()
    ]
    for one in bare:
        del one.record["files"]["volumes"]
    assert volumes.volume_wide(bare).empty
    assert volumes.group_volumes(bare).empty
    long = regions.long_table(bare)
    shares = volumes.share_matrix(volumes.volume_long(bare), bare, list(dict.fromkeys(long["region"])))
    found = correlations.covariate_correlations(long, bare, [], shares)
    assert correlations.MEASURED_SHARE not in set(found["covariate"])
    assert correlations.ALIGNED_VOLUME in set(found["covariate"])


def written(folder: Path, subject: str, rows: list[tuple[str, int, float, float]]) -> SubjectResult:
    """A subject's region table: region, label, volume in mm^3, gain; the same in both spaces."""
    table = pd.DataFrame(rows, columns=["region", "label", "volume_mm3", "gain"])
    table = table.assign(method="lrp", sum=1.0, mean=1.0, positive_share=0.1, share=0.1, asymmetry=0.0)
    both = pd.concat([table.assign(space="native"), table.assign(space="template", gain=1.0)])
    path = write_tsv(both, folder / f"{subject}.tsv")
    record = {
        "files": {"regions": {"path": path.name}},
        "prediction": {"predicted": "AD", "probabilities": {"AD": 1.0}},
    }
    return SubjectResult(Subject(subject, Path()), folder, record)


def test_regions_that_are_scarce_or_too_small_are_named_and_left_out(tmp_path: Path) -> None:
    everywhere = [("Left-Hippocampus", 17, 3000.0, 5.0), ("Left-Inf-Lat-Vent", 5, 250.0, 20.0)]
    results = [
        written(tmp_path, "a", [*everywhere, ("5th-Ventricle", 72, 900.0, 9.0)]),
        written(tmp_path, "b", everywhere),
        written(tmp_path, "c", [everywhere[0], ("Left-Inf-Lat-Vent", 5, 900.0, 20.0)]),
    ]
    every = regions.long_table(results, "native")
    assert regions.unranked(every) == ["Left-Inf-Lat-Vent", "5th-Ventricle"]
    table = regions.without(every, regions.unranked(every))
    assert set(table["region"]) == {"Left-Hippocampus"}
    assert table["gain"].tolist() == [5.0, 5.0, 5.0]  # of the subject's own structures, not of the atlas
    assert set(regions.long_table(results, "template")["gain"]) == {1.0}


def test_a_subjects_labels_and_volumes_are_bids_derivatives(small_explanation: Explanation, tmp_path: Path) -> None:
    files = write_derivatives(small_explanation, tmp_path, "sub-01", native=False, page=False)
    assert files["anatomy"].name == "sub-01_space-orig_desc-aparcaseg_dseg.nii.gz"
    assert files["anatomy/labels"].name == "sub-01_space-orig_desc-aparcaseg_dseg.tsv"
    assert files["volumes"].name == "sub-01_volumes.tsv"
    about = json.loads(files["anatomy/sidecar"].read_text())
    assert files["anatomy/sidecar"].name == "sub-01_space-orig_desc-aparcaseg_dseg.json"
    assert about["IntracranialVolume_ml"] == pytest.approx(small_explanation.anatomy.intracranial_ml)  # type: ignore[union-attr]
    table = pd.read_csv(files["anatomy/labels"], sep="\t")
    assert list(table.columns) == ["index", "name", "color"]
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in table["color"])
    entries = read_label_table(files["anatomy/labels"])
    assert entries[17].name == "Left-Hippocampus"
    assert entries[17].colour == pytest.approx(colour_of(17))
    present = set(np.unique(small_explanation.anatomy.labels.array)) - {0}  # type: ignore[union-attr]
    assert set(entries) == present
    assert len(label_table(small_explanation.anatomy)) == len(present)  # type: ignore[arg-type]
    assert "structure" in pd.read_csv(files["volumes"], sep="\t").columns


def test_unsure_segmentations_are_said_once_for_the_cohort() -> None:
    def subject(name: str, unsure: list[str]) -> SubjectResult:
        return SubjectResult(Subject(name, Path()), Path(), {"registration": "good", "unsure_structures": unsure})

    fine = [subject("a", []), SubjectResult(Subject("old", Path()), Path(), {"registration": "good"})]
    assert subject_warnings(fine) == []
    (sentence,) = subject_warnings([*fine, subject("b", ["Left-Amygdala"]), subject("c", ["Left-Amygdala", "CSF"])])
    assert "unsure in 2 of 4 subjects (sub-b, sub-c), about Left-Amygdala, CSF" in sentence
