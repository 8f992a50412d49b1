"""Scenes that hold results of one name are added to one scene: nothing of one result is shown as the other's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
from mri_interpret.scene import build_scene, find_result, remove_result, write_mrb
from mri_interpret.scene.geometry import volume_of
from mri_interpret.scene.imported import tell_apart
from mri_interpret.scene.map_display import show_in_3d
from mri_interpret.scene.nodes import nodes_of_run, runs
from mri_interpret.scene_content.vtk_images import finished


@pytest.fixture(scope="module")
def other(small_explanation):
    """The same scan explained otherwise: other values, fewer methods."""
    lrp = small_explanation.maps["lrp"]
    doubled = dataclasses.replace(lrp, native=lrp.native.with_array(2 * np.asarray(lrp.native.array)))
    return dataclasses.replace(small_explanation, maps={"lrp": doubled})


@pytest.fixture(scope="module")
def files(small_explanation, other, tmp_path_factory):
    """Both as .mrb files."""
    folder = tmp_path_factory.mktemp("same names")
    return [write_mrb(one, folder / f"{n}.mrb") for n, one in enumerate((small_explanation, other))]


def test_each_result_keeps_its_own_maps_and_folder(headless, small_explanation, other, files):
    scene = headless.scene
    for file in files:
        headless.read(file)
    (name,) = runs(scene)
    assert set(find_result(scene, name).maps) == set(small_explanation.maps)  # not mixed even before
    second = f"{name} (2)"
    assert tell_apart(scene) == {name: second}
    assert runs(scene) == [name, second]
    brain = small_explanation.mask.array > 0
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for run, explanation in ((name, small_explanation), (second, other)):
        nodes = find_result(scene, run)
        assert set(nodes.maps) == set(explanation.maps)
        found = volume_of(nodes.maps["lrp"]).array
        np.testing.assert_array_equal(found[brain], explanation.maps["lrp"].native.array[brain])
        assert tree.GetItemName(nodes.folder) == run
    assert tell_apart(scene) == {}
    remove_result(scene, name)
    assert runs(scene) == [second]
    assert find_result(scene, second) is not None


def test_what_was_made_later_for_a_result_stays_with_it(headless, files):
    scene = headless.scene
    headless.read(files[0])
    (name,) = runs(scene)
    headless.read(files[0])
    tell_apart(scene)
    first, second = (find_result(scene, run) for run in runs(scene))
    show_in_3d(first, "lrp", True)
    headless.read(files[0])
    assert tell_apart(scene) == {name: f"{name} (3)"}
    sizes = [len(nodes_of_run(scene, run)) for run in (first.run, second.run, f"{name} (3)")]
    assert sizes == [sizes[1] + 2, sizes[1], sizes[1]]  # a volume rendering and its properties


def test_a_scene_that_is_added_while_a_result_is_built(headless, small_explanation, files):
    from mri_interpret.scene.build import build_steps
    from mri_interpret.scene_content.content import content_of

    scene, content = headless.scene, content_of(small_explanation)
    steps = build_steps(content, scene)
    for _ in range(10):
        next(steps)
    headless.read(files[1])
    tell_apart(scene)
    built = finished(steps)
    assert set(built.maps) == set(small_explanation.maps)
    assert runs(scene) == [built.run, f"{built.run} (2)"]
    assert set(find_result(scene, built.run).maps) == set(small_explanation.maps)
    assert set(find_result(scene, f"{built.run} (2)").maps) == {"lrp"}


def test_results_of_other_names_keep_them(headless, small_explanation):
    first = build_scene(small_explanation, headless.scene)
    second = build_scene(small_explanation, headless.scene)
    assert tell_apart(headless.scene) == {}
    assert runs(headless.scene) == [first.run, second.run]
