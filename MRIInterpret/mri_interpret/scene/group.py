"""Builds the nodes of a cohort: the template, mean maps of each group, differences, tables; and its .mrb file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer

from ..progress import ProgressCallback, silent
from ..scene_content.content import (
    STEP,
    SceneContent,
    unique_name,
)
from ..scene_content.display_range import label_format
from ..scene_content.group_content import group_content
from ..scene_content.vtk_images import finished
from . import hierarchy, views
from .build import all_or_nothing
from .headless import HeadlessScene
from .mrb import save_scene
from .nodes import ROLE, NodeMaker, batch, runs
from .rendering import paused, paused_steps, run_paused
from .result_nodes import hide_others
from .tables import add_bar_chart, add_table
from .volume_rendering import add_surface, add_volume_rendering
from .volumes import add_legend, add_map, add_scan


@dataclass
class GroupNodes:
    """The nodes of one cohort. ``maps`` is keyed by (method, map), such as ("summary", "true-AD_mean")."""

    run: str
    template: Any
    note: Any
    folder: int = 0
    maps: dict[tuple[str, str], Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    chart: Any = None
    rendering: Any = None
    surface: Any = None


def build_group_scene(
    output: str | Path, scene: Any, *, arrange_views: bool = True, progress: ProgressCallback = silent
) -> GroupNodes:
    """Add a cohort's group results to a scene; if that fails, the scene is left as it was.

    Parameters
    ----------
    output
        The cohort's output folder.
    scene
        vtkMRMLScene, of Slicer's window or headless.
    arrange_views
        Whether the slice views show the summary score's difference (or mean) over the template.
    progress
        Told about each step; may raise to cancel.

    Raises
    ------
    UserError
        If the folder holds no complete group results.
    """
    content = group_content(output, lambda step, fraction: progress(step, 0.7 * fraction))
    with paused():
        with batch(scene):
            steps = group_steps(content, scene)
            nodes: GroupNodes = finished(steps, lambda fraction: progress(STEP, 0.7 + 0.29 * fraction))
        if arrange_views:
            run_paused(arrange_group_steps(scene, nodes))
    progress(STEP, 1.0)
    return nodes


def arrange_group_steps(scene: Any, nodes: GroupNodes, show_3d: bool = True) -> Generator[None, None, None]:
    """Show the summary's difference (or mean) over the template in the slice views, and last in 3D; in steps."""
    shown = _first_shown(nodes)
    with paused():
        hide_others(scene, nodes.run)
        views.show_over_scan(scene, nodes.template, shown)
    yield
    place = views.peak(shown)
    for node in views.nodes_of(scene, "vtkMRMLSliceNode"):
        with paused(), slicer.util.NodeModify(node):
            views.fit_slices(scene, nodes.template, [node])
            views.jump_to(scene, place, [node])
        yield
    with paused():
        views.aim_camera(scene, nodes.template)
        if nodes.chart is not None:
            views.select_active(scene, nodes.template, nodes.tables["predictions"], nodes.chart)
    yield
    with paused():
        nodes.rendering.SetVisibility(show_3d)
        if nodes.surface is not None:
            nodes.surface.GetDisplayNode().SetVisibility(show_3d)


def write_group_mrb(output: str | Path, path: str | Path, progress: ProgressCallback = silent) -> Path:
    """The group scene as a .mrb file, written aside and renamed.

    Raises
    ------
    UserError
        If the folder holds no complete group results, or the file cannot be written.
    """
    path = Path(path)
    with HeadlessScene() as headless:
        views.add_views(headless.scene)
        build_group_scene(output, headless.scene, progress=progress)
        save_scene(headless.scene, path)
    return path


def group_steps(content: SceneContent, scene: Any) -> Generator[float, None, GroupNodes]:
    """Add a cohort's content to a scene in steps, see :func:`build.build_steps`."""
    make = NodeMaker(scene, unique_name(content.run, runs(scene, unfinished=True)), content.banner, building=True)
    nodes: GroupNodes = yield from paused_steps(all_or_nothing(make, _add_nodes(content, make)))
    return nodes


def _add_nodes(content: SceneContent, make: NodeMaker) -> Generator[float | None, None, GroupNodes]:
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(content.note)
    yield 0.02
    scan = yield from add_scan(make, content.scan, content.scan_name, content.window)
    nodes = GroupNodes(make.run, scan, note)
    for done, one in enumerate(content.maps):
        node = yield from add_map(make, one, content.mask)
        add_legend(make, node, one.legend, one.method, label_format(one.limits))
        nodes.maps[_pair(one.key)] = node
        yield 0.05 + 0.75 * (done + 1) / len(content.maps)
    first = _first_shown(nodes)
    shown = next(one for one in content.maps if nodes.maps[_pair(one.key)] is first)
    nodes.rendering = add_volume_rendering(make, first, shown.limits, shown.signed)
    yield 0.82
    if content.surface is not None:
        nodes.surface = add_surface(make, content.surface, "Brain surface")
    yield 0.85
    for table in content.tables:
        nodes.tables[table.role] = add_table(make, table)
        yield None
    for one_chart in content.charts:
        _, nodes.chart = add_bar_chart(make, one_chart)
    yield 0.9
    pairs = [(node, node.GetAttribute(ROLE)) for node in make.made]
    nodes.folder = yield from hierarchy.add_folder(make.scene, make.run, pairs)
    return nodes


def _pair(key: str) -> tuple[str, str]:
    method, _, name = key.partition("/")
    return method, name


def _first_shown(nodes: GroupNodes) -> Any:
    """The summary's difference, else its mean over the last class that has one: which the views show first."""
    of_summary = {name: node for (method, name), node in nodes.maps.items() if method == "summary"}
    for name, node in of_summary.items():
        if name.endswith("_difference"):
            return node
    return list(of_summary.values())[-1]
