"""This brain's anatomy in the panel: the user's own segmentation, what regions are, the table of volumes."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys

import numpy as np
import pytest
from mri_interpret.doors import explain_job
from mri_interpret.doors.result_tables import reader_name
from mri_interpret.errors import UserError
from mri_interpret.images.array_files import read_array_file
from mri_interpret.worker.explain_request import ExplainRequest

from Testing.panel.panel_nodes import offsets, pick


def texts(table) -> list[list[str]]:
    return [
        [str(table.item(row, column).text()) for column in range(table.columnCount)] for row in range(table.rowCount)
    ]


def add_labels(scene, volume, array, name="aseg"):
    """A label volume node on the scan's grid."""
    from mri_interpret.scene.geometry import fill_volume_node

    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    fill_volume_node(node, volume.with_array(array))
    return node


def test_a_segmentation_of_ones_own_can_be_chosen_and_then_decides_what_regions_are(widget, host):
    scene = host.headless.scene
    pick(widget.ui.regionsComboBox, "atlas")
    assert widget._parameterNode.regions == "atlas"
    assert widget.ui.regionsComboBox.enabled
    nodes = [scene.AddNewNodeByClass(f"vtkMRML{kind}Node", kind) for kind in ("Segmentation", "LabelMapVolume")]
    for node in [*nodes, None]:
        widget.ui.segmentationSelector.setCurrentNode(node)
        assert widget.panel.context.segmentation_node is node
        assert widget.panel.context.mask_node is None
        widget.exit()
        widget.enter()
        assert widget.ui.segmentationSelector.currentNode() is node
        assert widget.ui.regionsComboBox.enabled is (node is None)
        if node is not None:
            assert "own segmentation" in widget.ui.regionsComboBox.toolTip


@pytest.mark.parametrize("own", [True, False])
def test_explain_is_asked_for_what_was_chosen(widget, host, scan, monkeypatch, own):
    asked = {}
    monkeypatch.setattr(widget.logic, "startExplain", lambda *_args, **options: asked.update(options))
    monkeypatch.setattr("mri_interpret.panel.environment.ensure", lambda *_: None)
    node = host.headless.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "own") if own else None
    widget._parameterNode.inputVolume = scan
    pick(widget.ui.regionsComboBox, "atlas")
    widget.ui.segmentationSelector.setCurrentNode(node)
    widget.ui.explainButton.click()
    assert asked["segmentationNode"] is node
    assert asked["regions"] == ("brain" if own else "atlas")


def test_the_worker_gets_the_segmentation(host, scan, small_explanation, wait):
    labels = small_explanation.anatomy.labels
    node = add_labels(host.headless.scene, small_explanation.scan, labels.array.astype(np.int16))
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    worker = explain_job.start(scan, segmentation_node=node, command=command, model="small")
    try:
        wait(lambda: worker.poll() or (worker.folder / "job.json").exists())
        request = ExplainRequest.read(worker.folder / "job.json")
        assert (request.segmentation, request.regions, request.mask) == ("given", "brain", "auto")
        found = read_array_file(request.segmentation_volume, worker.folder)
        np.testing.assert_array_equal(found.array, labels.array)
    finally:
        worker.cancel()


def test_names_of_segments_come_back_from_the_request(tmp_path):
    request = ExplainRequest({}, segmentation="given", segmentation_names=((17, "Left-Hippocampus"), (20001, "Tumour")))
    path = request.write(tmp_path)
    assert json.loads(path.read_text())["segmentation_names"][1] == [20001, "Tumour"]
    assert ExplainRequest.read(path) == request


def test_an_empty_segmentation_is_one_sentence_before_anything_starts(host, logic_of, scan, small_explanation):
    empty = add_labels(host.headless.scene, small_explanation.scan, np.zeros(small_explanation.scan.shape, np.int16))
    for call in (logic_of.explain, lambda node, **options: logic_of.startExplain(node, print, print, **options)):
        with pytest.raises(UserError, match="The segmentation aseg is empty"):
            call(scan, segmentationNode=empty, model="small")


@pytest.fixture
def logic_of(host):
    import MRIInterpret

    made = MRIInterpret.MRIInterpretLogic()
    yield made
    made.cancel()


def test_the_table_of_volumes_is_that_of_this_brain(shown, small_explanation):
    table = shown.ui.volumeTable
    heads = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    assert heads[:3] == ["Structure", "Volume (ml)", "Of intracranial (%)"]
    assert table.rowCount == len(small_explanation.anatomy.structures)
    by_name = {row[0]: row for row in texts(table)}
    left = small_explanation.anatomy.structure("Left-Hippocampus")
    assert float(by_name["Left hippocampus"][1]) == pytest.approx(left.ml, rel=1e-2)
    assert float(by_name["Left hippocampus"][2]) == pytest.approx(100 * left.share, rel=1e-2)
    assert by_name["Left hippocampus"][4:6] == ["", ""]  # nobody measured how good the user's own segmentation is
    small = next(one for one in small_explanation.anatomy.structures if one.too_small)
    assert by_name[small.reader_name][-1] == "below 0.3 ml"


def test_a_chosen_structure_is_outlined_and_the_slices_move_there(shown, host, small_explanation):
    from mri_interpret.scene.atlas import centre, segment_id

    nodes = shown.panel.result.result.nodes
    table = shown.ui.volumeTable
    row = next(row for row, cells in enumerate(texts(table)) if cells[0] == "Right hippocampus")
    table.selectRow(row)
    display = nodes.atlas.GetDisplayNode()
    assert display.GetVisibility()
    assert display.GetSegmentVisibility(segment_id(53))
    assert not display.GetSegmentVisibility(segment_id(17))
    place = centre(nodes.atlas, 53)
    index = np.argwhere(small_explanation.anatomy.labels.array == 53)
    affine = small_explanation.scan.affine
    middle = affine[:3, :3] @ ((index.min(0) + index.max(0)) / 2) + affine[:3, 3]
    assert np.linalg.norm(np.subtract(place, middle)) < 6  # voxels of 4 mm
    for offset in offsets(host.headless.scene):
        assert np.abs(np.subtract(offset, place)).min() < 0.5


def test_all_regions_can_be_outlined_and_one_again(shown):
    from mri_interpret.scene.atlas import segment_id

    display = shown.panel.result.result.nodes.atlas.GetDisplayNode()
    shown.ui.showAnatomyCheckBox.click()
    assert display.GetVisibility()
    assert display.GetSegmentVisibility(segment_id(17))
    assert display.GetSegmentVisibility(segment_id(53))
    shown.ui.regionTable.selectRow(0)
    assert not shown.ui.showAnatomyCheckBox.checked
    visible = [display.GetSegmentVisibility(segment_id(label)) for label in (17, 53)]
    assert sum(visible) <= 1
    shown.ui.showAnatomyCheckBox.click()
    shown.ui.showAnatomyCheckBox.click()
    assert not display.GetVisibility()


def test_volumes_are_exported_as_the_files_of_the_command_line_are(shown, host, small_explanation, tmp_path):
    import qt
    from mri_interpret.anatomy.volumes import volume_table

    qt.QFileDialog.answer = str(tmp_path / "volumes.csv")
    shown.ui.exportVolumesButton.click()
    with (tmp_path / "volumes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = volume_table(small_explanation.anatomy)
    assert list(rows[0]) == list(expected.columns)
    assert [row["structure"] for row in rows] == expected["structure"].tolist()
    assert [float(row["ml"]) for row in rows] == pytest.approx(expected["ml"].tolist())
    assert rows[0]["dice"] == ""


def test_small_regions_are_marked_and_listed_last(shown, small_explanation):
    table = small_explanation.region_table
    own = table[(table["method"] == "summary") & (table["space"] == "native") & (table["label"] > 0)]
    small = {reader_name(row["region"], row["label"]) for _, row in own[own["volume_mm3"] < 300].iterrows()}
    assert small
    rows = texts(shown.ui.regionTable)
    marked = [bool(row[-1]) for row in rows]
    assert {row[0] for row in rows if row[-1]} == small
    assert marked == sorted(marked)


def test_without_a_result_nothing_can_be_exported(widget):
    assert not widget.ui.exportVolumesButton.enabled
    assert not widget.ui.showAnatomyCheckBox.enabled
    assert widget.ui.volumeTable.rowCount == 0


@pytest.fixture
def unsegmented(widget, scan, small_explanation):
    """A result of a version that did not segment."""
    import slicer

    result = explain_job.show(slicer.mrmlScene, dataclasses.replace(small_explanation, anatomy=None), scan)
    widget._parameterNode.inputVolume = scan
    widget.logic._results[result.run] = result
    widget.panel.explain.on_finished(result, "")
    return widget


def test_an_older_result_says_why_it_has_no_volumes(unsegmented):
    assert unsegmented.ui.volumeTable.rowCount == 0
    assert not unsegmented.ui.exportVolumesButton.enabled
    assert "not segmented" in unsegmented.ui.exportVolumesButton.toolTip
