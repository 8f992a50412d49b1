"""What volume methods add to an explanation: the deformed scan, changes by structure, sentences; saved and opened."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK
import torch
from mri_interpret.anatomy.atlas import Atlas
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
from mri_interpret.explanation.counterfactual import in_world_of_scan
from mri_interpret.explanation.facts import MethodMap
from mri_interpret.explanation.saved_folder import MappedFiles
from mri_interpret.explanation.saving import load
from mri_interpret.explanation.volume_changes import counterfactuals_of, volume_changes
from mri_interpret.explanation.volume_words import volume_statements
from mri_interpret.images.array_files import ArrayFiles
from mri_interpret.images.grid import Grid
from mri_interpret.images.volume import Volume, resample
from mri_interpret.models.goals import Goal
from mri_interpret.preprocessing.model_grid import to_scan_grid

from Testing.fixtures_explanation import small_bundle
from Testing.fixtures_volumes import COUNTERFACTUAL, GRADIENT, growth, make_volume_explanation


@pytest.fixture(scope="module")
def explanation():
    return make_volume_explanation()


@pytest.mark.parametrize("flipped", [False, True], ids=["model grid to the right", "model grid to the left"])
def test_the_field_in_the_scans_world_leads_where_the_networks_leads(explanation, flipped):
    """A(x + u_scan(x)) = z + u_model(z) for z = A x: whatever way the model's axes point, and with another spacing."""
    to_template = explanation.registration.to_template
    model = explanation.summary_template.grid
    field = growth(model).numpy()
    step, origin = np.ones(3), np.zeros(3)
    if flipped:  # the same field for a grid that runs from right to left, on every second voxel
        last = model.shape[0] - 1
        turn = np.diag([-1.0, 1, 1, 1])
        turn[0, 3] = last
        half = np.diag([0.5, 1, 1, 1])
        model = Grid((2 * model.shape[0] - 1, *model.shape[1:]), model.affine @ turn @ half)
        field = field[:, ::-1].copy()
        field[0] *= -1
        step = np.array([2.0, 1, 1])
    found = in_world_of_scan(field, step, origin, model, to_template)
    coarse = explanation.summary_template.grid
    in_scan = Grid(coarse.shape, np.linalg.inv(to_template) @ coarse.affine)
    # What the displaced points are in template space, less where they were.
    moved = found.at(in_scan) @ to_template[:3, :3].T
    wanted = np.moveaxis(growth(coarse).numpy(), 0, -1)
    assert np.abs(wanted).max() > 0.8
    np.testing.assert_allclose(moved, wanted, atol=0.05)  # at the peaks of a field that is linear between its samples
    assert np.square(moved - wanted).mean() < 0.02**2 * np.square(wanted).mean()


def test_a_field_of_nothing_displaces_nothing(explanation):
    grid = explanation.summary_template.grid
    nothing = np.zeros((3, *grid.shape), dtype=np.float32)
    found = in_world_of_scan(nothing, np.ones(3), np.zeros(3), grid, np.eye(4))
    assert found.largest_mm == 0
    np.testing.assert_array_equal(found.warp(explanation.scan).array, explanation.scan.array.astype(np.float32))


def test_changes_by_structure_are_those_of_the_deformed_labels_and_of_the_jacobians(explanation):
    """Two ways to one number: the labels, deformed as the scan, fill as much more room as Jacobians add up to."""
    displacement = explanation.counterfactuals[COUNTERFACTUAL].displacement
    labels, change = explanation.atlas_in_scan, explanation.maps[COUNTERFACTUAL].native.array
    table = explanation.volume_changes[explanation.volume_changes["method"] == COUNTERFACTUAL].set_index("label")
    for label, least in ((17, 0.1), (53, 0.1), (10, 0.0), (4, 0.0)):
        own = labels.with_array((labels.array == label).astype(np.float32))
        grown = displacement.warp(own).array.sum() / own.array.sum() - 1
        assert table.loc[label, "change"] == pytest.approx(grown, abs=1e-4)  # the whole scan's way gives the same
        assert table.loc[label, "change"] == pytest.approx(change[labels.array == label].mean() / 100, abs=0.012)
        assert table.loc[label, "change"] >= least - 0.01
    # Of the largest structures the mean of the map counts.
    assert table.loc[2, "change"] == pytest.approx(change[labels.array == 2].mean() / 100, abs=1e-6)
    rows = explanation.volume_changes
    assert set(rows["method"]) == {GRADIENT, COUNTERFACTUAL}
    assert (table["low"] <= table["change"] + 1e-12).loc[[17, 53]].all()
    assert (table["change"] <= table["high"] + 1e-12).loc[[17, 53]].all()


def test_the_sentences_say_what_was_found_and_whether_it_was_reached(explanation):
    gradient, counterfactual = volume_statements(explanation)
    assert gradient.sentence.startswith("AD would change most for 1 % more volume of: left hippocampus −")
    sentence = counterfactual.sentence
    assert sentence.startswith("To reach the boundary between AD and CN, the model asks for these changes of volume: ")
    assert "left hippocampus +15 % (13 to 16 %; +0." in sentence
    assert "3 further starts" in " ".join(counterfactual.remarks)
    assert "of which 2 reached the goal" in " ".join(counterfactual.remarks)
    (_, failed) = volume_statements(make_volume_explanation(reached=False))
    assert failed.sentence.startswith("The boundary between AD and CN was not reached: the answer no longer moves. ")
    assert "up to there: left hippocampus +15 %" in failed.sentence


def test_what_gives_way_is_what_gave_way_when_the_map_was_made(explanation):
    (remark,) = volume_statements(explanation)[0].remarks
    assert remark.startswith("To first order, with everything else giving way; AD is "), "as older results have it"
    now = replace(explanation.maps[GRADIENT], details={"giving_mm": 12.0})
    statements = volume_statements(replace(explanation, maps={**explanation.maps, GRADIENT: now}))
    assert statements[0].remarks[0].startswith("To first order, with what lies within about 12 mm giving way; AD is ")


def test_no_volume_method_no_statement(small_explanation):
    assert volume_statements(small_explanation) == ()


def test_a_saved_result_comes_back_and_itk_makes_the_counterfactual_of_the_scan(explanation, tmp_path):
    files = explanation.save(tmp_path)
    assert files["counterfactual"].name == "counterfactual.nii.gz"
    back = load(tmp_path)
    one, other = explanation.counterfactuals[COUNTERFACTUAL], back.counterfactuals[COUNTERFACTUAL]
    assert other.facts() == one.facts()
    np.testing.assert_array_equal(other.scan.array, one.scan.array)
    np.testing.assert_array_equal(other.displacement.array, one.displacement.array)
    np.testing.assert_array_equal(other.displacement.affine, one.displacement.affine)
    pd.testing.assert_frame_equal(back.volume_changes, explanation.volume_changes)
    assert [s.all for s in volume_statements(back)] == [s.all for s in volume_statements(explanation)]

    vectors = SimpleITK.ReadImage(str(files["displacement"]), SimpleITK.sitkVectorFloat64)
    scan = SimpleITK.ReadImage(str(files["scan/scan"]), SimpleITK.sitkFloat32)
    transform = SimpleITK.DisplacementFieldTransform(vectors)
    moved = SimpleITK.GetArrayFromImage(SimpleITK.Resample(scan, scan, transform, SimpleITK.sitkLinear)).T
    wanted = np.asarray(nibabel.load(files["counterfactual"]).dataobj)
    brain = explanation.mask.array > 0
    span = float(np.ptp(explanation.scan.array))
    assert np.abs(wanted - explanation.scan.array)[brain].max() > 0.02 * span
    np.testing.assert_allclose(moved[brain], wanted[brain], atol=1e-4 * span)


def test_a_result_without_volume_methods_replaces_one_with_them(explanation, small_explanation, tmp_path):
    explanation.save(tmp_path)
    small_explanation.save(tmp_path)
    assert not (tmp_path / "displacement.nii.gz").exists()
    assert not (tmp_path / "counterfactual.nii.gz").exists()
    assert load(tmp_path).volume_changes is None


def test_a_notebook_says_the_sentences_too(explanation):
    page = explanation._repr_html_()
    assert "What would have to change" in page
    assert "left hippocampus +15 % (13 to 16 %;" in page


def test_what_the_method_itself_hands_over_is_carried_to_the_scan(explanation):
    """The real method on the small network: its own field, on its own grid, with a further start."""
    grid, to_template = explanation.summary_template.grid, explanation.registration.to_template
    network = small_bundle().network
    x = torch.from_numpy(np.ascontiguousarray(explanation.model_input.array, dtype=np.float32))[None, None]
    brain = resample(explanation.mask, grid, np.linalg.inv(to_template), order=0).array > 0
    explainer, about = Explainer(network, classes=3), {"brain_mask": brain, "spacing": grid.spacing.tolist()}
    value = float(explainer.explain(x, [-1.0, 0.0, 1.0], ["gradient"]).explained[0])
    # The network is random and hardly looks at the brain: its goal is as near as one step leads.
    near = Goal("a little less", level=value - 4e-6, upwards=False)
    found = explainer.explain(x, [-1.0, 0.0, 1.0], [VolumeCounterfactual(near, starts=1), GRADIENT], **about)
    prepared = SimpleNamespace(scan=explanation.scan, to_template=to_template)
    (one,) = counterfactuals_of(prepared, found, grid).values()
    (handed_over,) = found[COUNTERFACTUAL].deformations
    assert (one.goal, one.reached, one.sentence) == ("a little less", True, "")
    assert [point.step for point in one.path] == list(range(len(handed_over.path)))
    assert len(one.starts_reached) == 1

    field = handed_over.displacement.numpy()
    cells = np.eye(4)
    cells[:3, :3], cells[:3, 3] = np.diag(handed_over.step), handed_over.origin
    at = Grid(field.shape[1:], np.linalg.inv(to_template) @ grid.affine @ cells)
    moved = one.displacement.at(at) @ to_template[:3, :3].T
    wanted = np.moveaxis(field, 0, -1)  # the small grid's axes point right, front and up
    assert np.abs(wanted).max() > 0.02
    assert np.square(moved - wanted).mean() < 0.1**2 * np.square(wanted).mean()

    maps = {
        name: MethodMap(name, name, to_scan_grid(template, explanation.scan.grid, to_template), template, True, "", 0.0)
        for name, found_map in found.items()
        for template in [Volume(found_map.map[0].numpy(), grid.affine)]
    }
    regions = Atlas(explanation.atlas_name, explanation.atlas_in_scan, explanation.regions)
    table = volume_changes(prepared, found, maps, grid, regions, explanation.anatomy, {COUNTERFACTUAL: one})
    asked = table[table["method"] == COUNTERFACTUAL]
    assert (asked["starts"] == 2).all()


def test_the_workers_files_hold_it_too(explanation, tmp_path):
    explanation.save(tmp_path, storage=MappedFiles(ArrayFiles(tmp_path)))
    one, back = explanation.counterfactuals[COUNTERFACTUAL], load(tmp_path).counterfactuals[COUNTERFACTUAL]
    np.testing.assert_array_equal(back.scan.array, one.scan.array)
    np.testing.assert_array_equal(back.displacement.array, one.displacement.array)
