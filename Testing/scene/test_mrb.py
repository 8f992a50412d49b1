"""The .mrb file is complete or not there at all."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.errors import Cancelled, UserError, printable
from mri_interpret.images.volume import Volume
from mri_interpret.scene import build_scene, find_result, mrb, write_mrb
from mri_interpret.scene.geometry import volume_of
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
        def GetNumberOfNodesByClass(self, _):
            return 0

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


AWKWARD = [
    "a & b", "a < b", "a > b", 'a " b', "a ' b", "a % b", "a%20b", "a # b", "a ; b", "a ( b )", "a [b]", "a {b}",
    "a $HOME b", "a\nb", "a\tb", "a\x01b", "a\udcffb", "-dash", "x" * 200, "脑 мозг دماغ", "a:b*c?d|e\\f", "a%d%s%n",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_a_scene_of_a_scan_with_an_awkward_name_opens_again(small_explanation, tmp_path, name):
    scan = small_explanation.scan
    named = replace(small_explanation, scan=Volume(scan.array, scan.affine, f"{name}.nii.gz"))
    path = write_mrb(named, tmp_path / "scene.mrb")
    with HeadlessScene() as headless:
        headless.read(path)
        volumes = [
            headless.scene.GetNthNodeByClass(n, "vtkMRMLVolumeNode")
            for n in range(headless.scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"))
        ]
        assert printable(name).replace("\t", " ") in [volume.GetName() for volume in volumes]
        assert all(volume.GetImageData() is not None for volume in volumes), "voxels of a volume were not found again"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids these names")
@pytest.mark.parametrize("name", [name for name in AWKWARD if "\udcff" not in name])
def test_a_scene_in_a_file_with_an_awkward_name_opens_again(small_explanation, tmp_path, name):
    path = write_mrb(small_explanation, tmp_path / name / f"{name}.mrb")
    assert [p.name for p in path.parent.iterdir()] == [f"{name}.mrb"]
    with HeadlessScene() as headless:
        headless.read(path)
        assert headless.scene.GetFirstNodeByName("Summary score").GetImageData() is not None


def test_a_folder_that_is_no_utf_8_is_one_clear_sentence(small_explanation, tmp_path):
    """Slicer's library would end the whole process."""
    with pytest.raises(UserError, match="UTF-8 only") as caught:
        write_mrb(small_explanation, tmp_path / "a\udcffb" / "scene.mrb")
    assert "a\\udcffb" in str(caught.value)


def test_nodes_whose_names_differ_by_odd_characters_keep_their_own_files(tmp_path):
    with HeadlessScene() as headless:
        for name in ("a & b", "a < b", "a > b"):
            headless.scene.AddNewNodeByClass("vtkMRMLTextNode", name).SetText(name * 200)
        mrb.pack(headless.scene, tmp_path / "scene.mrb")
    with HeadlessScene() as headless:
        headless.read(tmp_path / "scene.mrb")
        for name in ("a & b", "a < b", "a > b"):
            assert headless.scene.GetFirstNodeByName(name).GetText() == name * 200


def test_two_results_with_maps_of_the_same_names_keep_their_own_voxels(headless, small_explanation, tmp_path):
    """Names occur once in a result, not once in a scene: files in the archive must not be taken for one another."""
    lrp = small_explanation.maps["lrp"]
    doubled = replace(lrp, native=lrp.native.with_array(2 * lrp.native.array))
    other = replace(small_explanation, maps={**small_explanation.maps, "lrp": doubled})
    runs_of = [build_scene(one, headless.scene).run for one in (small_explanation, other)]
    mrb.pack(headless.scene, tmp_path / "two.mrb")
    with HeadlessScene() as again:
        again.read(tmp_path / "two.mrb")
        one, two = (volume_of(find_result(again.scene, run).maps["lrp"]).array for run in runs_of)
        names = {find_result(again.scene, run).maps["lrp"].GetName() for run in runs_of}
    brain = small_explanation.mask.array > 0
    np.testing.assert_array_equal(one[brain], lrp.native.array[brain])
    np.testing.assert_array_equal(two, 2 * one)
    assert names == {"LRP"}
