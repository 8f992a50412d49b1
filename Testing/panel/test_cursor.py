"""What lies under the mouse is said while the panel is open: values, region, share of the brain."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.scene.cursor import read_at


@pytest.fixture
def crosshair(host):
    """Slicer's crosshair, in the scene before the panel is made."""
    return host.headless.scene.AddNewNodeByClass("vtkMRMLCrosshairNode")


def test_the_place_under_the_mouse_is_read_and_said(crosshair, shown, small_explanation):
    explanation, nodes = small_explanation, shown.panel.result.result.nodes
    shown.ui.mapList.setCurrentRow(1)
    values = explanation.maps["lrp"].native.array
    index = np.unravel_index(values.argmax(), values.shape)
    point = (explanation.scan.affine @ [*index, 1.0])[:3]
    reading = read_at(nodes, point)
    assert reading.values["lrp"] == pytest.approx(values[index])
    assert reading.values["summary"] == pytest.approx(explanation.summary.array[index])
    assert reading.label == explanation.atlas_in_scan.array[index]
    assert read_at(nodes, (900.0, 0.0, 0.0)) is None
    crosshair.SetCursorPositionRAS(list(map(float, point)))
    text = shown.ui.cursorLabel.text
    assert text.startswith("Here: Summary score +")
    assert f"LRP {values[index]:+.3g}" in text
    assert "Right hippocampus" in text
    share = float(text.partition("; top ")[2].split(" ")[0])
    assert share < 0.1  # nothing in the brain has more
    crosshair.SetCursorPositionInvalid()
    assert shown.ui.cursorLabel.text == ""


def test_regions_keep_their_names_after_the_segment_editor_was_there(shown, small_explanation):
    """It separates segments from their shared volume, and packs them again with other values."""
    import slicer

    nodes = shown.panel.result.result.nodes
    segmentation = nodes.atlas.GetSegmentation()
    labels = np.asarray(small_explanation.atlas_in_scan.array)
    names = {region.label: region.name for region in small_explanation.regions}
    places = {label: np.argwhere(labels == label)[0] for label in names if (labels == label).any()}
    assert len(places) > 2

    def read():
        points = {label: (small_explanation.scan.affine @ [*place, 1.0])[:3] for label, place in places.items()}
        readings = {label: read_at(nodes, point) for label, point in points.items()}
        return {label: (reading.label, reading.region) for label, reading in readings.items()}

    wanted = {label: (label, names[label]) for label in places}
    assert read() == wanted
    segmentation.SeparateSegmentLabelmap(segmentation.GetNthSegmentID(0))
    kind = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    assert segmentation.GetNumberOfLayers(kind) == 2
    assert read() == wanted
    segmentation.CollapseBinaryLabelmaps(False)
    assert segmentation.GetNumberOfLayers(kind) == 1
    values = [segmentation.GetNthSegment(n).GetLabelValue() for n in range(segmentation.GetNumberOfSegments())]
    assert values == list(range(1, len(values) + 1))  # no region's label any more
    assert read() == wanted


def test_nothing_is_followed_once_the_panel_is_left(crosshair, shown, small_explanation):
    shown.exit()
    crosshair.SetCursorPositionRAS([0.0, -20.0, 10.0])
    assert shown.ui.cursorLabel.text == ""
