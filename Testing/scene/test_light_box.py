"""Four maps side by side: Slicer's own layout logic makes the views, its displayable managers draw them."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from mri_interpret.scene import light_box, map_display, views
from mri_interpret.scene.pictures import SliceView, compared
from mri_interpret.scene.views import COMPARED, nodes_of

SIZE = (280, 280)


@pytest.fixture
def opened(built):
    """The layout on the screen, as far as there is one: the view nodes are made by Slicer's layout logic."""
    headless, nodes = built
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(headless.scene)
    keys = light_box.page_of(list(nodes.volumes), "summary")
    light_box.open_layout(headless.scene)
    light_box.show(headless.scene, nodes, keys, 0.6)
    yield headless, nodes, keys
    logic.SetMRMLScene(None)


def slices(scene):
    return {node.GetLayoutName(): node for node in nodes_of(scene, "vtkMRMLSliceNode")}


def composites(scene):
    return {node.GetLayoutName(): node for node in nodes_of(scene, "vtkMRMLSliceCompositeNode")}


def test_the_layout_has_four_axial_views_of_one_group(opened):
    headless, _nodes, _keys = opened
    found = slices(headless.scene)
    assert set(COMPARED) < set(found)
    own = [found[name] for name in COMPARED]
    assert {node.GetOrientation() for node in own} == {"Axial"}
    assert len({node.GetViewGroup() for node in own}) == 1
    assert found["Red"].GetViewGroup() != own[0].GetViewGroup()  # scrolling there moves nothing here
    assert [node.GetLayoutLabel() for node in own] == ["1", "2", "3", "4"]


def test_each_view_shows_its_map_over_the_scan_and_the_others_keep_theirs(opened):
    headless, nodes, keys = opened
    found = composites(headless.scene)
    assert keys == ["summary", "lrp", "guided_backprop", "grad_cam_pp"]
    for name, key in zip(COMPARED, keys, strict=True):
        assert found[name].GetBackgroundVolumeID() == nodes.scan.GetID()
        assert found[name].GetForegroundVolumeID() == map_display.node_of(nodes, key).GetID()
        assert found[name].GetForegroundOpacity() == pytest.approx(0.6)
        assert found[name].GetLinkedControl()
    map_display.show(headless.scene, nodes, "lrp", opacity=0.9)
    found = composites(headless.scene)
    assert found["Red"].GetForegroundVolumeID() == nodes.maps["lrp"].GetID()
    assert found[COMPARED[0]].GetForegroundVolumeID() == nodes.summary.GetID()


def test_the_list_is_leafed_through_by_fours(opened):
    headless, nodes, _keys = opened
    every = list(nodes.volumes)
    assert light_box.page_of(every, "spread") == ["consensus", "spread"]
    assert light_box.page_of(every, "nothing of this name") == every[:4]
    light_box.show(headless.scene, nodes, ["consensus", "spread"], 0.6)
    found = composites(headless.scene)
    shown = [found[name].GetForegroundVolumeID() for name in COMPARED]
    assert shown == [nodes.consensus.GetID(), nodes.spread.GetID(), None, None]


def test_scrolling_one_view_scrolls_the_four(opened):
    headless, nodes, _keys = opened
    with SliceView(headless, COMPARED[0], SIZE) as first, SliceView(headless, COMPARED[1], SIZE) as second:
        light_box.fit(headless.scene, nodes)
        before = slices(headless.scene)["Red"].GetSliceOffset()
        assert first.node.GetSliceOffset() == pytest.approx(before)
        first.logic.StartSliceNodeInteraction(first.node.SliceToRASFlag)
        first.node.SetSliceOffset(before + 12)
        first.logic.EndSliceNodeInteraction()
        assert second.node.GetSliceOffset() == pytest.approx(before + 12)
        assert slices(headless.scene)["Red"].GetSliceOffset() == pytest.approx(before)


def test_closing_brings_the_layout_before_back_and_a_saved_one_is_known(opened):
    headless, _nodes, _keys = opened
    (layout,) = nodes_of(headless.scene, "vtkMRMLLayoutNode")
    assert light_box.is_open(headless.scene)
    light_box.close_layout(headless.scene)
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    assert not light_box.is_open(headless.scene)
    other = slicer.vtkMRMLScene()
    restored = other.AddNewNodeByClass("vtkMRMLLayoutNode")
    restored.SetViewArrangement(light_box.LAYOUT)  # as a scene file does, which holds the number only
    assert not restored.GetCurrentLayoutDescription()
    light_box.offer(other)
    assert COMPARED[3] in restored.GetCurrentLayoutDescription()


def test_the_four_pictures_differ_and_each_has_its_colour_bar(opened):
    headless, _nodes, _keys = opened
    views.jump_to(headless.scene, (27.0, -22.0, -15.0))
    picture = compared(headless, SIZE).astype(int)
    assert picture.shape == (2 * SIZE[1], 2 * SIZE[0], 3)
    tiles = [picture[r : r + SIZE[1], c : c + SIZE[0]] for r in (0, SIZE[1]) for c in (0, SIZE[0])]
    for number, tile in enumerate(tiles):
        bar = tile[:, int(0.93 * SIZE[0]) :]
        assert ((bar.max(axis=2) - bar.min(axis=2)) > 60).sum() > 50, f"view {number + 1} has no colour bar"
        for other in tiles[number + 1 :]:
            assert np.abs(tile - other).max(axis=2).mean() > 1
