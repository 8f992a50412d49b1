"""Voxels lie in the scene where the affine says, whatever the orientation, handedness and spacing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.images.volume import Volume
from mri_interpret.scene.geometry import affine_of, fill_volume_node, oriented_image, volume_of
from mri_interpret.scene_content.vtk_images import image_data
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from Testing.fixtures_explanation import oblique_affine

SHAPE = (5, 7, 4)


def world_of(node, index):
    """Where the node says a voxel lies, through VTK alone."""
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(matrix.MultiplyPoint([*map(float, index), 1.0]))[:3]


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.3, 4)] * 3),
    index=st.tuples(*[st.integers(0, n - 1) for n in SHAPE]),
)
def test_every_voxel_lies_where_the_affine_says(angles, signs, spacing, index):
    import slicer

    affine = oblique_affine(SHAPE, spacing, angles, signs)
    array = np.zeros(SHAPE, np.float32)
    array[index] = 7
    node = slicer.vtkMRMLScalarVolumeNode()
    fill_volume_node(node, Volume(array, affine, "v"))
    expected = (affine @ [*index, 1.0])[:3]
    np.testing.assert_allclose(world_of(node, index), expected, atol=1e-6)
    assert node.GetImageData().GetScalarComponentAsDouble(*index, 0) == 7
    np.testing.assert_allclose(affine_of(node), affine, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, np.int8, np.bool_])
def test_voxels_survive_the_way_there_and_back(dtype, headless):
    rng = np.random.default_rng(3)
    array = (rng.random(SHAPE) * 2).astype(dtype)
    node = headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "v")
    fill_volume_node(node, Volume(array, np.diag([1.0, 2.0, 3.0, 1.0]), "v"))
    back = volume_of(node)
    np.testing.assert_array_equal(back.array, array)
    np.testing.assert_allclose(back.affine, np.diag([1.0, 2.0, 3.0, 1.0]))


def test_the_node_owns_its_voxels(headless):
    array = np.zeros(SHAPE, np.float32)
    image = image_data(array)
    array[:] = 5
    assert image.GetScalarRange() == (0.0, 0.0)


def test_a_segmentation_image_has_the_same_geometry():
    affine = oblique_affine(SHAPE, (1.0, 1.0, 3.0), (20.0, 10.0, -30.0), (-1, 1, 1))
    image = oriented_image(Volume(np.ones(SHAPE, np.int16), affine))
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    for index in ((0, 0, 0), (4, 6, 3), (1, 5, 2)):
        np.testing.assert_allclose(matrix.MultiplyPoint([*map(float, index), 1.0])[:3], (affine @ [*index, 1.0])[:3])


def test_a_node_without_image_is_refused(headless):
    node = headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(ValueError, match="empty holds no image"):
        volume_of(node)
