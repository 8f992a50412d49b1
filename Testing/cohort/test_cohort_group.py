"""Group results of a cohort whose maps and predictions are known: tables, maps, page and scene."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from mri_interpret.cohort.charts import all_charts
from mri_interpret.cohort.correlations import MEASURED_SHARE
from mri_interpret.cohort.group import _record as group_record
from mri_interpret.cohort.group import _tables as group_tables
from mri_interpret.cohort.group import _write_tables as write_tables
from mri_interpret.cohort.group import write_group
from mri_interpret.cohort.group_maps import template_brain
from mri_interpret.cohort.method_group_maps import MethodGroupMaps, make_group_maps
from mri_interpret.cohort.page import cohort_page
from mri_interpret.cohort.planning import Plan
from mri_interpret.cohort.subjects import Outcome
from mri_interpret.drawing.canvas import Picture
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.models.outputs import OutputMeaning
from sklearn.metrics import roc_auc_score

from Testing.cohort.full_disk import files_no_longer_than
from Testing.cohort.written_cohort import GROUPS, METHODS, STRENGTH, WRONG, deviation_of, map_of
from Testing.fixtures_browser import accessibility_problems, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow  # a cohort's group results, with page and scene


@pytest.fixture(scope="module")
def group(finished: Plan) -> Path:
    """The group folder."""
    failed = (Outcome("sub-S99", 0.0, "It has <no> brain."),)
    files = write_group(finished, finished.subject_results(), failed)
    assert files["report"].is_file()
    return files["folder"]


def volume(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_confusion_and_predictions(group: Path) -> None:
    table = pd.read_csv(group / "predictions.csv")
    assert table["participant_id"].tolist() == [f"sub-S{place:02d}" for place in range(len(GROUPS))]
    assert table["right"].tolist() == [place not in WRONG for place in range(len(GROUPS))]
    assert np.isnan(table["sd_AD"][0])  # not known of an earlier version's record, which is not 0
    assert table["sd_MCI"][1:].tolist() == pytest.approx([deviation_of(n, "MCI") for n in range(1, len(GROUPS))])
    counts = pd.read_csv(group / "confusion.csv").set_index(["true", "predicted"])["count"]
    assert counts["CN", "CN"] == 4
    assert counts["CN", "AD"] == 1
    assert counts["AD", "CN"] == 1
    assert counts.sum() == len(GROUPS)
    measures = pd.read_csv(group / "performance.csv").set_index("measure")["value"]
    assert measures["balanced accuracy"] == pytest.approx((4 / 5 + 1 + 4 / 5) / 3)


def test_group_maps_are_the_means_and_medians_of_the_subjects_maps(finished: Plan, group: Path) -> None:
    inside = template_brain(finished.grid)
    for name, places in (
        ("true-AD", range(6, 11)),
        ("predicted-CN", [0, 2, 3, 4, 9]),
        ("true-AD_predicted-CN", [9]),
        ("true-CN_predicted-AD", [1]),
    ):
        maps = np.stack([map_of(finished.grid, place, "lrp")[inside] for place in places])
        for kind, expected in (("mean", maps.mean(0, dtype=np.float64)), ("median", np.median(maps, axis=0))):
            found = volume(group / "maps" / "lrp" / f"{name}_{kind}.nii.gz")
            assert np.allclose(found[inside], expected, atol=1e-5)
            assert not found[~inside].any()
    for name in (*METHODS, "summary"):
        assert (group / "maps" / name / "AD-minus-CN_t.nii.gz").is_file()
    assert not (group / "maps" / "lrp" / "true-MCI_predicted-CN_mean.nii.gz").exists()  # nobody is in that cell


def test_the_difference_lies_in_the_left_hippocampus(group: Path) -> None:
    image = nib.load(group / "maps" / "lrp" / "AD-minus-CN_logp.nii.gz")
    index = np.argwhere(np.asarray(image.dataobj) >= -np.log10(0.05))
    assert len(index) > 0
    places = index @ image.affine[:3, :3].T + image.affine[:3, 3]
    assert (np.linalg.norm(places - [-26, -20, -15], axis=1) < 20).all()
    change = volume(group / "maps" / "lrp" / "AD-minus-CN_difference.nii.gz")
    assert change.max() == pytest.approx(STRENGTH["AD"], abs=2.5)


def test_regions_name_it_too(group: Path) -> None:
    top = pd.read_csv(group / "top_regions.csv").set_index(["group", "place"])
    # The blob's centre lies at its border with the inferior lateral ventricle, which is too small to have a rank.
    assert "Left-Hippocampus" in {top.loc[("AD", place), "region"] for place in (1, 2)}
    assert "Left-Inf-Lat-Vent" not in set(top["region"])
    long = pd.read_csv(group / "regions_long.csv")
    standing_out = long[(long["gain"] >= 3) & (long["method"] == "lrp")]  # of noise none does: CN has the blob not
    assert set(top["region"]) <= set(standing_out["region"])
    assert set(top.reset_index()["group"]) == {"all", *standing_out["group"]}
    assert "CN" not in set(standing_out["group"])
    found = pd.read_csv(group / "correlations.csv").set_index(["method", "region", "covariate"])
    own = found.loc[("lrp", "Left-Hippocampus", "region volume")]
    assert own["value"] < -0.7  # where the table says that the hippocampus is small, relevance is high
    assert own["q"] < 0.05
    measured = found.loc[("lrp", "Left-Hippocampus", MEASURED_SHARE)]
    assert measured["value"] < -0.7  # and where the segmentation says so, without any column
    assert measured["q"] < 0.05
    volumes = {"region volume", MEASURED_SHARE}
    assert set(found.reset_index()["covariate"]) == {"age", "sex", "Left-Hippocampus", *volumes}
    means = pd.read_csv(group / "region_means.csv").set_index(["method", "region", "group"])["mean"]
    assert means["lrp", "Left-Hippocampus", "AD"] > 1.5 * means["lrp", "Left-Hippocampus", "CN"]
    wide = pd.read_csv(group / "regions_wide.csv")
    assert len(wide) == len(GROUPS)
    assert "summary: Right-Hippocampus" in wide
    assert pd.read_csv(group / "volumes.csv")["Left-Hippocampus"].is_monotonic_decreasing
    by_group = pd.read_csv(group / "group_volumes.csv").set_index(["structure", "group"])["mean"]
    assert by_group["Hippocampus", "AD"] < by_group["Hippocampus", "CN"]


def test_the_page_is_self_contained_linked_and_sortable(finished: Plan, group: Path) -> None:
    page = (finished.output / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(https?:)?//', page)
    for path in re.findall(r'href="(sub-[^"]+)"', page):
        assert (finished.output / path).is_file()
    assert len(re.findall(r'href="sub-', page)) == len(GROUPS)
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert len(digests) == 2  # the planes', and the tables'
    assert "script-src 'sha256-{}' blob: 'sha256-{}'".format(*digests) in page
    assert page.count('class="sortable') >= 4
    for words in (
        "Research use only",
        "Balanced accuracy",
        "Kendall",
        "false-discovery",
        "true AD, predicted CN",
        "1 subject failed",
        'id="volumes"',
        "“measured share of intracranial volume”",
        "Left out, because not every subject has them",
        "±: SD over the 3 networks of this model.",
        '<td class="n">0.560 ± 0.032</td>',  # the third subject's group and its deviation
    ):
        assert words in page
    assert "It has &lt;no&gt; brain." in page
    figures = {path.stem for path in (group / "figures").iterdir()}
    assert figures >= {"confusion", "roc", "calibration", "selection", "means", "lrp_groups", "summary_difference"}
    assert page.count("data:image/") == len(figures)


def test_group_maps_are_clicked_through_and_rows_open_pages(browser: Browser, finished: Plan, group: Path) -> None:
    with watched_page(browser, offline=True) as page:
        page.goto((finished.output / "report.html").as_uri())
        page.wait_for_selector(".planes[data-ready]")
        place = page.locator("[data-part=place]")
        for first_words, file in (
            ("lrp/AD (n", "lrp/true-AD_mean.nii.gz"),
            ("summary/AD − CN", "summary/AD-minus-CN_difference.nii.gz"),
        ):
            option = page.locator(f'[data-part=map] option[value^="{first_words}"]').get_attribute("value")
            page.select_option("[data-part=map]", option)
            page.wait_for_function("map => document.querySelector('[data-part=map]').dataset.shown === map", arg=option)
            values = volume(group / "maps" / file)
            voxel = tuple(int(one) for one in str(place.get_attribute("data-voxel")).split())
            told = float(str(place.get_attribute("data-value")))
            assert told == pytest.approx(float(values[voxel]), abs=float(np.abs(values).max()) / 2000)
        assert "voxel" in place.inner_text()
        assert accessibility_problems(page) == []
        page.locator("tr.opens td:nth-child(2)").first.click()
        page.wait_for_url("**/sub-S00_report.html")


def test_a_page_of_500_subjects_is_small_scrolls_and_sorts(
    browser: Browser, finished: Plan, group: Path, tmp_path: Path
) -> None:
    subjects = finished.subject_results()
    times = -(-500 // len(subjects))
    results = group_tables(finished, subjects, ())
    results = replace(
        results, subjects=subjects * times, predictions=pd.concat([results.predictions] * times, ignore_index=True)
    )
    results.pictures.update(all_charts(results))
    for name in results.methods:
        results.maps[name] = MethodGroupMaps({}, {}, {}, {"groups": Picture(b"", "image/svg+xml", "no picture")})
    path = tmp_path / "report.html"
    path.write_text(cohort_page(results), encoding="utf-8")
    assert path.stat().st_size + (finished.output / "report.html").stat().st_size < 25e6
    with watched_page(browser, offline=True) as page:
        page.goto(path.as_uri())
        table = page.locator("#subjects ~ .scroll")
        assert table.locator("tbody tr").count() == times * len(subjects)
        assert table.evaluate("one => one.scrollHeight > 2 * one.clientHeight")
        column = table.locator("thead th").last
        for order in ("ascending", "descending"):
            column.get_by_role("button").click()
            assert column.get_attribute("aria-sort") == order
            seconds = table.locator("tbody td:last-child").all_inner_texts()
            assert [float(one) for one in seconds] == sorted(map(float, seconds), reverse=order == "descending")


def subset(plan: Plan, keep: Callable[[int], bool], output: Path, **changes: str) -> Plan:
    """The plan with some of the subjects, their files where they are, group results elsewhere."""
    subjects = [subject for place, subject in enumerate(plan.cohort.subjects) if keep(place)]
    people = tuple(replace(subject, **changes) for subject in subjects)
    output.mkdir()
    for subject in people:
        (output / subject.folder).symlink_to(plan.output / subject.folder)
    return replace(plan, output=output, cohort=replace(plan.cohort, subjects=people))


@pytest.mark.parametrize("case", ["one subject", "one group", "no group"])
def test_cohorts_that_cannot_be_compared(finished: Plan, tmp_path: Path, case: str) -> None:
    keep = {"one subject": lambda place: place == 0, "one group": lambda place: place < 3}.get(
        case, lambda p: p in (0, 9)
    )
    plan = subset(finished, keep, tmp_path / "out", **({"group": ""} if case == "no group" else {}))
    plan = replace(plan, settings=replace(plan.settings, methods=("lrp",)))
    files = write_group(plan, plan.subject_results())
    page = files["report"].read_text(encoding="utf-8")
    assert "There are no AD and CN subjects to compare." in page
    assert ("An ROC curve needs two groups." in page) == (case != "no group")
    assert ("The table names no groups" in page) == (case == "no group")
    assert "too few subjects" in page
    shown = "predicted-CN" if case == "no group" else "true-CN"
    assert (files["folder"] / "maps" / "lrp" / f"{shown}_mean.nii.gz").is_file()


def test_cancelling_keeps_the_earlier_group_results(finished: Plan, group: Path) -> None:
    before = (group / "group.json").read_bytes()

    def stop(step: str, fraction: float) -> None:
        if step == "Group maps":
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        write_group(finished, finished.subject_results(), progress=stop)
    assert (group / "group.json").read_bytes() == before
    assert not list(finished.output.glob(".partial-*"))


def test_a_full_disk_keeps_the_earlier_group_results(finished: Plan, group: Path) -> None:
    before = (group / "group.json").read_bytes()
    with files_no_longer_than(10_000), pytest.raises(UserError, match="Cannot write"):
        write_group(finished, finished.subject_results())
    assert (group / "group.json").read_bytes() == before
    assert not list(finished.output.glob(".partial-*"))


@pytest.mark.slow
def test_the_difference_by_cluster_enhancement(finished: Plan, tmp_path: Path) -> None:
    plan = replace(finished, options=replace(finished.options, correction="tfce", permutations=19))
    about = {"title": "LRP", "signed": True, "units": "logit"}
    found = make_group_maps(plan, plan.subject_results(), "lrp", about, tmp_path, lambda fraction: None)
    assert found.difference["correction"] == "tfce"
    assert found.difference["critical_tfce"] > 0
    assert "critical_t" not in found.difference
    enhanced, t = (volume(tmp_path / f"AD-minus-CN_{kind}.nii.gz") for kind in ("tfce", "t"))
    assert enhanced.min() >= 0
    place = np.unravel_index(enhanced.argmax(), enhanced.shape)
    affine = nib.load(tmp_path / "AD-minus-CN_tfce.nii.gz").affine
    assert np.linalg.norm(affine[:3, :3] @ place + affine[:3, 3] - [-26, -20, -15]) < 12  # where the blob is
    assert t[place] > 0
    assert found.difference["significant_voxels"] == int((enhanced >= found.difference["critical_tfce"]).sum()) > 0
    assert "threshold-free cluster enhancement" in found.pictures["difference"].caption


def test_the_group_scene(finished: Plan, group: Path, tmp_path: Path) -> None:
    pytest.importorskip("slicer")
    from mri_interpret.scene.geometry import volume_of
    from mri_interpret.scene.group import build_group_scene, write_group_mrb
    from mri_interpret.scene.headless import HeadlessScene
    from mri_interpret.scene.tables import table_frame
    from mri_interpret.scene.views import add_views

    with HeadlessScene() as headless:
        add_views(headless.scene)
        nodes = build_group_scene(finished.output, headless.scene)
        shown = {name for _, name in nodes.maps}
        assert shown == {"true-CN_mean", "true-MCI_mean", "true-AD_mean", "AD-minus-CN_difference", "AD-minus-CN_t"}
        assert len(nodes.maps) == 5 * 3
        found = volume_of(nodes.maps["lrp", "true-AD_mean"])
        assert np.allclose(found.array, volume(group / "maps" / "lrp" / "true-AD_mean.nii.gz"))
        assert np.allclose(found.affine, finished.grid.affine)
        assert "Research use only" in nodes.note.GetText()
        assert len(table_frame(nodes.tables["predictions"])) == len(GROUPS)
        composite = headless.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        assert composite.GetForegroundVolumeID() == nodes.maps["summary", "AD-minus-CN_difference"].GetID()
    path = write_group_mrb(finished.output, tmp_path / "cohort.mrb")
    with HeadlessScene() as again:
        again.read(path)
        names = {node.GetName() for node in again.scene.GetNodesByClass("vtkMRMLScalarVolumeNode")}
        assert "LRP, mean of AD (n=5)" in names
        assert "Summary score, AD minus CN, difference of means" in names
    with HeadlessScene() as empty:
        with pytest.raises(UserError, match="no group results"):
            build_group_scene(tmp_path, empty.scene)
        assert empty.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None


def test_words_of_the_command_line() -> None:
    from mri_interpret.command_line.arguments import gibibytes, pairs

    assert pairs("Control=CN, Patient=AD", "--groups") == {"Control": "CN", "Patient": "AD"}
    assert gibibytes(1.5) == 1.5 * 2**30
    for text in ("Control", "=CN", "Control="):
        with pytest.raises(UserError, match="--groups does not understand"):
            pairs(text, "--groups")
    with pytest.raises(UserError, match="--memory"):
        gibibytes(0)


# ---------------------------------------------------------------------- a model of labels


def test_tables_and_page_of_labels(finished: Plan, tmp_path: Path) -> None:
    """The same subjects, as if their network told labels of which the table knows two; their maps change nothing."""
    labels = OutputMeaning("labels", finished.cohort.classes)
    people = [
        replace(one, subject=replace(one.subject, labels={"AD": place > 4, "CN": place % 3 == 0}))
        for place, one in enumerate(finished.subject_results())
    ]
    results = group_tables(replace(finished, model=replace(finished.model, output=labels)), people, ())
    write_tables(results, tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["true_AD"].tolist() == [int(place > 4) for place in range(11)]
    assert "true_MCI" not in table
    measures = pd.read_csv(tmp_path / "performance.csv").set_index("measure")
    area = roc_auc_score(table["true_AD"], table["p_AD"])
    assert measures.loc["AUC AD", "value"] == pytest.approx(area)
    assert measures.loc["accuracy CN", "value"] == pytest.approx(((table["p_CN"] >= 0.5) == table["true_CN"]).mean())
    assert not (tmp_path / "confusion.csv").exists()
    assert set(pd.read_csv(tmp_path / "roc.csv")["class"]) == {"CN", "AD"}
    assert group_record(results)["label_areas"]["AD"] == pytest.approx(area)
    results.pictures.update(all_charts(results))
    for name in results.methods:
        results.maps[name] = MethodGroupMaps({}, {}, {}, {"groups": Picture(b"", "image/svg+xml", "no picture")})
    page = re.sub(r"base64,[^\"]+|<style>.*?</style>|<[^>]+>", " ", cohort_page(results))
    assert re.search(rf"AD\s+6 of 11\s+{area:.2f} \(", page)
    assert "Each label, by its probability" in page
    for words in ("Correct", "classified correctly", "all others"):
        assert words not in page, words
