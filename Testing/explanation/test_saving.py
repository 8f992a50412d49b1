"""A saved explanation is complete or absent, readable by others, and opens again as it was."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mri_interpret as mi
import nibabel
import numpy as np
import pandas as pd
import pytest
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.layout import PLAIN
from mri_interpret.explanation.saved_folder import MappedFiles, check_folder
from mri_interpret.explanation.saving import load
from mri_interpret.images.array_files import ArrayFiles
from mri_interpret.images.volume import Volume


def same(one: Any, two: Any, where: str = "explanation") -> None:
    """Equal to the last bit, in type, and in every field."""
    assert type(one) is type(two), where
    if isinstance(one, Volume):
        np.testing.assert_array_equal(one.array, two.array, err_msg=where)
        assert one.array.dtype == two.array.dtype, where
        np.testing.assert_array_equal(one.affine, two.affine, err_msg=where)
        assert (one.name, one.notes) == (two.name, two.notes), where
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=where)
    elif isinstance(one, dict):
        assert list(one) == list(two), where
        for key in one:
            same(one[key], two[key], f"{where}[{key}]")
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(two, field.name), f"{where}.{field.name}")
    elif isinstance(one, tuple | list):
        assert len(one) == len(two), where
        for index, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{where}[{index}]")
    elif isinstance(one, float) and math.isnan(one):
        assert math.isnan(two), where
    else:
        assert one == two, where


@pytest.fixture(scope="module")
def hard(small_explanation: Explanation) -> Explanation:
    """The small explanation with what files lose easily: odd names, NaN, a scan in float64, a note, a method's key."""
    lrp, *others = small_explanation.maps.values()
    odd = dataclasses.replace(lrp, outside_brain=math.nan, details={**lrp.details, "nothing": None, "list": [1, 2.5]})
    scan = small_explanation.scan
    table = small_explanation.region_table.copy()
    table.loc[0, "region"] = 'NA, "quoted" & <b>Söhne</b>'
    table.loc[1, "gain"] = math.nan
    return dataclasses.replace(
        small_explanation,
        scan=Volume(scan.array + math.pi, scan.affine + 1e-9, 'a <"b"> & Söhne.nii.gz', ("qform and sform disagree.",)),
        maps={"lrp(layers_named=('a/b',))": odd, **{one.name: one for one in others}},
        region_table=table,
        summary_details=dataclasses.replace(small_explanation.summary_details, kendall_w=math.nan),
        provenance=dataclasses.replace(small_explanation.provenance, peak_memory_bytes=None),
        warnings=("First: 1 < 2.", "Second."),
    )


@pytest.fixture(scope="module")
def folder(hard: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It saved, in a folder with spaces and an umlaut. Copy it before you change it."""
    path = tmp_path_factory.mktemp("saved") / "Ergebnis für A"
    hard.save(path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_everything_comes_back(hard: Explanation, folder: Path) -> None:
    assert hard.verdicts
    assert hard.scan.array.dtype == np.float64
    same(hard, mi.load(folder))


def test_it_comes_back_through_mapped_arrays_too(hard: Explanation, tmp_path: Path) -> None:
    hard.save(tmp_path, storage=MappedFiles(ArrayFiles(tmp_path)))
    back = load(tmp_path)
    assert isinstance(back.summary.array, np.memmap)
    assert not list(tmp_path.rglob("*.nii.gz"))
    for path in tmp_path.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    same(hard, back)


def test_without_checks_there_are_no_verdicts(small_explanation: Explanation, tmp_path: Path) -> None:
    files = dataclasses.replace(small_explanation, verdicts=type(small_explanation.verdicts)()).save(tmp_path)
    assert "trust" not in files
    assert not load(tmp_path).verdicts


def test_an_atlas_laid_over_the_brain_comes_back_beside_the_anatomy(
    small_explanation: Explanation, tmp_path: Path
) -> None:
    atlas = small_explanation.atlas_in_scan.with_array(np.roll(small_explanation.atlas_in_scan.array, 1), "atlas")
    laid_over = dataclasses.replace(small_explanation, atlas_in_scan=atlas, atlas_name="another")
    assert "scan/atlas" in laid_over.save(tmp_path)
    back = load(tmp_path)
    same(laid_over, back)
    assert back.anatomy is not None
    assert not np.array_equal(back.atlas_in_scan.array, back.anatomy.labels.array)


def test_a_result_of_a_version_that_did_not_segment_opens(small_explanation: Explanation, tmp_path: Path) -> None:
    old = dataclasses.replace(small_explanation, anatomy=None)
    files = old.save(tmp_path)
    assert not {"anatomy", "volumes"} & set(files)
    same(old, load(tmp_path))


def test_the_files_are_those_that_the_readme_lists(small_explanation: Explanation, tmp_path: Path) -> None:
    files = small_explanation.save(tmp_path)
    maps = [*small_explanation.maps, "summary", "consensus", "spread"]
    expected = {f"{place}/{name}.nii.gz" for place in ("maps", "template") for name in maps}
    expected |= {f"scan/{name}.nii.gz" for name in ("scan", "mask", "template")} | {"template/input.nii.gz"}
    expected |= {"anatomy.nii.gz", "volumes.csv"} | {
        "prediction.json",
        "provenance.json",
        "regions.csv",
        "agreement.csv",
        "trust.csv",
        "explanation.json",
    }
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == expected
    assert {path.relative_to(tmp_path).as_posix() for path in files.values()} == expected


def test_maps_are_raw_and_on_their_grids(small_explanation: Explanation, tmp_path: Path) -> None:
    files = small_explanation.save(tmp_path)
    for name, method in small_explanation.maps.items():
        image = nibabel.load(files[f"maps/{name}"])
        np.testing.assert_array_equal(np.asarray(image.dataobj), method.native.array)
        np.testing.assert_allclose(image.affine, small_explanation.scan.affine, atol=1e-4)
        assert image.get_data_dtype() == np.float32
        assert image.get_sform(coded=True)[1] == 1
        template = nibabel.load(files[f"template/{name}"])
        np.testing.assert_allclose(template.affine, small_explanation.model_input.affine, atol=1e-4)
        assert template.get_sform(coded=True)[1] == 4


def test_json_files_are_strict_json_for_readers(hard: Explanation, folder: Path) -> None:
    prediction = json.loads((folder / "prediction.json").read_text(encoding="utf-8"))
    assert prediction["scan"] == hard.scan.name
    assert list(prediction["probabilities"]) == ["CN", "MCI", "AD"]
    assert prediction["model"]["hash"] == hard.model.hash
    assert prediction["warnings"] == list(hard.warnings)
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["agreement"]["kendall_w"] is None
    np.testing.assert_allclose(provenance["preprocessing"]["scan_to_template_ras"], hard.registration.to_template)
    assert provenance["parameters"]["summary"]["weights"] == hard.summary_details.weights
    assert provenance["input"]["sha256_of_voxels_and_affine"] == hard.provenance.scan_hash


def test_a_new_result_replaces_the_old_one_only(small_explanation: Explanation, tmp_path: Path) -> None:
    small_explanation.save(tmp_path)
    for name in ("report.html", "scene.mrb", "my notes.txt", "maps/mine.nii.gz"):
        (tmp_path / name).write_text("old")
    one = {"lrp": small_explanation.maps["lrp"]}
    dataclasses.replace(small_explanation, maps=one, verdicts=type(small_explanation.verdicts)()).save(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"my notes.txt", "maps/mine.nii.gz", "maps/lrp.nii.gz"} <= left
    assert not left & {"report.html", "scene.mrb", "maps/grad_cam_pp.nii.gz", "trust.csv"}
    assert list(load(tmp_path).maps) == ["lrp"]


@pytest.mark.parametrize("name", ["volumes.csv", "maps/lrp.nii.gz"])
def test_what_no_result_wrote_is_not_replaced(small_explanation: Explanation, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("somebody's work")
    (tmp_path / "report.html").write_text("somebody's page")
    before = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}
    with pytest.raises(UserError, match=rf"holds {name}, which no result there wrote: choose another output folder"):
        small_explanation.save(tmp_path)
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == before
    path.unlink()
    small_explanation.save(tmp_path)
    assert (tmp_path / "report.html").read_text() == "somebody's page"
    small_explanation.save(tmp_path)  # over its own
    assert not (tmp_path / "report.html").exists(), "drawn of the result before"


def test_a_run_that_was_cut_off_while_it_replaced_files_can_be_run_again(
    small_explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_explanation.save(tmp_path)
    replaced, replace = [0], os.replace

    def power_cut(source: Path, place: Path) -> None:
        replaced[0] += 1
        if replaced[0] == 6:
            raise KeyboardInterrupt
        replace(source, place)

    monkeypatch.setattr(os, "replace", power_cut)
    with pytest.raises(KeyboardInterrupt):
        small_explanation.save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(UserError):
        load(tmp_path)
    check_folder(tmp_path)
    small_explanation.save(tmp_path)
    same(load(tmp_path).maps, small_explanation.maps)
    assert not list(tmp_path.glob(".*"))


def test_a_folder_is_looked_at_before_the_work(small_explanation: Explanation, tmp_path: Path) -> None:
    check_folder(tmp_path / "new")
    own = tmp_path / "own"
    own.mkdir()
    (own / "anatomy.nii.gz").write_bytes(b"my segmentation")
    with pytest.raises(UserError, match=r"would take the place of .*anatomy\.nii\.gz, which it is made of"):
        check_folder(own, [own / "anatomy.nii.gz"])
    with pytest.raises(UserError, match=r"holds anatomy\.nii\.gz, which no result there wrote"):
        check_folder(own)
    small_explanation.save(tmp_path / "out")
    check_folder(tmp_path / "out", [own / "anatomy.nii.gz"])
    with pytest.raises(UserError, match="which it is made of"):
        check_folder(tmp_path / "out", [tmp_path / "out" / "maps" / "lrp.nii.gz"])
    (own / "anatomy.nii.gz").unlink()
    (own / "report.html").write_text("a page")
    with pytest.raises(UserError, match=r"holds report\.html"):
        check_folder(own)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_scan_whose_name_is_no_utf_8_is_saved_and_its_name_kept(
    small_explanation: Explanation, tmp_path: Path
) -> None:
    name = os.fsdecode(b"/data/sc\xe4n.nii.gz")
    made = dataclasses.replace(small_explanation.provenance, scan_file=name)
    dataclasses.replace(small_explanation, provenance=made).save(tmp_path)
    assert load(tmp_path).provenance.scan_file == name
    (tmp_path / "provenance.json").read_text(encoding="utf-8")


def test_cancelling_leaves_nothing_or_the_old_result(small_explanation: Explanation, tmp_path: Path) -> None:
    def impatient(step: str, fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        small_explanation.save(tmp_path / "new", progress=impatient)
    assert not (tmp_path / "new").exists()
    small_explanation.save(tmp_path / "old")
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    with pytest.raises(Cancelled):
        dataclasses.replace(small_explanation, warnings=()).save(tmp_path / "old", progress=impatient)
    assert {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()} == before


def test_a_file_in_the_folders_place_is_one_sentence(small_explanation: Explanation, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write") as caught:
        small_explanation.save(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out").read_text() == "in the way"


def _index(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def break_it(folder: Path) -> None:
        record = json.loads((folder / PLAIN.index).read_text(encoding="utf-8"))
        change(record)
        (folder / PLAIN.index).write_text(json.dumps(record), encoding="utf-8")

    return break_it


def _edit(folder: Path) -> None:
    path = folder / "regions.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0", "1", 1), encoding="utf-8")


def _truncate(folder: Path) -> None:
    path = folder / "maps" / "summary.nii.gz"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda folder: (folder / PLAIN.index).unlink(), "no complete saved explanation"),
        (lambda folder: (folder / "maps" / "summary.nii.gz").unlink(), r"incomplete \(maps/summary.nii.gz is missing"),
        (lambda folder: (folder / "agreement.csv").unlink(), r"incomplete \(agreement.csv is missing"),
        (_truncate, "was changed after it was saved, or is damaged"),
        (_edit, "was changed after it was saved"),
        (lambda folder: (folder / PLAIN.index).write_text("{"), "is damaged or not of a saved explanation"),
        (lambda folder: (folder / PLAIN.index).write_text("[]"), "is damaged or not of a saved explanation"),
        (_index(lambda record: record.update(format="something else")), "not of a saved explanation"),
        (
            _index(lambda record: record.update(version=2, written_by="mri-interpret 9.0")),
            r"newer version \(mri-int.* 9.0",
        ),
        (_index(lambda record: record.pop("volumes")), "is damaged"),
        (_index(lambda record: record["facts"].pop("model")), "cannot be read"),
        (_index(lambda record: record["facts"]["prediction"].update(logits=3)), "cannot be read"),
        (_index(lambda record: record["volumes"].pop("anatomy")), "saved without anatomy"),
        (_index(lambda record: record["volumes"]["scan/scan"].update(file="../scan.nii.gz")), "is missing"),
    ],
)
def test_what_is_no_complete_result_is_refused_in_one_sentence(
    copy: Path, break_it: Callable[[Path], None], words: str
) -> None:
    break_it(copy)
    with pytest.raises(UserError, match=words) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no complete saved explanation"):
        load(tmp_path)
