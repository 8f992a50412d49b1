"""The folder of files: complete, raw, readable by others, never half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.files import save_explanation

from Testing.report.saved_report import Saved


def test_every_file_of_the_list_is_there_and_nothing_else(saved: Saved) -> None:
    names = {path.relative_to(saved.folder).as_posix() for path in saved.folder.rglob("*") if path.is_file()}
    maps = [*saved.explanation.maps, "summary", "consensus"]
    expected = {f"{folder}/{name}.nii.gz" for folder in ("maps", "template") for name in maps}
    expected |= {"prediction.json", "provenance.json", "regions.csv", "agreement.csv", "trust.csv", "report.html"}
    assert names == expected
    assert {path.relative_to(saved.folder).as_posix() for path in saved.files.values()} == expected


def test_maps_are_raw_and_on_the_scans_grid(saved: Saved) -> None:
    for name, method in saved.explanation.maps.items():
        image = nibabel.load(saved.files[f"maps/{name}"])
        np.testing.assert_array_equal(np.asarray(image.dataobj), method.native.array)
        np.testing.assert_allclose(image.affine, saved.explanation.scan.affine, atol=1e-4)
        assert image.get_data_dtype() == np.float32
        assert image.get_sform(coded=True)[1] == 1
        template = nibabel.load(saved.files[f"template/{name}"])
        np.testing.assert_allclose(template.affine, saved.explanation.model_input.affine, atol=1e-4)
        assert template.get_sform(coded=True)[1] == 4
    consensus = nibabel.load(saved.files["maps/consensus"])
    np.testing.assert_array_equal(np.asarray(consensus.dataobj), saved.explanation.consensus.array)


def test_the_spread_is_written_where_there_is_one(small_explanation: Explanation, tmp_path: Path) -> None:
    spread = small_explanation.summary.with_array(0.25 * small_explanation.summary.array)
    files = save_explanation(replace(small_explanation, spread=spread), tmp_path)
    assert "template/spread" not in files
    np.testing.assert_array_equal(np.asarray(nibabel.load(files["maps/spread"]).dataobj), spread.array)


def test_tables_come_back_as_they_were(saved: Saved) -> None:
    regions = pd.read_csv(saved.files["regions"])
    pd.testing.assert_frame_equal(regions, saved.explanation.region_table, check_dtype=False)
    agreement = pd.read_csv(saved.files["agreement"])
    pd.testing.assert_frame_equal(agreement, saved.explanation.agreement, check_dtype=False)
    trust = pd.read_csv(saved.files["trust"])
    assert list(trust["verdict"]) == ["pass", "fail", "not applicable"]
    assert np.isnan(trust["value"].iloc[2])


def test_json_files_are_strict_json(saved: Saved) -> None:
    prediction = json.loads(saved.files["prediction"].read_text(encoding="utf-8"))
    assert prediction["scan"] == saved.explanation.scan.name
    provenance = json.loads(saved.files["provenance"].read_text(encoding="utf-8"))
    assert provenance["peak_memory_mb"] is None
    assert provenance["seed"] == 0


def test_cancelling_leaves_no_half_file(small_explanation: Explanation, tmp_path: Path) -> None:
    calls = 0

    def impatient(step: str, _: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        save_explanation(small_explanation, tmp_path, progress=impatient)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 3
    for path in left:
        assert not path.name.startswith(".partial")
        assert np.isfinite(np.asarray(nibabel.load(path).dataobj)).all()


def test_a_file_in_the_folders_place_is_one_clear_sentence(small_explanation: Explanation, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write") as caught:
        save_explanation(small_explanation, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out").read_text() == "in the way"
