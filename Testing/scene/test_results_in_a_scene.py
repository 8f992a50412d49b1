"""What a result does to a scene that was there before: it follows the scan, leaves no trace of a failure, and goes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mri_interpret.errors import Cancelled
from mri_interpret.scene import build_scene, find_result, remove_result
from mri_interpret.scene.geometry import affine_of, fill_volume_node
from mri_interpret.scene.nodes import nodes_of_run, runs
from mri_interpret.scene.result_nodes import incomplete_names
from mri_interpret.scene.views import peak, to_world
from mri_interpret.scene_content.vtk_images import finished
from vtkmodules.vtkCommonMath import vtkMatrix4x4


def fill_scan(scene, explanation):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my scan")
    fill_volume_node(node, explanation.scan)
    node.CreateDefaultDisplayNodes()
    return node


def test_results_follow_the_scan_under_its_parent_transform(headless, small_explanation):
    scan = fill_scan(headless.scene, small_explanation)
    transform = headless.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtkMatrix4x4()
    for row, values in enumerate(np.array([[0.0, -1.0, 0.0, 12.0], [1.0, 0.0, 0.0, -7.0], [0.0, 0.0, 1.0, 30.0]])):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, value)
    transform.SetMatrixTransformToParent(matrix)
    scan.SetAndObserveTransformNodeID(transform.GetID())
    before = affine_of(scan).copy()
    nodes = build_scene(small_explanation, headless.scene, scan_node=scan)
    for node in [nodes.summary, nodes.consensus, nodes.atlas, nodes.surface, *nodes.maps.values()]:
        assert node.GetTransformNodeID() == transform.GetID()
        np.testing.assert_allclose(to_world(node), to_world(scan))
    np.testing.assert_array_equal(affine_of(scan), before)
    assert scan.GetAttribute("MRIInterpret.Role") is None
    index = np.unravel_index(small_explanation.summary.array.argmax(), small_explanation.summary.array.shape)
    local = (small_explanation.summary.affine @ [*index, 1.0])[:3]
    np.testing.assert_allclose(peak(nodes.summary), [-local[1] + 12, local[0] - 7, local[2] + 30], atol=1e-3)


def node_ids(scene):
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def folders(scene):
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene).GetNumberOfItems()


def test_a_failure_leaves_the_scene_as_it_was(headless, small_explanation):
    scan = fill_scan(headless.scene, small_explanation)
    before, count = node_ids(headless.scene), folders(headless.scene)
    broken = dataclasses.replace(small_explanation, agreement=None)
    with pytest.raises(AttributeError):
        build_scene(broken, headless.scene, scan_node=scan)
    assert node_ids(headless.scene) == before
    assert folders(headless.scene) == count


def test_cancelling_leaves_the_scene_as_it_was(headless, small_explanation):
    before = node_ids(headless.scene) | {"vtkMRMLSubjectHierarchyNode1"}

    def cancel(step, fraction):
        if fraction > 0.5:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        build_scene(small_explanation, headless.scene, progress=cancel)
    assert node_ids(headless.scene) <= before


def test_a_second_run_is_added_under_its_own_name_and_either_can_be_removed(headless, small_explanation):
    scan = fill_scan(headless.scene, small_explanation)
    before = node_ids(headless.scene)
    first = build_scene(small_explanation, headless.scene, scan_node=scan)
    second = build_scene(small_explanation, headless.scene, scan_node=scan)
    assert runs(headless.scene) == [first.run, second.run]
    assert first.run != second.run
    remove_result(headless.scene, first.run)
    assert runs(headless.scene) == [second.run]
    assert find_result(headless.scene, second.run) is not None
    remove_result(headless.scene, second.run)
    assert node_ids(headless.scene) - before <= {"vtkMRMLSubjectHierarchyNode1"}
    assert nodes_of_run(headless.scene, second.run) == []


def test_a_folder_that_the_user_renamed_and_moved_goes_with_its_result_but_not_what_the_user_put_there(
    headless, small_explanation
):
    import slicer
    from mri_interpret.scene.hierarchy import folder_named

    scene = headless.scene
    nodes = build_scene(small_explanation, scene)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    subject = tree.CreateSubjectItem(tree.GetSceneItemID(), "Mrs. Smith")
    tree.SetItemName(nodes.folder, "for the meeting")
    tree.SetItemParent(nodes.folder, subject)
    maps = tree.GetItemChildWithName(nodes.folder, "Maps")
    own = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    tree.CreateItem(maps, own, "Segmentations")
    assert folder_named(scene, nodes.run) == nodes.folder
    assert find_result(scene, nodes.run).folder == nodes.folder
    remove_result(scene, nodes.run)
    assert folder_named(scene, nodes.run) is None
    assert tree.GetItemChildWithName(subject, "for the meeting") == tree.GetInvalidItemID()
    assert tree.GetItemParent(tree.GetItemByDataNode(own)) == subject


def test_nodes_that_the_user_deleted_are_missing_but_the_rest_is_found(headless, small_explanation):
    nodes = build_scene(small_explanation, headless.scene)
    for node in (nodes.maps["lrp"], nodes.consensus, nodes.surface, nodes.volume_rendering, nodes.tables["agreement"]):
        headless.scene.RemoveNode(node)
    left = find_result(headless.scene, nodes.run)
    assert set(left.maps) == set(small_explanation.maps) - {"lrp"}
    assert set(left.volumes) == {"summary", *left.maps, "spread"}
    assert left.surface is None
    assert incomplete_names(headless.scene) == []
    headless.scene.RemoveNode(nodes.atlas)
    assert find_result(headless.scene, nodes.run) is None
    assert incomplete_names(headless.scene) == [nodes.run]


def test_an_atlas_of_many_regions_is_removed_at_once(headless):
    """Without care, segments are separated from their shared volume one by one, which takes seconds."""
    import time

    from mri_interpret.explanation.explanation import Region
    from mri_interpret.images.volume import Volume
    from mri_interpret.scene.atlas import add_atlas
    from mri_interpret.scene.nodes import NodeMaker, remove_with_dependents

    labels = np.arange(64**3).reshape(64, 64, 64) % 100 + 1
    volume = Volume(labels.astype(np.int16), np.eye(4))
    scan = headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    fill_volume_node(scan, volume)
    regions = [Region(label, str(label), (1.0, 0.0, 0.0)) for label in range(1, 101)]
    node = finished(add_atlas(NodeMaker(headless.scene, "run", ""), volume, regions, "atlas", scan))
    assert node.GetSegmentation().GetNumberOfSegments() == 100
    began = time.process_time()
    remove_with_dependents(headless.scene, node)
    del node
    assert time.process_time() - began < 0.1
