"""The .mrb file is complete or not there at all."""

from __future__ import annotations

import os
import zipfile

import pytest
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.scene import mrb, write_mrb
from mri_interpret.scene.headless import HeadlessScene


def test_a_name_with_blanks_and_umlauts_works_and_nothing_else_is_left(small_explanation, tmp_path):
    path = write_mrb(small_explanation, tmp_path / "größe und Äpfel" / "scene mit Ü.mrb")
    assert [p.name for p in path.parent.iterdir()] == ["scene mit Ü.mrb"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert sum(name.endswith(".mrml") for name in archive.namelist()) == 1
    with HeadlessScene() as headless:
        headless.read(path)
        assert headless.scene.GetFirstNodeByName("Summary score") is not None


def test_the_file_is_as_readable_as_any_other(small_explanation, tmp_path):
    path = write_mrb(small_explanation, tmp_path / "scene.mrb")
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_cancelling_keeps_the_old_file(small_explanation, tmp_path):
    path = tmp_path / "scene.mrb"
    path.write_bytes(b"old")

    def cancel(step, fraction):
        if step == "Writing the scene":
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        write_mrb(small_explanation, path, progress=cancel)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["scene.mrb"]


def test_a_folder_that_is_a_file_is_one_clear_sentence(small_explanation, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Cannot write .*scene\.mrb"):
        write_mrb(small_explanation, tmp_path / "file" / "scene.mrb")


def test_a_failing_writer_is_one_clear_sentence_and_leaves_nothing(small_explanation, tmp_path, monkeypatch):
    class FullDisk:
        def WriteToMRB(self, path, *_):
            with open(path, "wb") as half:
                half.write(b"half")
            return False

    monkeypatch.setattr(mrb, "build_scene", lambda *_, **__: None)
    monkeypatch.setattr(mrb, "pack", lambda scene, path, real=mrb.pack: real(FullDisk(), path))
    with pytest.raises(UserError, match="could not pack the scene"):
        write_mrb(small_explanation, tmp_path / "scene.mrb")
    assert os.listdir(tmp_path) == []


def test_another_suffix_is_refused(small_explanation, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.mrb"):
        write_mrb(small_explanation, tmp_path / "scene.zip")


def test_reading_what_is_not_a_scene_is_a_clear_error(tmp_path, headless):
    with pytest.raises(UserError, match="no such file"):
        headless.read(tmp_path / "missing.mrb")
    (tmp_path / "bad.mrb").write_bytes(b"not a zip file")
    before = os.getcwd()
    with pytest.raises(UserError, match=r"Cannot read the scene .*bad\.mrb"):
        headless.read(tmp_path / "bad.mrb")
    assert os.getcwd() == before  # Slicer stays in the folder that it failed in
