"""The deformed scan and its displacement in the scene: Slicer deforms the scan as we do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mri_interpret.doors.result_tables import volume_sentences
from mri_interpret.images.volume import Volume, resample
from mri_interpret.scene import build_scene, find_result, remove_result
from mri_interpret.scene.counterfactual import (
    counterfactual_is_shown,
    counterfactuals_of,
    grid_is_shown,
    show_counterfactual,
    show_grid,
)
from mri_interpret.scene.geometry import fill_volume_node, volume_of
from mri_interpret.scene.headless import HeadlessScene
from mri_interpret.scene.mrb import save_scene
from mri_interpret.scene.tables import table_frame
from mri_interpret.scene.views import add_views, nodes_of
from mri_interpret.scene_content.content import content_of
from mri_interpret.scene_content.content_files import read_content, write_content

from Testing.fixtures_volumes import COUNTERFACTUAL, GRADIENT, make_volume_explanation


@pytest.fixture(scope="module")
def explanation():
    return make_volume_explanation()


@pytest.fixture(scope="module")
def scene(explanation):
    """A scene with views and the result in it."""
    with HeadlessScene() as headless:
        add_views(headless.scene)
        build_scene(explanation, headless.scene)
        yield headless.scene


@pytest.fixture
def nodes(scene):
    (run,) = {node.GetAttribute("MRIInterpret.Run") for node in nodes_of(scene, "vtkMRMLGridTransformNode")}
    return find_result(scene, run)


def hardened(scene, transform, scan: Volume) -> Volume:
    """The scan as a node that was put under the transform and hardened."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan under the displacement")
    fill_volume_node(node, Volume(scan.array.astype(np.float32), scan.affine))
    node.SetAndObserveTransformNodeID(transform.GetID())
    assert node.HardenTransform()
    found = volume_of(node)
    scene.RemoveNode(node)
    return found


def test_a_scan_that_is_hardened_under_the_displacement_is_the_counterfactual(scene, nodes, explanation):
    one = explanation.counterfactuals[COUNTERFACTUAL]
    volume, transform = counterfactuals_of(nodes)[COUNTERFACTUAL]
    np.testing.assert_array_equal(volume_of(volume).array, one.scan.array)
    found = hardened(scene, transform, explanation.scan)
    brain = resample(explanation.mask, found.grid, order=0).array > 0
    wanted = resample(one.scan, found.grid).array
    still = resample(explanation.scan, found.grid).array
    displacement = one.displacement
    backwards = dataclasses.replace(displacement, array=-displacement.array).warp(explanation.scan)
    off = np.abs(found.array - wanted)[brain].mean()
    assert off < 0.15 * np.abs(found.array - still)[brain].mean()  # Slicer's hardened grid is a little another one
    assert off < 0.1 * np.abs(found.array - resample(backwards, found.grid).array)[brain].mean()


def test_the_displacement_leads_from_what_is_seen_to_where_it_came_from(nodes, explanation):
    _, transform = counterfactuals_of(nodes)[COUNTERFACTUAL]
    displacement = explanation.counterfactuals[COUNTERFACTUAL].displacement
    place = np.unravel_index(int(np.abs(displacement.array).max(-1).argmax()), displacement.grid.shape)
    seen = displacement.affine[:3, :3] @ np.array(place) + displacement.affine[:3, 3]
    came_from = np.array(transform.GetTransformFromParent().TransformPoint(seen))
    np.testing.assert_allclose(came_from - seen, displacement.array[place], atol=1e-4)
    assert np.linalg.norm(came_from - seen) > 0.5


def test_it_comes_back_from_a_file(scene, nodes, explanation, tmp_path):
    _, transform = counterfactuals_of(nodes)[COUNTERFACTUAL]
    point = [-20.0, -14.0, -17.0]
    before = np.array(transform.GetTransformFromParent().TransformPoint(point))
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessScene() as other:
        other.read(tmp_path / "scene.mrb")
        again = find_result(other.scene, nodes.run)
        assert volume_sentences(again) == volume_sentences(nodes)
        volume, back = counterfactuals_of(again)[COUNTERFACTUAL]
        one = explanation.counterfactuals[COUNTERFACTUAL]
        np.testing.assert_array_equal(volume_of(volume).array, one.scan.array)
        # Slicer reads grids as cubic ones.
        np.testing.assert_allclose(back.GetTransformFromParent().TransformPoint(point), before, atol=0.02)
        remove_result(other.scene, nodes.run)
        assert other.scene.GetNumberOfNodesByClass("vtkMRMLGridTransformNode") == 0


def test_changes_of_volume_have_colours_and_a_legend_of_their_own(nodes, explanation):
    for name, table in ((COUNTERFACTUAL, "MRIInterpretSignedPurpleGreen"), (GRADIENT, "MRIInterpretSigned")):
        display = nodes.maps[name].GetDisplayNode()
        assert display.GetColorNode().GetAttribute("MRIInterpret.ColourTable") == table
        assert display.GetWindowLevelMin() == pytest.approx(-display.GetWindowLevelMax())
    (legend,) = [
        node
        for node in nodes_of(nodes.summary.GetScene(), "vtkMRMLColorLegendDisplayNode")
        if node.GetAttribute("MRIInterpret.Method") == COUNTERFACTUAL
    ]
    assert "% of volume" in legend.GetTitleText()


def test_the_slices_flicker_between_the_scan_and_its_counterfactual(scene, nodes):
    volume, transform = counterfactuals_of(nodes)[COUNTERFACTUAL]
    composites = nodes_of(scene, "vtkMRMLSliceCompositeNode")
    for wanted, behind in ((True, volume), (False, nodes.scan)):
        show_counterfactual(nodes, COUNTERFACTUAL, wanted)
        assert counterfactual_is_shown(nodes, COUNTERFACTUAL) is wanted
        assert {one.GetBackgroundVolumeID() for one in composites} == {behind.GetID()}
    assert not grid_is_shown(nodes, COUNTERFACTUAL)
    show_grid(nodes, COUNTERFACTUAL, True)
    assert grid_is_shown(nodes, COUNTERFACTUAL)
    display = transform.GetDisplayNode()
    assert display.GetVisualizationMode() == display.VIS_MODE_GRID
    show_grid(nodes, COUNTERFACTUAL, False)
    assert not grid_is_shown(nodes, COUNTERFACTUAL)


def test_table_chart_and_sentences_are_in_the_scene(nodes, explanation):
    table = table_frame(nodes.tables["volume_changes"])
    assert list(table.columns) == list(explanation.volume_changes.columns)
    bars = table_frame(nodes.tables["changed-volumes"])
    assert bars["structure"][0] == "left hippocampus"
    assert bars["%"][0] == pytest.approx(14.7, abs=0.6)
    first, *_ = [line for line in volume_sentences(nodes) if line.startswith("Volume counterfactual: ")]
    assert "left hippocampus +15 %" in first
    assert first.partition(": ")[2] in nodes.note.GetText()


def test_the_content_comes_back_from_the_workers_files(explanation, tmp_path):
    content = content_of(explanation)
    write_content(content, tmp_path)
    back = read_content(tmp_path)
    assert back.sentences == content.sentences
    (one,), (other,) = content.counterfactuals, back.counterfactuals
    assert (other.method, other.title) == (one.method, one.title)
    np.testing.assert_array_equal(other.vectors, one.vectors)
    np.testing.assert_array_equal(other.affine, one.affine)
    np.testing.assert_array_equal(other.scan.array, one.scan.array)
