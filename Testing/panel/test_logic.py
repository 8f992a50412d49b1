"""The module's logic on a real scan and a small network: in this process, in the worker, from a file: the same."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.explanation.job import explain
from mri_interpret.images.reading import read_scan
from mri_interpret.images.volume import Volume
from mri_interpret.resources import resource
from mri_interpret.scene import scan_input
from mri_interpret.scene.geometry import affine_of, volume_of
from mri_interpret.scene.views import to_world
from mri_interpret.worker.messages import Progress
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from Testing.panel.panel_nodes import add_volume

OPTIONS = {"model": "small", "methods": ["lrp", "grad_cam_pp"], "device": "cpu", "target": "AD-CN", "trust": "off"}


@pytest.fixture(scope="module")
def coarse() -> Volume:
    """A real head at 3 mm."""
    sample = read_scan(resource("SampleData", "colin27_T1.nii.gz"))
    array = np.ascontiguousarray(sample.array[::3, ::3, ::3])
    return Volume(array, sample.affine @ np.diag([3.0, 3.0, 3.0, 1.0]), "coarse")


@pytest.fixture
def logic(host):
    import MRIInterpret

    made = MRIInterpret.MRIInterpretLogic()
    yield made
    made.cancel()


@pytest.fixture
def in_worker(logic, wait):
    """Run a job in the worker and hand back result, sentence and the progress on the way."""

    def run(node, **options):
        finished, progress = [], []
        logic.startExplain(node, progress.append, lambda *outcome: finished.append(outcome), **(OPTIONS | options))
        wait(lambda: finished, 300)
        return *finished[0], progress

    return run


def node_ids(scene):
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


@pytest.mark.slow
def test_console_worker_and_file_give_the_same(host, logic, in_worker, coarse, tmp_path):
    import slicer

    path = tmp_path / "coarse.nii.gz"
    nib.save(nib.Nifti1Image(coarse.array.astype(np.float32), coarse.affine), path)
    node = slicer.util.loadVolume(str(path), {"name": "coarse"})
    before = volume_of(node)
    here = logic.explain(node, **OPTIONS)
    there, sentence, progress = in_worker(node)
    assert sentence == ""
    file = explain(path, **OPTIONS)
    for name in OPTIONS["methods"]:
        one = volume_of(here.nodes.maps[name]).array
        np.testing.assert_array_equal(one, volume_of(there.nodes.maps[name]).array)
        scale = np.abs(one).max()
        brain = here.explanation.mask.array > 0
        # In the brain the scene holds the very numbers; outside, nothing.
        assert not one[~brain].any()
        np.testing.assert_array_equal(one[brain], here.explanation.maps[name].native.array[brain])
        np.testing.assert_array_equal(one[brain], there.explanation.maps[name].native.array[brain])
        np.testing.assert_allclose(one[brain], file.maps[name].native.array[brain], atol=1e-4 * scale)
        np.testing.assert_allclose(affine_of(here.nodes.maps[name]), coarse.affine, atol=1e-4)
    assert here.probabilities == there.probabilities == pytest.approx(file.prediction.probabilities, abs=1e-5)
    assert here.explanation.target == there.explanation.target
    assert here.regions["gain"].to_numpy() == pytest.approx(there.regions["gain"].to_numpy(), nan_ok=True)
    assert logic.results() == [here.run, there.run]
    np.testing.assert_array_equal(volume_of(node).array, before.array)
    overall = [message.overall for message in progress if isinstance(message, Progress)]
    assert overall == sorted(overall)
    assert {m.step for m in progress if isinstance(m, Progress)} >= {"Finding the brain", "Explaining"}
    # Once the result is no longer used, or its report is drawn, its files are deleted.
    folder = logic._job.worker.folder
    assert folder.is_dir()
    logic.forgetResults()
    del there
    gc.collect()
    assert not folder.exists()


@pytest.mark.slow
def test_under_a_transform_the_result_lies_under_it_too_and_is_the_same(host, logic, coarse):
    scene = host.headless.scene
    scan = add_volume(scene, coarse, "scan")
    plain = logic.explain(scan, **OPTIONS)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    matrix = vtkMatrix4x4()
    for row, values in enumerate([[0, -1, 0, 20], [1, 0, 0, -5], [0, 0, 1, 9]]):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, value)
    transform.SetMatrixTransformToParent(matrix)
    scan.SetAndObserveTransformNodeID(transform.GetID())
    moved = logic.explain(scan, **OPTIONS)
    np.testing.assert_array_equal(volume_of(moved.nodes.summary).array, volume_of(plain.nodes.summary).array)
    assert moved.nodes.summary.GetTransformNodeID() == transform.GetID()
    np.testing.assert_allclose(to_world(moved.nodes.summary), to_world(scan))


def test_a_non_linear_parent_transform_is_refused(host, logic, coarse):
    scene = host.headless.scene
    scan = add_volume(scene, coarse, "scan")
    warp = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    from slicer import vtkOrientedGridTransform
    from vtkmodules.vtkCommonDataModel import vtkImageData

    field = vtkImageData()
    field.SetDimensions(2, 2, 2)
    field.AllocateScalars(10, 3)
    grid = vtkOrientedGridTransform()
    grid.SetDisplacementGridData(field)
    warp.SetAndObserveTransformToParent(grid)
    scan.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(UserError, match="non-linear transform warp"):
        logic.explain(scan, **OPTIONS)
    with pytest.raises(UserError, match="harden"):
        logic.startExplain(scan, print, print, **OPTIONS)


@pytest.mark.slow
def test_a_second_run_replaces_the_first_if_wanted(host, logic, coarse):
    scan = add_volume(host.headless.scene, coarse, "scan")
    first = logic.explain(scan, **OPTIONS)
    count = host.headless.scene.GetNumberOfNodes()
    second = logic.explain(scan, **OPTIONS, replace=first.run)
    assert logic.results() == [second.run]
    assert host.headless.scene.GetNumberOfNodes() == count


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["label volume", "segmentation"])
def test_a_given_mask_is_used(host, logic, coarse, kind):
    import slicer

    scene = host.headless.scene
    scan = add_volume(scene, coarse, "scan")
    index = np.moveaxis(np.indices(coarse.shape, dtype=float), 0, -1)
    world = index @ coarse.affine[:3, :3].T + coarse.affine[:3, 3]
    brain = (np.linalg.norm((world - (0, -18, 12)) / (64, 82, 60), axis=-1) < 1).astype(np.uint8)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    from mri_interpret.scene.geometry import fill_volume_node

    fill_volume_node(labels, coarse.with_array(brain))
    mask = labels
    if kind == "segmentation":
        mask = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "brain")
        slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labels, mask)
        mask.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    before = node_ids(scene)
    np.testing.assert_array_equal(scan_input.mask_of(mask, scan).array, brain)
    assert node_ids(scene) == before
    result = logic.explain(scan, maskNode=mask, **OPTIONS)
    np.testing.assert_array_equal(result.explanation.mask.array > 0, brain > 0)


def test_a_mask_that_is_empty_or_on_another_grid_is_one_sentence(host, coarse):
    from mri_interpret.scene.geometry import fill_volume_node

    scene = host.headless.scene
    scan = add_volume(scene, coarse, "scan")
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask")
    fill_volume_node(mask, coarse.with_array(np.zeros(coarse.shape, np.uint8)))
    with pytest.raises(UserError, match="mask is empty"):
        scan_input.mask_of(mask, scan)
    fill_volume_node(mask, Volume(np.ones((4, 4, 4), np.uint8), coarse.affine))
    with pytest.raises(UserError, match="does not lie on the voxel grid"):
        scan_input.mask_of(mask, scan)


def test_no_scan_and_an_empty_scan_are_one_sentence(host, logic):
    with pytest.raises(UserError, match="choose a volume"):
        logic.explain(None, **OPTIONS)
    empty = host.headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(UserError, match="empty cannot be explained"):
        logic.explain(empty, **OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"model": "nonsense"}, {"target": "nonsense"}])
def test_the_workers_errors_are_one_sentence_and_leave_the_scene_as_it_was(host, in_worker, coarse, options):
    scan = add_volume(host.headless.scene, coarse, "scan")
    before = node_ids(host.headless.scene)
    result, sentence, _progress = in_worker(scan, **options)
    assert result is None
    assert "nonsense" in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert node_ids(host.headless.scene) == before


def test_cancelling_leaves_the_scene_as_it_was_and_no_file(host, logic, coarse, wait):
    scan = add_volume(host.headless.scene, coarse, "scan")
    before = node_ids(host.headless.scene)
    finished, progress = [], []
    logic.startExplain(scan, progress.append, lambda *outcome: finished.append(outcome), **OPTIONS)
    folder = logic._job.worker.folder
    wait(lambda: progress)
    with pytest.raises(RuntimeError, match="is running"):
        logic.startExplain(scan, print, print, **OPTIONS)
    logic.cancel()
    assert finished == [(None, "Cancelled.")]
    assert not logic.running
    assert not folder.exists()
    assert node_ids(host.headless.scene) == before


@pytest.mark.slow
def test_clicking_explain_runs_to_the_result_without_blocking_the_window(host, widget, coarse, wait, beats):
    """The whole way through the panel, from the click to the tables and the 3D view."""
    scan = add_volume(host.headless.scene, coarse, "scan")
    parameters = widget._parameterNode
    parameters.inputVolume, parameters.methods, parameters.trust = scan, "lrp,grad_cam_pp", "off"
    steps = []
    with beats() as gaps:
        widget.ui.explainButton.click()
        assert widget.logic.running
        assert not widget.ui.explainButton.enabled
        assert widget.ui.cancelButton.enabled
        wait(lambda: steps.append(widget.ui.statusLabel.text) or not widget.logic.running, 300)
    assert widget.ui.statusLabel.text == "Done."
    assert any(step.startswith("Putting the result into the scene") for step in steps)
    assert widget.ui.regionTable.rowCount > 50
    assert widget.ui.explainButton.enabled
    assert widget.ui.mapList.count == 5  # the summary, two methods, consensus and spread
    assert max(gaps) < 0.1, f"the window stood still for {max(gaps):.3f} s"


def test_cancel_by_click_and_closing_the_scene_end_the_worker(host, widget, coarse, wait):
    import slicer

    for how in ("click", "close", "cleanup"):
        scan = add_volume(slicer.mrmlScene, coarse, "scan")
        widget.enter()
        widget._parameterNode.model = "small"
        widget._parameterNode.inputVolume = scan
        widget.ui.explainButton.click()
        worker = widget.logic._job.worker
        assert worker.running
        wait(lambda worker=worker: worker._process is not None)
        if how == "click":
            widget.ui.cancelButton.click()
            assert widget.ui.statusLabel.text == "Cancelled."
        elif how == "close":
            slicer.mrmlScene.Clear(0)
        else:
            widget.cleanup()
        assert not worker.running
        assert worker._process.poll() is not None
        assert not Path(worker.folder).exists()


@pytest.mark.slow
def test_the_self_test_passes_on_the_stand_in(host, widget, models):
    """The same checks that Slicer runs; with the small network in place of the default one if that is not there."""
    from mri_interpret.models.registry import DEFAULT_MODEL, list_models

    import MRIInterpret
    from Testing.models.bundles import write_small_bundle

    if DEFAULT_MODEL not in {model.name for model in list_models()}:
        write_small_bundle(models / DEFAULT_MODEL)
        widget.panel.context.models.refresh()
    widget._parameterNode.model = DEFAULT_MODEL
    host.module_widgets["MRIInterpret"] = widget
    began = time.monotonic()
    MRIInterpret.MRIInterpretTest().runTest()
    assert time.monotonic() - began < 180
