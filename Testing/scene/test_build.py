"""All that an explanation shows is in the scene, where it belongs, and comes back from a file as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mri_interpret.doors.dicom_job import content_of_nodes
from mri_interpret.doors.result import MRIInterpretResult
from mri_interpret.doors.result_tables import prediction_text
from mri_interpret.explanation.facts import Prediction
from mri_interpret.scene import build_scene, map_display
from mri_interpret.scene.atlas import highlight, segment_id
from mri_interpret.scene.build import build_steps
from mri_interpret.scene.colours import SEQUENTIAL, SIGNED, TABLE
from mri_interpret.scene.geometry import affine_of, volume_of
from mri_interpret.scene.result_nodes import VERDICT_TEXT
from mri_interpret.scene.tables import table_frame
from mri_interpret.scene.views import nodes_of, peak
from mri_interpret.scene_content.content import content_of
from mri_interpret.scene_content.content_files import read_content, write_content
from mri_interpret.scene_content.terminology import terminology_of
from mri_interpret.scene_content.vtk_images import finished
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from Testing.fixtures_explanation import make_explanation


@pytest.fixture(params=["built", "reopened"])
def result(request):
    """The same checks before and after the way through a file."""
    headless, nodes = request.getfixturevalue(request.param)
    return headless.scene, nodes


def test_volumes_hold_the_voxels_and_the_geometry(result, small_explanation):
    _, nodes = result
    pairs = [(nodes.scan, small_explanation.scan), (nodes.summary, small_explanation.summary)]
    pairs += [(nodes.consensus, small_explanation.consensus)]
    pairs += [(nodes.maps[name], one.native) for name, one in small_explanation.maps.items()]
    brain = small_explanation.mask.array > 0
    for node, volume in pairs:
        array = volume_of(node).array
        np.testing.assert_array_equal(array[brain], volume.array[brain])
        # Outside the brain, maps are 0; the scan is whole.
        np.testing.assert_array_equal(array[~brain], volume.array[~brain] if node is nodes.scan else 0)
        np.testing.assert_allclose(affine_of(node), volume.affine, atol=1e-4)


def test_signed_maps_are_centred_at_zero_and_the_others_start_there(result, small_explanation):
    _, nodes = result
    for name, one in small_explanation.maps.items():
        display = nodes.maps[name].GetScalarVolumeDisplayNode()
        lower, upper = display.GetWindowLevelMin(), display.GetWindowLevelMax()
        strongest = np.abs(one.native.array).max()
        assert 0.3 * strongest < upper <= strongest * 1.06  # an edge of Slicer's levels is the threshold
        assert lower == pytest.approx(-upper if one.signed else 0.0, abs=1e-5 * upper)
        assert display.GetColorNode().GetAttribute(TABLE) == (SIGNED if one.signed else SEQUENTIAL)
        assert display.GetColorNode().GetHideFromEditors()  # not listed among the data
        assert bool(display.GetApplyThreshold()) is not one.signed


def test_the_consensus_has_named_colours(result):
    _, nodes = result
    colours = nodes.consensus.GetDisplayNode().GetColorNode()
    assert [colours.GetColorName(label) for label in (1, 2, 3)] == [
        "half of the methods",
        "two thirds of the methods",
        "all methods",
    ]


def segment_voxels(segment):
    """World coordinates of a segment's voxels, read off its own labelmap."""
    image = segment.GetRepresentation("Binary labelmap")
    matrix, extent = vtkMatrix4x4(), image.GetExtent()
    image.GetImageToWorldMatrix(matrix)
    affine = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    shape = image.GetDimensions()
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape, order="F")
    index = np.argwhere(labels == segment.GetLabelValue()) + np.array(extent[::2])
    return index @ affine[:3, :3].T + affine[:3, 3]


def test_the_atlas_is_a_segmentation_with_named_coloured_segments_in_place(result, small_explanation):
    _, nodes = result
    segmentation = nodes.atlas.GetSegmentation()
    present = set(np.unique(small_explanation.atlas_in_scan.array))
    regions = [region for region in small_explanation.regions if region.label in present]
    assert segmentation.GetNumberOfSegments() == len(regions) > 80
    assert segmentation.GetNumberOfLayers() == 1
    assert not segmentation.ContainsRepresentation("Closed surface")  # made when it is shown
    for region in regions:
        segment = segmentation.GetSegment(segment_id(region.label))
        assert segment.GetName() == region.name
        np.testing.assert_allclose(segment.GetColor(), region.colour, atol=1e-3)
        assert segment.GetTerminology() == terminology_of(region.name, region.label)
        expected = np.argwhere(small_explanation.atlas_in_scan.array == region.label)
        world = expected @ small_explanation.scan.affine[:3, :3].T + small_explanation.scan.affine[:3, 3]
        found = segment_voxels(segment)
        assert len(found) == len(world)
        np.testing.assert_allclose(sorted(map(tuple, found.round(2))), sorted(map(tuple, world.round(2))), atol=0.011)


def test_tables_keep_their_columns_types_and_values(result, small_explanation):
    _, nodes = result
    for key, frame in (("regions", small_explanation.region_table), ("agreement", small_explanation.agreement)):
        shown = table_frame(nodes.tables[key])
        assert list(shown.columns) == list(frame.columns)
        for column in frame.columns:
            if frame[column].dtype.kind in "if":
                np.testing.assert_allclose(shown[column], frame[column], rtol=1e-5)  # a file keeps six digits
            else:
                assert list(shown[column]) == list(frame[column])


def test_charts_show_the_probabilities_and_the_top_regions(result, small_explanation):
    _, nodes = result
    odds = table_frame(nodes.tables["probabilities"])
    assert dict(zip(odds["class"], odds["probability"], strict=True)) == pytest.approx(
        small_explanation.prediction.probabilities,
        rel=1e-5,  # a file keeps six digits
    )
    top = table_frame(nodes.tables["top-regions"])
    assert top["gain"].is_monotonic_decreasing
    assert top["region"][0] == "Right-Hippocampus"
    for key, chart in nodes.charts.items():
        series = chart.GetNthPlotSeriesNode(0)
        assert series.GetTableNode().GetID() == nodes.tables[key].GetID()
        assert series.GetPlotType() == series.PlotTypeBar
        assert nodes.tables[key].GetColumnIndex(series.GetYColumnName()) >= 0
        assert nodes.tables[key].GetColumnIndex(series.GetLabelColumnName()) >= 0


def test_how_far_a_models_networks_disagree_reaches_bars_scripts_and_dicom(headless, small_explanation, tmp_path):
    odds, deviations = {"CN": 0.512, "MCI": 0.304, "AD": 0.184}, {"CN": 0.061, "MCI": 0.042, "AD": 0.0004}
    prediction = Prediction(dict.fromkeys(odds, 0.0), odds, "CN", deviations, 3)
    write_content(content_of(dataclasses.replace(small_explanation, prediction=prediction)), tmp_path)
    nodes = finished(build_steps(read_content(tmp_path), headless.scene))
    bars = prediction_text(nodes).bars
    assert [bar.text for bar in bars] == ["CN: 51.2 % ± 6.1", "MCI: 30.4 % ± 4.2", "AD: 18.4 % ± < 0.1"]
    assert bars[0].tooltip == "Probability of CN by the model (±: SD over the 3 networks of this model)"
    result = MRIInterpretResult(nodes)
    assert (result.members_sd, result.members) == (deviations, 3)
    exported = content_of_nodes(result)
    assert (exported.members_sd, exported.members) == (deviations, 3)


def test_a_result_of_one_network_shows_no_deviation(built):
    _, nodes = built
    assert not [bar for bar in prediction_text(nodes).bars if "±" in bar.text + bar.tooltip]
    result = MRIInterpretResult(nodes)
    assert (result.members_sd, result.members) == (None, 1)


def test_without_a_region_that_stands_out_the_chart_says_so(headless, small_explanation):
    table = small_explanation.region_table.assign(gain=0.0, share=0.0)
    nodes = build_scene(dataclasses.replace(small_explanation, region_table=table), headless.scene)
    assert len(table_frame(nodes.tables["top-regions"])) == 0
    assert nodes.charts["top-regions"].GetTitle() == "The map is zero everywhere in the brain: no region is relevant."


def test_the_note_says_what_lies_outside_the_brain(headless, small_explanation):
    first, *rest = small_explanation.maps
    maps = {
        name: dataclasses.replace(one, outside_brain=0.64 if name == first else 0.001)
        for name, one in small_explanation.maps.items()
    }
    changed = dataclasses.replace(small_explanation, maps=maps, verdicts=())
    nodes = build_scene(changed, headless.scene)
    line = f"neither shown nor counted: {maps[first].title} 64%"
    assert line in nodes.note.GetText()
    assert "64% of the relevance lies outside the brain" in nodes.maps[first].GetAttribute(VERDICT_TEXT)
    assert not any(nodes.maps[name].GetAttribute(VERDICT_TEXT) for name in rest)


def test_the_summary_lies_over_the_scan_in_every_slice_view(result):
    scene, nodes = result
    composites = nodes_of(scene, "vtkMRMLSliceCompositeNode")
    assert len(composites) == 3
    for composite in composites:
        assert composite.GetBackgroundVolumeID() == nodes.scan.GetID()
        assert composite.GetForegroundVolumeID() == nodes.summary.GetID()
        assert 0.5 < composite.GetForegroundOpacity() < 1


def test_slices_go_through_the_peak_of_the_summary(result, small_explanation):
    scene, nodes = result
    index = np.unravel_index(small_explanation.summary.array.argmax(), small_explanation.summary.array.shape)
    expected = (small_explanation.summary.affine @ [*index, 1.0])[:3]
    np.testing.assert_allclose(peak(nodes.summary), expected, atol=1e-3)
    for node in nodes_of(scene, "vtkMRMLSliceNode"):
        matrix = node.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        assert abs(normal @ (expected - origin)) < 1e-3
    assert sorted(n.GetOrientation() for n in nodes_of(scene, "vtkMRMLSliceNode")) == ["Axial", "Coronal", "Sagittal"]


def test_volume_rendering_of_the_summary_is_on_with_the_preset_for_relevance(result):
    _, nodes = result
    display = nodes.volume_rendering
    assert display.GetVisibility()
    assert display.GetVolumeNode().GetID() == nodes.summary.GetID()
    opacity = display.GetVolumePropertyNode().GetScalarOpacity()
    lowest = map_display.shown_from(nodes, "summary")
    assert opacity.GetValue(0.94 * lowest) == 0
    assert opacity.GetValue(1.01 * lowest) > 0
    assert 0.2 < opacity.GetValue(1.0) < 1
    assert opacity.GetValue(0.9) > opacity.GetValue(0.5) > 0


def test_the_brain_surface_is_translucent_and_where_the_mask_is(result, small_explanation):
    _, nodes = result
    inside = np.argwhere(small_explanation.mask.array > 0)
    world = inside @ small_explanation.mask.affine[:3, :3].T + small_explanation.mask.affine[:3, 3]
    low, high = np.array(nodes.surface.GetPolyData().GetBounds()).reshape(3, 2).T
    np.testing.assert_allclose(low, world.min(axis=0), atol=5)
    np.testing.assert_allclose(high, world.max(axis=0), atol=5)
    assert 0.05 < nodes.surface.GetDisplayNode().GetOpacity() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1)])
def test_the_surface_faces_outwards_on_mirrored_grids_too(signs):
    from mri_interpret.scene_content.surface import surface
    from vtkmodules.vtkFiltersCore import vtkMassProperties

    mask = make_explanation(signs=signs).mask
    mesh = surface(mask)
    points = vtk_to_numpy(mesh.GetPoints().GetData())
    normals = vtk_to_numpy(mesh.GetPointData().GetNormals())
    outwards = ((points - points.mean(axis=0)) * normals).sum(axis=1)
    assert (outwards > 0).mean() > 0.99
    properties = vtkMassProperties()
    properties.SetInputData(mesh)
    volume = (mask.array > 0).sum() * mask.grid.voxel_volume
    assert properties.GetVolume() == pytest.approx(volume, rel=0.05)


def test_legends_name_the_unit_and_the_banner_is_in_the_scene(result, small_explanation):
    import slicer

    _, nodes = result
    for name, one in small_explanation.maps.items():
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(nodes.maps[name])
        assert one.units in legend.GetTitleText().replace("\n", " ")
        assert max(map(len, legend.GetTitleText().splitlines()[1:])) <= 24  # it stays beside the head in a small view
        assert "research use only" in legend.GetTitleText()
    assert nodes.note.GetText().startswith(small_explanation.model.banner)
    for sentence in small_explanation.warnings:
        assert sentence in nodes.note.GetText()
    for node in (nodes.summary, nodes.consensus, nodes.atlas, *nodes.maps.values(), *nodes.tables.values()):
        assert node.GetDescription() == small_explanation.model.banner


def test_everything_is_under_one_folder(result):
    import slicer
    from vtkmodules.vtkCommonCore import vtkIdList

    scene, nodes = result
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert tree.GetItemName(nodes.folder) == nodes.run
    items = vtkIdList()
    tree.GetItemChildren(nodes.folder, items, True)
    inside = {tree.GetItemDataNode(items.GetId(n)) for n in range(items.GetNumberOfIds())}
    wanted = [nodes.scan, nodes.summary, nodes.consensus, nodes.atlas, nodes.surface, nodes.note]
    for node in [*wanted, *nodes.maps.values(), *nodes.tables.values(), *nodes.charts.values()]:
        assert node in inside, node.GetName()
    # Whom Slicer's data tree asks for the icon; without one it shows a question mark.
    owners = {tree.GetItemByDataNode(node): owner for node, owner in owned(nodes).items()}
    for item in [items.GetId(n) for n in range(items.GetNumberOfIds())]:
        owner = tree.GetItemOwnerPluginName(item)
        assert owner, tree.GetItemName(item)
        if tree.GetItemDataNode(item) is None:
            assert owner == "Folder"
        elif item in owners:
            assert owner == owners[item], tree.GetItemName(item)


def owned(nodes):
    """Nodes with the plugins of Slicer that own nodes of their kind (canOwnSubjectHierarchyItem of each)."""
    tables = {node: "Tables" for node in nodes.tables.values()}
    charts = {node: "Plots" for node in nodes.charts.values()}
    volumes = {node: "Volumes" for node in (nodes.scan, nodes.summary, *nodes.maps.values())}
    others = {nodes.consensus: "LabelMaps", nodes.atlas: "Segmentations", nodes.surface: "Models", nodes.note: "Texts"}
    return volumes | others | tables | charts


def test_one_region_can_be_highlighted(built):
    _, nodes = built
    display = nodes.atlas.GetDisplayNode()
    assert not display.GetVisibility()
    highlight(nodes.atlas, 53)
    assert display.GetVisibility()
    shown = [
        nodes.atlas.GetSegmentation().GetNthSegmentID(n)
        for n in range(nodes.atlas.GetSegmentation().GetNumberOfSegments())
        if display.GetSegmentVisibility(nodes.atlas.GetSegmentation().GetNthSegmentID(n))
    ]
    assert shown == [segment_id(53)]
    highlight(nodes.atlas, None)
    assert not display.GetVisibility()


def test_a_surface_passes_through_a_file(small_explanation, tmp_path):
    from mri_interpret.scene_content.surface import read_surface, surface, write_surface

    mesh = surface(small_explanation.mask)
    write_surface(mesh, tmp_path / "s.vtp")
    back = read_surface(tmp_path / "s.vtp")
    np.testing.assert_array_equal(vtk_to_numpy(back.GetPoints().GetData()), vtk_to_numpy(mesh.GetPoints().GetData()))
    assert back.GetNumberOfPolys() == mesh.GetNumberOfPolys() > 1000
    assert read_surface(tmp_path / "none.vtp") is None


def test_the_scene_shows_the_brain_only(headless, small_explanation):
    """In the brain maps are the explanation's own numbers; outside they are 0, and count nowhere."""
    grid = small_explanation.scan
    brain = small_explanation.mask.array > 0
    rng = np.random.default_rng(3)
    wild = rng.normal(size=grid.shape).astype(np.float32) * np.where(brain, 1, 100).astype(np.float32)
    wild[brain & (rng.random(grid.shape) < 0.5)] = 0  # as a class activation map is
    maps = {
        name: dataclasses.replace(one, native=grid.with_array(wild if one.signed else np.abs(wild)))
        for name, one in small_explanation.maps.items()
    }
    nodes = build_scene(dataclasses.replace(small_explanation, maps=maps), headless.scene)
    for name, one in maps.items():
        found = volume_of(nodes.maps[name]).array
        np.testing.assert_array_equal(found[brain], one.native.array[brain])
        assert not found[~brain].any()
        node = nodes.maps[name]
        assert node.GetDisplayNode().GetWindowLevelMax() <= np.abs(wild[brain]).max()
        assert node.GetImageData().GetScalarRange() == (found.min(), found.max())
        magnitudes = map_display.Magnitudes(node)
        for percent in (1.0, 5.0, 30.0):
            value = magnitudes.value_of_top(percent)
            assert (np.abs(found[brain]) >= value).mean() == pytest.approx(percent / 100, abs=0.01)
            assert magnitudes.top_of_value(value) == pytest.approx(percent, abs=1.0)
        assert magnitudes.value_of_top(90.0) == 0
        assert magnitudes.top_of_value(0.0) == 100
