"""A cohort's group maps as a scene: the template, mean maps of each group, differences, tables; from its folder."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import UserError
from ..progress import ProgressCallback, silent
from ..volume import Volume
from . import charts, hierarchy, views
from .build import STEP, whole
from .colours import SEQUENTIAL, SIGNED, add_colour_table
from .content import SceneContent, TableContent, brain_window, chart, columns_of, map_content, unique_name
from .found import hide_others
from .geometry import finished
from .headless import HeadlessScene
from .mrb import pack
from .nodes import ROLE, NodeMaker, batch, runs
from .surface import surface
from .tables import add_table
from .volume_rendering import add_surface, add_volume_rendering
from .volumes import add_legend, add_map, add_scan

# What tables the scene holds: file in the group folder -> title.
_TABLES = {
    "predictions": "Predictions",
    "confusion": "Confusion matrix",
    "performance": "Performance",
    "top_regions": "Regions most often named",
    "consistency": "Consistency",
}


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


def build_group_scene(
    output: str | Path, scene: Any, *, arrange_views: bool = True, progress: ProgressCallback = silent
) -> GroupNodes:
    """Add a cohort's group results to a scene; if that fails half-way, the scene is left as it was.

    Parameters
    ----------
    output
        The cohort's output folder.
    scene
        vtkMRMLScene, of Slicer's window or headless.
    arrange_views
        Whether the slice views show the summary score's difference (or mean) over the template.
    progress
        Told about each map; may raise to cancel.

    Raises
    ------
    UserError
        If the folder holds no complete group results.
    """
    content = group_content(output, lambda step, fraction: progress(step, 0.7 * fraction))
    with batch(scene):
        told = lambda fraction: progress(STEP, 0.7 + 0.29 * fraction)  # noqa: E731
        nodes: GroupNodes = finished(group_steps(content, scene), told)
    if arrange_views:
        arrange_group(scene, nodes)
    progress(STEP, 1.0)
    return nodes


def arrange_group(scene: Any, nodes: GroupNodes) -> None:
    """The slice views show the summary's difference (or mean) over the template."""
    shown = _first_shown(nodes)
    hide_others(scene, nodes.run)
    views.show_over_scan(scene, nodes.template, shown)
    views.fit_slices(scene, nodes.template)
    views.jump_to(scene, views.peak(shown))
    views.aim_camera(scene, nodes.template)
    if nodes.chart is not None:
        views.select_active(scene, nodes.template, nodes.tables["predictions"], nodes.chart)


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
        with replacing(path) as aside, tempfile.TemporaryDirectory(prefix=".partial-", dir=aside.parent) as folder:
            packed = Path(folder) / path.name
            pack(headless.scene, packed)
            os.replace(packed, aside)
    return path


def _record(group: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((group / "group.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{group} holds no group results: run the cohort until its report is written.") from error
    return record


def group_content(output: str | Path, progress: ProgressCallback = silent) -> SceneContent:
    """What a scene shows of a cohort, read from its output folder. The keys of its maps are "method/map".

    Raises
    ------
    UserError
        If the folder holds no complete group results.
    """
    import pandas as pd

    from ..preprocessing.reading import read_volume
    from ..preprocessing.template import load_template

    group = Path(output) / "group"
    record = _record(group)
    progress(STEP, 0.0)
    brain, mask = load_template(1)
    of_predicted = {
        method: bool(found["sets"]) and not any(s.startswith("true-") for s in found["sets"])
        for method, found in record["maps"].items()
    }
    chosen = [
        (method, name, file)
        for method, found in record["maps"].items()
        for name, file in found["files"].items()
        if _is_shown(name, of_predicted[method])
    ]
    maps = []
    for done, (method, name, file) in enumerate(chosen):
        about = record["methods"][method]
        volume = read_volume(group / file)
        title = f"{about['title']}, {_words(name, record['maps'][method])}"
        units = "t" if name.endswith("_t") else about["units"]
        if method == "summary" and name.endswith("_difference"):
            units = "-1 to 1"  # of two ranks from 0 to 1
        maps.append(
            map_content(
                Volume(volume.array.astype(np.float32), volume.affine, title), f"{method}/{name}",
                "summary" if method == "summary" and name.endswith("_mean") else "map",
                title, f"{_lines(title)}\n({units})\nresearch use only",
                signed=bool(about["signed"]) or not name.endswith("_mean"), method=method,
            )
        )  # fmt: skip
        progress(STEP, (done + 1) / len(chosen))
    tables = [
        TableContent(name, title, columns_of(pd.read_csv(group / f"{name}.csv")))
        for name, title in _TABLES.items()
        if (group / f"{name}.csv").is_file()
    ]
    top = pd.read_csv(group / "top_regions.csv")
    top = top[top["group"] == "all"]
    title = "Regions most often among a map's five most relevant"
    bars = dict(zip(top["region"].astype(str), top["frequency"].astype(float), strict=True))
    return SceneContent(
        run=f"MRIInterpret cohort: {Path(output).resolve().name}",
        banner=record["banner"],
        note=_note(record),
        scan=brain,
        scan_name="ICBM152 template",
        window=brain_window(brain, mask),
        maps=tuple(maps),
        tables=tuple(tables),
        charts=(chart("top-regions", title, "region", "share of maps", bars),) if bars else (),
        surface=surface(mask),
    )


def group_steps(content: SceneContent, scene: Any) -> Generator[float, None, GroupNodes]:
    """Add a cohort's content in steps, see :func:`build.build_steps`."""
    make = NodeMaker(scene, unique_name(content.run, runs(scene, unfinished=True)), content.banner, building=True)
    nodes: GroupNodes = yield from whole(make, _add_nodes(content, make))
    return nodes


def _add_nodes(content: SceneContent, make: NodeMaker) -> Generator[float | None, None, GroupNodes]:
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(content.note)
    yield 0.02
    scan = yield from add_scan(make, content.scan, content.scan_name, content.window)
    nodes = GroupNodes(make.run, scan, note)
    signed, sequential = add_colour_table(make, SIGNED), add_colour_table(make, SEQUENTIAL)
    for done, one in enumerate(content.maps):
        node = yield from add_map(make, one, signed if one.signed else sequential)
        add_legend(make, node, one.legend, one.method)
        nodes.maps[_pair(one.key)] = node
        yield 0.05 + 0.75 * (done + 1) / len(content.maps)
    first = _first_shown(nodes)
    shown = next(one for one in content.maps if nodes.maps[_pair(one.key)] is first)
    add_volume_rendering(make, first, shown.limits, shown.signed).SetVisibility(True)
    yield 0.82
    if content.surface is not None:
        add_surface(make, content.surface, "Brain surface")
    yield 0.85
    for table in content.tables:
        nodes.tables[table.role] = add_table(make, table)
        yield None
    for one_chart in content.charts:
        _, nodes.chart = charts.add_bar_chart(make, one_chart)
    yield 0.9
    pairs = [(node, node.GetAttribute(ROLE)) for node in make.made]
    nodes.folder = yield from hierarchy.add_folder(make.scene, make.run, pairs)
    return nodes


def _pair(key: str) -> tuple[str, str]:
    method, _, name = key.partition("/")
    return method, name


def _is_shown(name: str, only_predicted: bool) -> bool:
    """Means of each true group (of each predicted one where no group is known), differences and t."""
    if name.endswith(("_difference", "_t")):
        return True
    kind = "predicted-" if only_predicted else "true-"
    return name.startswith(kind) and name.endswith("_mean") and "_predicted-" not in name


def _lines(title: str) -> str:
    """A legend has little room beside a slice: a line for each part."""
    return title.replace(", ", "\n")


def _words(name: str, found: dict[str, Any]) -> str:
    subset, _, kind = name.rpartition("_")
    if kind == "mean":
        group = subset.partition("-")[2]
        who = f"called {group}" if subset.startswith("predicted-") else group
        return f"mean of {who} (n={found['sets'][subset]})"
    return f"{subset.replace('-minus-', ' minus ')}, {'t' if kind == 't' else 'difference of means'}"


def _first_shown(nodes: GroupNodes) -> Any:
    """The summary's difference, else its mean over the last class that has one: what views start with."""
    of_summary = {name: node for (method, name), node in nodes.maps.items() if method == "summary"}
    for name, node in of_summary.items():
        if name.endswith("_difference"):
            return node
    return list(of_summary.values())[-1]


def _note(record: dict[str, Any]) -> str:
    accuracy = record["balanced_accuracy"]
    lines = [
        record["banner"],
        "",
        f"{record['subjects']} subjects; explained contrast: {record['target']}",
        f"Model: {record['model']['name']} {record['model']['version']}, SHA-256 {record['model']['hash']}",
        "Balanced accuracy: " + ("not known" if accuracy is None else f"{accuracy:.2f}"),
        *(f"- {sentence}" for sentence in record["notes"]),
    ]
    return "\n".join(lines) + "\n"
