"""Builds the nodes of an explanation, in one go or in steps, and shows them in the views."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import slicer

from ..errors import UserError
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from ..scene_content.content import SPREAD, STEP, SUMMARY, SceneContent, content_of, unique_name
from ..scene_content.display_range import label_format
from ..scene_content.vtk_images import finished
from . import hierarchy, map_display, views
from .atlas import add_atlas
from .colours import CONSENSUS, add_colour_table
from .counterfactual import add_counterfactual
from .nodes import ROLE, NodeMaker, batch, runs
from .rendering import paused, paused_steps, run_paused
from .result_nodes import ANSWER, EDGE_TEXT, EXCLUDED, MEMBERS, SENTENCES, VERDICT, VERDICT_TEXT, ResultNodes
from .tables import add_bar_chart, add_table
from .volume_rendering import add_surface, add_volume_rendering
from .volumes import add_consensus, add_legend, add_map, add_scan


def build_scene(
    explanation: Explanation,
    scene: Any,
    *,
    scan_node: Any | None = None,
    arrange_views: bool = True,
    show_3d: bool = True,
    progress: ProgressCallback = silent,
) -> ResultNodes:
    """Add an explanation to a scene; if that fails, the scene is left as it was.

    Parameters
    ----------
    explanation
        What the main job returned.
    scene
        vtkMRMLScene, of Slicer's window or headless.
    scan_node
        The scan, if it is in the scene already. It is not modified; all results go under its parent transform.
    arrange_views
        Whether the summary is shown: over the scan in the slice views, at its peak, and in 3D, with the camera aimed at
        the head. Else the result is in the scene, but no view shows it.
    show_3d
        Whether it is shown in 3D, too.
    progress
        Told about each step; may raise to cancel.

    Returns
    -------
    ResultNodes
    """
    progress(STEP, 0.0)
    content = content_of(explanation)
    progress(STEP, 0.3)
    with paused():
        with batch(scene):
            steps = build_steps(content, scene, scan_node=scan_node)
            nodes: ResultNodes = finished(steps, lambda fraction: progress(STEP, 0.3 + 0.69 * fraction))
        if arrange_views:
            run_paused(arrange_steps(scene, nodes, content, show_3d))
    progress(STEP, 1.0)
    return nodes


def build_steps(
    content: SceneContent, scene: Any, *, scan_node: Any | None = None
) -> Generator[float, None, ResultNodes]:
    """The same in steps of some milliseconds each, for a window that must stay responsive.

    Parameters
    ----------
    content
        What :func:`content.content_of` made of an explanation.
    scene, scan_node
        As for :func:`build_scene`.

    Yields
    ------
    float
        How much is done, 0 to 1. Closing the generator, or an error in it, removes all that was added.

    Raises
    ------
    UserError
        If nodes that it needs were removed from the scene between two steps.
    """
    make = NodeMaker(scene, unique_name(content.run, runs(scene, unfinished=True)), content.banner, building=True)
    steps = all_or_nothing(make, _add_nodes(content, make, scan_node), scan_node)
    nodes: ResultNodes = yield from paused_steps(steps)
    return nodes


def all_or_nothing(
    make: NodeMaker, steps: Generator[float | None, None, Any], needed: Any | None = None
) -> Generator[float, None, Any]:
    """Pass steps on; if they fail, are not finished, or lose nodes in between, remove all nodes that ``make`` made.

    Parameters
    ----------
    make
        Makes the nodes.
    steps
        Each step may yield how much is done, 0 to 1; it returns the result.
    needed
        A node made by others, without which the result makes no sense.
    """
    try:
        fraction = 0.0
        while True:
            try:
                fraction = next(steps) or fraction
            except StopIteration as end:
                result = end.value
                break
            yield fraction
            if not make.all_there() or (needed is not None and not make.scene.IsNodePresent(needed)):
                raise UserError(
                    "The scan or parts of the result were removed from the scene while the result was put into it: "
                    "run it again."
                )
        make.finish()
    except BaseException:
        steps.close()
        make.remove_all()
        raise
    return result


def arrange_steps(
    scene: Any, nodes: ResultNodes, content: SceneContent, show_3d: bool = True
) -> Generator[None, None, None]:
    """Show the summary over the scan in the slice views, at its peak; aim the camera at the head; last, show it in 3D.

    In steps, after each of which a view may draw.
    """
    with paused():
        map_display.show(scene, nodes, SUMMARY, show_3d=False)
    yield
    peak = views.world_of(nodes.summary, content.map(SUMMARY).peak)
    for node in views.nodes_of(scene, "vtkMRMLSliceNode"):
        with paused(), slicer.util.NodeModify(node):
            views.fit_slices(scene, nodes.scan, [node])
            views.jump_to(scene, peak, [node])
        yield
    with paused():
        views.aim_camera(scene, nodes.scan)
        views.select_active(scene, nodes.scan, nodes.tables["regions"], nodes.answer_chart)
    yield
    map_display.show_in_3d(nodes, SUMMARY, show_3d)


def _add_nodes(content: SceneContent, make: NodeMaker, scan_node: Any | None) -> Generator[float | None, None, Any]:
    """Steps that yield how much is done, or None within a part."""
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(content.note)
    note.SetAttribute(ANSWER, content.answer)
    if content.members_sd:
        note.SetAttribute(MEMBERS, json.dumps({"members": content.members, "sd": content.members_sd}))
    if content.sentences:
        note.SetAttribute(SENTENCES, "\n".join(content.sentences))
    yield 0.02
    scan = scan_node
    if scan is None:
        scan = yield from add_scan(make, content.scan, content.scan_name, content.window)
    yield 0.05
    transform = scan.GetTransformNodeID()
    shown: dict[str, Any] = {}
    for count, one in enumerate(content.maps):
        node = yield from add_map(make, one, content.mask)
        node.SetAndObserveTransformNodeID(transform)
        if one.verdict:
            node.SetAttribute(VERDICT, one.verdict)
        if not one.in_summary:
            node.SetAttribute(EXCLUDED, "1")
        if one.verdict_text:
            node.SetAttribute(VERDICT_TEXT, one.verdict_text)
        if one.edge_text:
            node.SetAttribute(EDGE_TEXT, one.edge_text)
        add_legend(make, node, one.legend, one.method, label_format(one.limits))
        shown[one.key] = node
        yield 0.1 + 0.5 * (count + 1) / len(content.maps)
    assert content.consensus is not None
    assert content.atlas is not None
    summary, spread = shown.pop(SUMMARY), shown.pop(SPREAD, None)
    rendering = add_volume_rendering(make, summary, content.map(SUMMARY).limits, signed=False)
    yield 0.62
    colours = add_colour_table(make, CONSENSUS)
    consensus = yield from add_consensus(make, content.consensus, "Consensus", colours)
    add_legend(make, consensus, "Most relevant for")
    yield 0.66
    surface = add_surface(make, content.brain_surface(), "Brain surface")
    yield 0.7
    atlas = yield from add_atlas(make, content.atlas, content.regions, f"Regions: {content.atlas_name}", scan)
    for node in (consensus, surface, atlas):
        node.SetAndObserveTransformNodeID(transform)
    yield 0.85
    tables: dict[str, Any] = {}
    plots: dict[str, Any] = {}
    for table in content.tables:
        tables[table.role] = add_table(make, table)
        yield None
    for chart in content.charts:
        tables[chart.table.role], plots[chart.table.role] = add_bar_chart(make, chart)
        yield None
    for found in content.counterfactuals:
        for node in (yield from add_counterfactual(make, found, content.window)):
            node.SetAndObserveTransformNodeID(transform)
    yield 0.9
    folder = yield from hierarchy.add_folder(
        make.scene, make.run, [(node, node.GetAttribute(ROLE)) for node in make.made]
    )
    return ResultNodes(
        make.run, scan, summary, consensus, atlas, surface, rendering, note, folder, shown, tables, plots, spread
    )  # fmt: skip
