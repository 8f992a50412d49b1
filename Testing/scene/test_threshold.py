"""What is hidden is what the threshold says: read off the image that Slicer's own display pipeline makes."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.images.volume import Volume
from mri_interpret.scene import map_display, threshold, views
from mri_interpret.scene.geometry import fill_volume_node, volume_of
from mri_interpret.scene.nodes import NodeMaker
from mri_interpret.scene.pictures import SliceView
from mri_interpret.scene.threshold import signed_window
from mri_interpret.scene.volume_rendering import add_volume_rendering
from mri_interpret.scene.volumes import add_map
from mri_interpret.scene_content.content import map_content
from mri_interpret.scene_content.display_range import SHOWN_TOP_PERCENT, DisplayRange, label_format
from mri_interpret.scene_content.vtk_images import finished
from vtkmodules.util.numpy_support import vtk_to_numpy

SHAPE = (20, 21, 22)


def colours_shown(node):
    """RGBA of every voxel, as a slice view would blend them; shape (I, J, K, 4)."""
    image = node.GetDisplayNode().GetImageDataConnection()
    image.GetProducer().Update()
    output = image.GetProducer().GetOutputDataObject(image.GetIndex())
    return vtk_to_numpy(output.GetPointData().GetScalars()).reshape(*SHAPE, 4, order="F")


def visible(node):
    return colours_shown(node)[..., 3] > 0


@pytest.fixture(params=[True, False], ids=["signed", "unsigned"])
def made(headless, request):
    """A map with long tails (as relevance has) in half of a box, and its node."""
    rng = np.random.default_rng(5)
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :, :11] = 1
    values = (rng.standard_t(2, SHAPE) * 1e-3).astype(np.float32)
    values = values if request.param else np.abs(values)
    affine = np.eye(4)
    content = map_content(
        Volume(values, affine), "lrp", "map", "LRP", "LRP", signed=request.param, mask=Volume(mask, affine)
    )
    node = finished(add_map(NodeMaker(headless.scene, "run", ""), content, Volume(mask, affine)))
    return node, mask > 0, content


@pytest.mark.parametrize("percent", [0.1, 0.3, 2.0, 10.0, 40.0, 90.0])
def test_the_share_that_is_shown_is_the_share_that_is_said(made, percent):
    node, mask, _content = made
    values = np.abs(volume_of(node).array)
    wanted = map_display.Magnitudes(node).value_of_top(percent)
    threshold.set_threshold(node, wanted)
    shown, said = visible(node), threshold.shown_from(node)
    assert not shown[~mask].any()
    np.testing.assert_array_equal(shown, values >= said)
    assert said == pytest.approx(max(wanted, threshold.least_threshold(node)), rel=1e-5)
    if percent < 90:  # smaller magnitudes of a signed map cannot be told from zero
        assert said == pytest.approx(wanted, rel=1e-5)
        assert shown[mask].mean() == pytest.approx(percent / 100, abs=2 / mask.sum())


def test_the_whole_brain_can_be_shown_but_nothing_outside(made):
    node, mask, _content = made
    threshold.set_threshold(node, 0.0)
    shown = visible(node)
    assert not shown[~mask].any()
    assert shown[mask].mean() > 0.85  # what is left cannot be told from zero in 255 levels


def test_a_new_map_shows_the_usual_share_of_the_brain(made):
    node, mask, content = made
    assert visible(node)[mask].mean() == pytest.approx(SHOWN_TOP_PERCENT / 100, abs=2 / mask.sum())
    assert threshold.shown_from(node) == pytest.approx(content.limits.hidden_below, rel=1e-5)


def test_slicers_slices_know_no_half_transparent_colour(made):
    """So nothing can fade at the threshold there, as it does in 3D: an alpha between 0 and 1 is shown as 1."""
    node, mask, _content = made
    colours = node.GetDisplayNode().GetColorNode()
    threshold.set_threshold(node, 0.0)
    for index in range(colours.GetNumberOfColors()):
        colours.SetOpacity(index, 0.5 if colours.GetLookupTable().GetTableValue(index)[3] else 0.0)
    assert colours.GetLookupTable().GetTableValue(250)[3] == pytest.approx(0.5, abs=0.01)
    alpha = colours_shown(node)[..., 3][mask]
    assert set(np.unique(alpha)) <= {0, 255}
    assert (alpha == 255).mean() > 0.8


def alphas_in_a_view(headless, node):
    """Alpha of a slice view's foreground, as far as it occurs; the view has four pixels for a voxel."""
    with SliceView(headless, "Red", (40, 40)) as view:
        views.set_layers(view.composite, None, node, 1.0)
        view.node.SetFieldOfView(10, 10, 1)
        view.node.SetSliceOffset(5)
        layer = view.logic.GetForegroundLayer()
        view.logic.UpdatePipeline()
        connection = layer.GetImageDataConnection()
        connection.GetProducer().Update()
        output = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
        return np.unique(vtk_to_numpy(output.GetPointData().GetScalars())[..., 3])


def test_only_label_maps_fade_and_those_are_not_interpolated(headless):
    """Why a map's edge does not fade in slices: what keeps alpha (label maps) takes the nearest voxel, as blocks."""
    import slicer

    views.add_views(headless.scene)
    labels = np.zeros((10, 10, 10), np.int16)
    labels[:5] = 2
    node = headless.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    fill_volume_node(node, Volume(labels, np.eye(4)))
    table = headless.scene.AddNewNodeByClass("vtkMRMLColorTableNode", "fading")
    table.SetTypeToUser()
    table.SetNumberOfColors(3)
    for index, alpha in enumerate((0.0, 0.25, 0.5)):
        table.SetColor(index, "", 1.0, 0.0, 0.0, alpha)
    table.GetLookupTable().SetRange(0, 2)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    assert isinstance(node.GetDisplayNode(), slicer.vtkMRMLLabelMapVolumeDisplayNode)
    # Label 1 (alpha 64) is what interpolation between 0 and 2 would pass through.
    assert set(alphas_in_a_view(headless, node)) == {0, 128}


def test_another_colour_table_keeps_the_threshold_and_thresholds_keep_the_colours(made):
    node, _mask, _content = made
    table = "MRIInterpretSignedPurpleGreen" if threshold.is_signed(node) else "MRIInterpretViridis"
    threshold.set_threshold(node, 2.345e-3)
    before = visible(node)
    threshold.set_table(node, table)
    np.testing.assert_array_equal(visible(node), before)
    assert threshold.shown_from(node) == pytest.approx(2.345e-3, rel=1e-5)
    threshold.set_threshold(node, 1e-3)
    assert threshold.table_of(node) == table


def test_beyond_the_colours_end_voxels_keep_the_last_colour(made):
    """Else the strongest voxels would change colour when the threshold passes the colour bar's end."""
    node, _mask, content = made
    values = np.abs(volume_of(node).array)
    strongest = values > content.limits.upper
    before, middle = colours_shown(node)[strongest], float(np.median(values[strongest]))
    threshold.set_threshold(node, middle)
    after, kept = colours_shown(node)[strongest], values[strongest] >= middle
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_allclose(after[kept], before[kept], atol=16)  # a level or two
    np.testing.assert_array_equal(after[:, 3] > 0, kept)


def test_the_threshold_acts_in_3d_as_in_the_slices(headless, made):
    node, _mask, content = made
    rendering = add_volume_rendering(NodeMaker(headless.scene, "run", ""), node, content.limits, content.signed)
    assert not rendering.GetVisibility()
    for value in (5e-4, 4e-3, 1.5 * content.limits.upper):
        from mri_interpret.scene.volume_rendering import set_rendering

        threshold.set_threshold(node, value)
        set_rendering(rendering, threshold.colour_limits(node), content.signed, threshold.table_of(node))
        opacity = rendering.GetVolumePropertyNode().GetScalarOpacity()
        for sign in (-1, 1) if content.signed else (1,):
            assert opacity.GetValue(sign * 0.94 * value) == 0
            assert opacity.GetValue(sign * 1.001 * value) > 0.02


def test_the_window_of_a_signed_map_ends_near_its_colours():
    for value in (0.0045, 0.0075, 0.02, 0.1, 0.4, 0.9):
        end, place = signed_window(1.0, 7.0, value)
        assert end * place == pytest.approx(value, rel=1e-5)
        assert 0.94 < end < (1.06 if value > 0.05 else 3.1)
    assert signed_window(1.0, 7.0, 3.0)[0] == pytest.approx(7, rel=0.06)


@pytest.mark.parametrize(
    ("upper", "text"), [(0.00312, "0.00312"), (0.9, "0.900"), (21.5, "21.5"), (213.0, "213"), (1.234, "1.23")]
)
def test_numbers_beside_a_colour_bar_are_plain(upper, text):
    assert (label_format(DisplayRange(-upper, upper, 0.0)) % upper).strip() == text
