"""A cohort on disk: BIDS-like, true to its table, the same for a seed."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.simulation.anatomy import FINE_GRID, choose_label_maps
from mri_interpret.simulation.command import simulate_cohort

SEED = 2  # the first of three subjects is ill, and of both who are ill some brain is lost


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    simulate_cohort(3, SEED, folder, healthy_twins=True)
    return folder


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "participants.tsv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.mark.slow
def test_one_of_each_group_with_every_file_there(cohort: Path) -> None:
    rows = _rows(cohort)
    assert sorted(row["group"] for row in rows) == ["AD", "CN", "MCI"]
    for row in rows:
        for column in ("path", "effect_map", "healthy_path"):
            assert (cohort / row[column]).is_file()
    assert (cohort / "dataset_description.json").is_file()
    assert not list(cohort.rglob(".partial-*"))


@pytest.mark.slow
def test_effect_maps_lie_on_the_scan_s_grid_and_are_zero_in_the_healthy(cohort: Path) -> None:
    for row in _rows(cohort):
        scan, effect, twin = (nibabel.load(cohort / row[key]) for key in ("path", "effect_map", "healthy_path"))
        np.testing.assert_allclose(scan.affine, effect.affine)
        assert scan.shape == effect.shape
        strongest = float(np.abs(effect.get_fdata()).max())
        change = float(np.abs(scan.get_fdata() - twin.get_fdata()).max())
        if row["group"] == "CN":
            assert strongest == 0.0
            assert change == 0.0
        else:
            assert strongest > 0.1
            assert change > 0.0


@pytest.mark.slow
def test_the_table_s_fraction_is_that_of_its_volumes(cohort: Path) -> None:
    for row in _rows(cohort):
        hippocampi = float(row["left_hippocampus_mm3"]) + float(row["right_hippocampus_mm3"])
        fraction = 1000 * hippocampi / float(row["intracranial_mm3"])
        assert float(row["hippocampal_fraction_per_mille"]) == pytest.approx(fraction, abs=0.002)


@pytest.mark.slow
def test_a_seed_repeats_voxel_by_voxel_and_cancelling_leaves_no_table(cohort: Path, tmp_path: Path) -> None:
    """The same cohort, cancelled after its first subject, who is ill: that one is whole, and the same."""

    def stop(step: str, _fraction: float) -> None:
        if "subject 2" in step:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        simulate_cohort(3, SEED, tmp_path, progress=stop)
    first = _rows(cohort)[0]
    assert first["group"] != "CN"
    one, two = (np.asarray(nibabel.load(folder / first["path"]).dataobj) for folder in (cohort, tmp_path))
    np.testing.assert_array_equal(one, two)
    assert not (tmp_path / "participants.tsv").exists()
    assert not list(tmp_path.rglob(".partial-*"))


@pytest.mark.slow
def test_in_template_space_a_scan_lies_on_the_template_s_axes(tmp_path: Path) -> None:
    table = simulate_cohort(1, 7, tmp_path, in_template=True)
    (row,) = _rows(tmp_path)
    scan, effect = (nibabel.load(table.parent / row[key]) for key in ("path", "effect_map"))
    np.testing.assert_array_equal(scan.affine, FINE_GRID.affine)
    np.testing.assert_array_equal(effect.affine, FINE_GRID.affine)


def test_label_maps_are_chosen_by_name(tmp_path: Path) -> None:
    for name in ("02", "09", "102"):
        (tmp_path / f"labels_{name}.nii.gz").write_bytes(b"")
    assert [path.name for path in choose_label_maps(tmp_path, ("02", "labels_102"))] == [
        "labels_02.nii.gz",
        "labels_102.nii.gz",
    ]
    assert len(choose_label_maps(tmp_path, ())) == 3
    with pytest.raises(UserError, match="no label map called '03'"):
        choose_label_maps(tmp_path, ("02", "03"))
    with pytest.raises(UserError, match="give it too"):
        simulate_cohort(1, 7, tmp_path, only=("02",))


@pytest.mark.parametrize(("number", "seed", "message"), [(0, 1, "1 or more"), (3, -1, "negative")])
def test_impossible_requests_are_one_clear_sentence(tmp_path: Path, number: int, seed: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        simulate_cohort(number, seed, tmp_path)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_clear_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="Cannot write"):
        simulate_cohort(1, 7, blocked)
