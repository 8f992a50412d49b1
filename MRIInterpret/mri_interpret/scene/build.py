"""Builds the nodes of an explanation, in one go or in steps, and shows them in the views."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..errors import UserError
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from ..scene_content.content import STEP, SUMMARY, SceneContent, content_of, unique_name
from ..scene_content.vtk_images import finished
from . import hierarchy, views
from .atlas import add_atlas
from .colours import CONSENSUS, SEQUENTIAL, SIGNED, add_colour_table
from .nodes import ROLE, NodeMaker, batch, runs
from .result_nodes import ANSWER, VERDICT, VERDICT_TEXT, ResultNodes, hide_others
from .tables import add_bar_chart, add_table
from .volume_rendering import add_surface, add_volume_rendering
from .volumes import add_consensus, add_legend, add_map, add_scan


def build_scene(
    explanation: Explanation,
    scene: Any,
    *,
    scan_node: Any | None = None,
    arrange_views: bool = True,
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
        Whether the slice views show the summary over the scan, at its peak, and the camera looks at the head.
    progress
        Told about each step; may raise to cancel.

    Returns
    -------
    ResultNodes
    """
    progress(STEP, 0.0)
    content = content_of(explanation)
    progress(STEP, 0.3)
    with batch(scene):
        steps = build_steps(content, scene, scan_node=scan_node)
        nodes: ResultNodes = finished(steps, lambda fraction: progress(STEP, 0.3 + 0.69 * fraction))
    if arrange_views:
        arrange(scene, nodes, content)
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
    nodes: ResultNodes = yield from all_or_nothing(make, _add_nodes(content, make, scan_node), scan_node)
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


def arrange(scene: Any, nodes: ResultNodes, content: SceneContent) -> None:
    """Show the summary over the scan in the slice views, at its peak, and aim the camera at the head."""
    hide_others(scene, nodes.run)
    views.show_over_scan(scene, nodes.scan, nodes.summary)
    views.fit_slices(scene, nodes.scan)
    views.jump_to(scene, views.world_of(nodes.summary, content.map(SUMMARY).peak))
    views.aim_camera(scene, nodes.scan)
    views.select_active(scene, nodes.scan, nodes.tables["regions"], nodes.answer_chart)


def _add_nodes(content: SceneContent, make: NodeMaker, scan_node: Any | None) -> Generator[float | None, None, Any]:
    """Steps that yield how much is done, or None within a part."""
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(content.note)
    note.SetAttribute(ANSWER, content.answer)
    yield 0.02
    scan = scan_node
    if scan is None:
        scan = yield from add_scan(make, content.scan, content.scan_name, content.window)
    yield 0.05
    colours = {}
    for name in (SIGNED, SEQUENTIAL, CONSENSUS):
        colours[name] = add_colour_table(make, name)
        yield None
    transform = scan.GetTransformNodeID()
    shown: dict[str, Any] = {}
    for count, one in enumerate(content.maps):
        node = yield from add_map(make, one, colours[SIGNED if one.signed else SEQUENTIAL], content.mask)
        node.SetAndObserveTransformNodeID(transform)
        if one.verdict:
            node.SetAttribute(VERDICT, one.verdict)
        if one.verdict_text:
            node.SetAttribute(VERDICT_TEXT, one.verdict_text)
        add_legend(make, node, one.legend, one.method)
        shown[one.key] = node
        yield 0.1 + 0.5 * (count + 1) / len(content.maps)
    assert content.consensus is not None
    assert content.atlas is not None
    summary = shown.pop(SUMMARY)
    rendering = add_volume_rendering(make, summary, content.map(SUMMARY).limits, signed=False)
    rendering.SetVisibility(True)
    yield 0.62
    consensus = yield from add_consensus(make, content.consensus, "Consensus", colours[CONSENSUS])
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
    yield 0.9
    folder = yield from hierarchy.add_folder(
        make.scene, make.run, [(node, node.GetAttribute(ROLE)) for node in make.made]
    )
    return ResultNodes(
        make.run, scan, summary, consensus, atlas, surface, rendering, note, folder, shown, tables, plots
    )  # fmt: skip
