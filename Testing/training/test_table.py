"""A table of scans: what is wrong with it is said in one sentence; folds never share a subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.training.table import Participant, TableSamples, folds, read_participants


def _table(folder: Path, rows: list[str], header: str = "participant_id,path,group") -> Path:
    (folder / "there.nii.gz").write_bytes(b"x")
    path = folder / "participants.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_rows_are_read_relative_to_the_table(tmp_path: Path) -> None:
    table = _table(tmp_path, ["a,there.nii.gz,AD", "b,there.nii.gz,CN"])
    assert read_participants(table) == [
        Participant("a", tmp_path / "there.nii.gz", 2),
        Participant("b", tmp_path / "there.nii.gz", 0),
    ]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a,gone.nii.gz,AD", "b,there.nii.gz,CN"], "participant_id,path,group", r"1 of 2 scans .* missing.*gone"),
        (["a,there.nii.gz,AD", "b,there.nii.gz,AD"], "participant_id,path,group", "one class only"),
        (["a,there.nii.gz,Dementia", "b,there.nii.gz,CN"], "participant_id,path,group", "'Dementia'"),
        (["a,there.nii.gz,AD"], "participant_id,picture,group", "no column 'path'"),
        (["a,there.nii.gz,AD"], "participant_id,path,verdict", "no column 'group'"),
        ([], "participant_id,path,group", "lists no participants"),
        (["a,there.nii.gz,AD", "b"], "participant_id,path,group", "Line 3 .* does not have 3 entries"),
        (["a,there.nii.gz,AD,x", "b"], "participant_id,path,group", "Line 2 .* does not have 3 entries"),
    ],
)
def test_unsound_tables_are_one_clear_sentence(tmp_path: Path, rows: list[str], header: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_participants(_table(tmp_path, rows, header))


def test_a_missing_table_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_participants(tmp_path / "nothing.csv")


def _people() -> list[Participant]:
    # Two scans each of 12 subjects.
    return [Participant(f"s{i % 12}", Path(f"scan{i}"), (i % 12) % 3) for i in range(24)]


def test_folds_split_by_subject_and_spread_the_groups() -> None:
    people = _people()
    parts = folds(people, 4, seed=1)
    assert sorted(index for part in parts for index in part) == list(range(24))
    subjects = [{people[index].subject for index in part} for part in parts]
    assert all(not one & two for i, one in enumerate(subjects) for two in subjects[i + 1 :])
    assert all({people[index].group for index in part} == {0, 1, 2} for part in parts)
    assert parts == folds(people, 4, seed=1)


def test_more_folds_than_subjects_is_one_clear_sentence() -> None:
    with pytest.raises(UserError, match="fewer than the 5 folds"):
        folds(_people(), 5, seed=1)


@pytest.fixture
def prepared(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(3):
        mask = np.zeros((96, 112, 96), dtype=bool)
        mask[20:76, 20:92, 20:76] = True
        image = np.random.default_rng(number).integers(0, 65535, mask.shape).astype(np.uint16) * mask
        paths.append(tmp_path / f"prepared_{number}.npz")
        np.savez_compressed(paths[-1], image=image, mask=mask, source=np.array("x"))
    return paths


def test_every_scan_comes_once_a_sweep(prepared: list[Path]) -> None:
    samples = TableSamples(prepared, [0, 1, 2], 6, seed=0, classes=3)
    labels = [int(samples[index]["label"]) for index in range(6)]
    assert sorted(labels[:3]) == sorted(labels[3:]) == [0, 1, 2]


def test_augmentation_is_fresh_and_repeatable_and_can_be_off(prepared: list[Path]) -> None:
    samples = TableSamples(prepared[:1], [1], 4, seed=0, classes=3)
    assert torch.equal(samples[1]["image"], samples[1]["image"])
    assert not torch.equal(samples[1]["image"], samples[2]["image"])
    plain = TableSamples(prepared[:1], [1], 4, seed=0, classes=3, augment=False)
    with np.load(prepared[0]) as stored:
        np.testing.assert_allclose(plain[0]["image"][0], stored["image"] / 65535, atol=1e-6)
    assert plain[0]["classes"].tolist() == [0.0, 1.0, 0.0]
