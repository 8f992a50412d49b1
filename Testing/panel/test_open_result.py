"""A saved result is opened from its folder: by the button, by the logic, and what is no result is one sentence."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.scene.geometry import affine_of, volume_of
from mri_interpret.scene.views import nodes_of
from mri_interpret.worker.messages import BUILDING, Progress

from Testing.panel.panel_nodes import composites
from Testing.panel.test_building import folders, ids


@pytest.fixture(scope="module")
def saved(small_explanation, tmp_path_factory):
    """The small explanation in a folder, as the command line saves it."""
    folder = tmp_path_factory.mktemp("saved") / "my result"
    small_explanation.save(folder)
    return folder


def choose(widget, folder):
    """Press Open result... and choose a folder."""
    import qt

    qt.QFileDialog.answer = str(folder)
    widget.ui.openResultButton.click()


def test_the_button_opens_a_saved_result_with_its_scan(host, widget, saved, small_explanation, wait, beats):
    ui, scene = widget.ui, host.headless.scene
    steps = []
    for _attempt in range(2):  # 0.06 s by itself; a neighbour's work can double it once, but not twice in a row
        with beats() as gaps:
            choose(widget, saved)
            assert widget.logic.running
            assert not ui.openResultButton.enabled
            assert not ui.explainButton.enabled
            wait(lambda: steps.append(ui.statusLabel.text) or not widget.logic.running, 120)
        assert ui.statusLabel.text == "Done."
        if max(gaps) < 0.1:
            break
    assert max(gaps) < 0.1, f"the window stood still for {max(gaps):.3f} s"
    assert any(step.startswith("Reading the saved result") for step in steps)
    result = widget.panel.result.result
    for name, one in small_explanation.maps.items():
        brain = small_explanation.mask.array > 0
        np.testing.assert_array_equal(volume_of(result.nodes.maps[name]).array[brain], one.native.array[brain])
        np.testing.assert_allclose(affine_of(result.nodes.maps[name]), small_explanation.scan.affine)
    np.testing.assert_array_equal(volume_of(result.nodes.scan).array, small_explanation.scan.array)
    assert {c.GetBackgroundVolumeID() for c in composites(scene)} == {result.nodes.scan.GetID()}
    assert {c.GetForegroundVolumeID() for c in composites(scene)} == {result.nodes.summary.GetID()}
    assert result.probabilities == pytest.approx(small_explanation.prediction.probabilities)
    assert ui.resultComboBox.currentText == result.run
    assert ui.regionTable.rowCount > 0
    assert not widget.logic._job.worker.folder.exists()  # the saved folder is all that the result needs
    assert ui.saveReportButton.enabled


@pytest.mark.slow
def test_its_report_can_be_saved(host, widget, saved, small_explanation, tmp_path):
    path = widget.logic.openResult(saved).save_report(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert 'id="trust"' in text
    assert {verdict.check for verdict in small_explanation.verdicts} >= {"randomisation"}
    assert all(verdict.check in text for verdict in small_explanation.verdicts)


def test_a_script_opens_it_too(host, widget, saved, small_explanation):
    steps = []
    result = widget.logic.openResult(saved, lambda step, fraction: steps.append((step, fraction)))
    assert steps[-1][1] == 1.0
    assert widget.logic.results() == [result.run]
    assert widget.logic.result(result.run) is result
    assert result.complete
    again = widget.logic.openResult(str(saved))
    assert widget.logic.results() == [result.run, again.run]


def test_closing_the_dialog_opens_nothing(host, widget):
    before = ids(host.headless.scene)
    choose(widget, "")
    assert not widget.logic.running
    assert ids(host.headless.scene) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: folder.mkdir(), "holds no"),
        (lambda folder: None, "is not a folder"),
        (lambda folder: folder.write_text("no folder"), "is not a folder"),
    ],
)
def test_a_folder_that_is_no_result_is_one_sentence(host, widget, tmp_path, wait, spoil, words):
    folder = tmp_path / "something"
    spoil(folder)
    scene = host.headless.scene
    before = ids(scene), folders(scene)
    choose(widget, folder)
    wait(lambda: not widget.logic.running, 60)
    assert words in widget.ui.statusLabel.text
    assert str(folder) in widget.ui.statusLabel.text
    assert "\n" not in widget.ui.statusLabel.text
    assert (ids(scene), folders(scene)) == before
    assert widget.ui.openResultButton.enabled
    with pytest.raises(UserError, match=words):
        widget.logic.openResult(folder)


def test_a_result_that_lost_a_file_is_one_sentence(host, widget, small_explanation, tmp_path, wait):
    folder = tmp_path / "saved"
    small_explanation.save(folder)
    (folder / "maps" / "summary.nii.gz").unlink()
    before = ids(host.headless.scene)
    choose(widget, folder)
    wait(lambda: not widget.logic.running, 60)
    assert "summary" in widget.ui.statusLabel.text
    assert "\n" not in widget.ui.statusLabel.text
    assert ids(host.headless.scene) == before


def test_opening_can_be_cancelled(host, widget, saved):
    before = ids(host.headless.scene)
    told = []
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    widget.logic.startOpenResult(saved, print, lambda *outcome: told.append(outcome), command=command)
    widget.panel.update()
    with pytest.raises(RuntimeError, match="is running"):
        widget.logic.startOpenResult(saved, print, print)
    folder = widget.logic._job.worker.folder
    widget.ui.cancelButton.click()
    assert told == [(None, "Cancelled.")]
    assert not folder.exists()
    assert saved.is_dir()
    assert ids(host.headless.scene) == before


@pytest.mark.slow
def test_progress_goes_on_and_on(host, widget, saved, wait):
    told, finished = [], []
    widget.logic.startOpenResult(saved, told.append, lambda *outcome: finished.append(outcome))
    wait(lambda: finished, 120)
    overall = [message.overall for message in told if isinstance(message, Progress)]
    assert overall == sorted(overall)
    assert told[-1].step == BUILDING
    assert len(nodes_of(host.headless.scene, "vtkMRMLSegmentationNode")) == 1
