"""A user's segmentation comes from a node with the right label and name for each segment, or is refused."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.segment_names import FIRST_OWN
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume
from mri_interpret.scene.geometry import fill_volume_node, oriented_image
from mri_interpret.scene.segmentation_input import label_names, segmentation_of
from mri_interpret.scene_content.terminology import terminology_of
from vtkmodules.vtkCommonDataModel import vtkPolyData

SHAPE = (12, 14, 10)
AFFINE = np.array([[0.0, -1.1, 0.1, 4.0], [1.2, 0.0, 0.0, -9.0], [0.0, 0.1, 1.3, 2.0], [0.0, 0.0, 0.0, 1.0]])
BINARY = "Binary labelmap"


def blocks(*labels: int) -> np.ndarray:
    """A volume in which every label has a slab of its own, beside empty voxels."""
    array = np.zeros(SHAPE, np.int16)
    for number, label in enumerate(labels):
        array[1 + 2 * number : 3 + 2 * number, 3:9, 2:7] = label
    return array


@pytest.fixture
def scan(headless):
    node = headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    fill_volume_node(node, Volume(np.ones(SHAPE, np.int16), AFFINE))
    return node


def segmentation(headless, layers, affine=AFFINE):
    """A segmentation whose layers hold segments: each layer is (array, {label value: (name, code)})."""
    node = headless.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "own")
    node.GetSegmentation().SetSourceRepresentationName(BINARY)
    for array, segments in layers:
        image = oriented_image(Volume(array, affine))
        for value, (name, code) in segments.items():
            segment = slicer.vtkSegment()
            segment.SetName(name)
            segment.SetLabelValue(value)
            if code:
                segment.SetTag(segment.GetTerminologyEntryTagName(), code)
            segment.AddRepresentation(BINARY, image)
            node.GetSegmentation().AddSegment(segment)
    return node


def test_segments_are_freesurfers_structures_by_name_then_code_then_number(headless, scan):
    array = blocks(1, 2, 3, 4, 5)
    node = segmentation(
        headless,
        [(array, {
            1: ("hippocampus_LEFT", ""),
            2: ("my right one", terminology_of("Right-Hippocampus", 0)),
            3: ("Segment_18", ""),
            4: ("Tumour", ""),
            5: ("Thalamus R", terminology_of("Right-Thalamus", 0).replace("SCT^42695009", "SCT^119406000")),
        })],
    )  # fmt: skip
    labels, names = segmentation_of(node, scan)
    assert names == {
        17: "Left-Hippocampus",
        53: "Right-Hippocampus",
        18: "Left-Amygdala",
        FIRST_OWN + 3: "Tumour",
        49: "Right-Thalamus",
    }
    expected = blocks(17, 53, 18, 0, 49).astype(np.int32)
    expected[array == 4] = FIRST_OWN + 3
    np.testing.assert_array_equal(labels.array, expected)
    np.testing.assert_allclose(labels.affine, AFFINE, atol=1e-6)
    assert labels.name == "own"


def test_two_segments_never_share_a_label(headless, scan):
    code = terminology_of("Left-Hippocampus", 0)
    node = segmentation(headless, [(blocks(1, 2), {1: ("head", code), 2: ("tail", code)})])
    labels, names = segmentation_of(node, scan)
    assert names == {17: "Left-Hippocampus", FIRST_OWN + 1: "tail"}
    assert set(np.unique(labels.array)) == {0, 17, FIRST_OWN + 1}


def test_a_segmentation_of_a_result_is_read_with_its_own_labels(headless, scan):
    from mri_interpret.explanation.explanation import Region
    from mri_interpret.scene.atlas import add_atlas
    from mri_interpret.scene.nodes import NodeMaker
    from mri_interpret.scene_content.vtk_images import finished

    wanted = [2, 17, 28, 1025, 2006]
    volume = Volume(blocks(*wanted), AFFINE)
    regions = [Region(label, freesurfer.name_of(label), (1.0, 0.0, 0.0)) for label in wanted]
    node = finished(add_atlas(NodeMaker(headless.scene, "run", ""), volume, regions, "anatomy", scan))
    labels, names = segmentation_of(node, scan)
    np.testing.assert_array_equal(labels.array, volume.array)
    assert names == {label: freesurfer.name_of(label) for label in wanted}


def test_another_grid_is_brought_to_the_scans_by_nearest_neighbour(headless, scan):
    """Half the voxel size: every voxel of the scan lies in eight of the segmentation's."""
    fine = blocks(1, 2).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, :3] @ [0.25, 0.25, 0.25]
    node = segmentation(headless, [(fine, {1: ("Left-Caudate", ""), 2: ("Right-Caudate", "")})], affine)
    labels, _ = segmentation_of(node, scan)
    np.testing.assert_array_equal(labels.array, blocks(11, 50))


def test_layers_are_put_together_and_overlap_is_refused(headless, scan):
    first, second = blocks(1), blocks(0, 1)
    apart = segmentation(headless, [(first, {1: ("Left-Putamen", "")}), (second, {1: ("Right-Putamen", "")})])
    labels, _ = segmentation_of(apart, scan)
    np.testing.assert_array_equal(labels.array, blocks(12, 51))
    second[1, 3, 2] = 1
    over = segmentation(headless, [(first, {1: ("Left-Putamen", "")}), (second, {1: ("Right-Putamen", "")})])
    with pytest.raises(UserError, match="overlap"):
        segmentation_of(over, scan)


def test_a_label_volume_is_taken_as_it_is(headless, scan):
    node = headless.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "aseg")
    fill_volume_node(node, Volume(blocks(17, 53), AFFINE))
    labels, names = segmentation_of(node, scan)
    np.testing.assert_array_equal(labels.array, blocks(17, 53))
    assert names == {}
    fill_volume_node(node, Volume(blocks(17, 53)[:-1], AFFINE))
    with pytest.raises(UserError, match="voxel grid of scan"):
        segmentation_of(node, scan)


def test_what_cannot_be_used_is_refused_in_one_sentence(headless, scan):
    assert segmentation_of(None, scan) is None
    with pytest.raises(UserError, match="has no segments"):
        segmentation_of(headless.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "none"), scan)
    elsewhere = AFFINE.copy()
    elsewhere[:3, 3] += 500
    with pytest.raises(UserError, match="empty within scan"):
        segmentation_of(segmentation(headless, [(blocks(1), {1: ("Left-Caudate", "")})], elsewhere), scan)
    moved = segmentation(headless, [(blocks(1), {1: ("Left-Caudate", "")})])
    moved.SetAndObserveTransformNodeID(headless.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    with pytest.raises(UserError, match="same transform"):
        segmentation_of(moved, scan)
    surfaces = headless.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    segment = slicer.vtkSegment()
    segment.SetName("surface")
    segment.AddRepresentation("Closed surface", vtkPolyData())
    surfaces.GetSegmentation().SetSourceRepresentationName("Closed surface")
    surfaces.GetSegmentation().AddSegment(segment)
    with pytest.raises(UserError, match="surfaces only"):
        segmentation_of(surfaces, scan)


def test_names_in_words_are_understood():
    class Segments:
        def __init__(self, names):
            self.segments = []
            for name in names:
                segment = slicer.vtkSegment()
                segment.SetName(name)
                self.segments.append(segment)

        def GetSegmentation(self):
            return self

        def GetNumberOfSegments(self):
            return len(self.segments)

        def GetNthSegment(self, number):
            return self.segments[number]

        def GetNthSegmentID(self, number):
            return str(number)

    names = ["Left hippocampus", "third ventricle", "3rd-Ventricle", "ctx-rh-precuneus", "Right precuneus", "17"]
    found = [label for label, _ in label_names(Segments(names)).values()]
    assert found == [17, 14, FIRST_OWN + 2, 2025, FIRST_OWN + 4, FIRST_OWN + 5]
