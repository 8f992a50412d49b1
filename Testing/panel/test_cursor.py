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


def test_nothing_is_followed_once_the_panel_is_left(crosshair, shown, small_explanation):
    shown.exit()
    crosshair.SetCursorPositionRAS([0.0, -20.0, 10.0])
    assert shown.ui.cursorLabel.text == ""
