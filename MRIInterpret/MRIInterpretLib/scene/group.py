"""A cohort's group maps as a scene: the template, mean maps of each group, differences, tables; from its folder."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..atomic import replacing
from ..errors import UserError
from ..preprocessing.reading import read_volume
from ..preprocessing.template import load_template
from ..progress import ProgressCallback, silent
from ..volume import Volume
from . import charts, hierarchy, views
from .colours import SEQUENTIAL, SIGNED, add_colour_table
from .headless import HeadlessScene
from .mrb import pack
from .nodes import ROLE, NodeMaker, batch, runs
from .tables import add_table
from .volumes import add_legend, add_map, add_scan

# What tables the scene holds: file in the group folder -> title.
_TABLES = {
    "predictions": "Predictions",
    "confusion": "Confusion matrix",
    "performance": "Performance",
    "top_regions": "Regions most often named",
    "consistency": "Consistency",
}
STEP = "Building the scene"


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
    group = Path(output) / "group"
    record = _record(group)
    wanted, count = f"MRIInterpret cohort: {Path(output).resolve().name}", 1
    run = wanted
    while run in runs(scene):
        count += 1
        run = f"{wanted} ({count})"
    make = NodeMaker(scene, run, record["banner"])
    try:
        with batch(scene):
            nodes = _add_nodes(make, group, record, progress)
            nodes.folder = hierarchy.add_folder(scene, run, [(node, node.GetAttribute(ROLE)) for node in make.made])
    except BaseException:
        make.remove_all()
        raise
    if arrange_views:
        shown = _first_shown(nodes, record)
        views.show_over_scan(scene, nodes.template, shown)
        views.fit_slices(scene, nodes.template)
        views.jump_to(scene, views.peak(shown))
        views.aim_camera(scene, nodes.template)
        if nodes.chart is not None:
            views.select_active(scene, nodes.template, nodes.tables["predictions"], nodes.chart)
    progress(STEP, 1.0)
    return nodes


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


def _add_nodes(make: NodeMaker, group: Path, record: dict[str, Any], progress: ProgressCallback) -> GroupNodes:
    progress(STEP, 0.0)
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(_note(record))
    brain, mask = load_template(1)
    nodes = GroupNodes(make.run, add_scan(make, brain, mask, "ICBM152 template"), note)
    signed, sequential = add_colour_table(make, SIGNED), add_colour_table(make, SEQUENTIAL)
    chosen = [
        (method, name, file)
        for method, found in record["maps"].items()
        for name, file in found["files"].items()
        if _is_shown(name, bool(found["sets"]) and not any(s.startswith("true-") for s in found["sets"]))
    ]
    for done, (method, name, file) in enumerate(chosen):
        about = record["methods"][method]
        volume = read_volume(group / file)
        of_two_signs = bool(about["signed"]) or not name.endswith("_mean")
        title = f"{about['title']}, {_words(name, record['maps'][method])}"
        volume = Volume(volume.array.astype(np.float32), volume.affine, title)
        colours = signed if of_two_signs else sequential
        is_score = method == "summary" and name.endswith("_mean")
        node, _ = add_map(make, volume, title, "summary" if is_score else "map", colours, of_two_signs, method)
        units = "t" if name.endswith("_t") else about["units"]
        add_legend(make, node, f"{title}\n({units})\nresearch use only", method)
        nodes.maps[method, name] = node
        progress(STEP, 0.9 * (done + 1) / len(chosen))
    for name, title in _TABLES.items():
        path = group / f"{name}.csv"
        if path.is_file():
            nodes.tables[name] = add_table(make, pd.read_csv(path), title, name)
    top = pd.read_csv(group / "top_regions.csv")
    top = top[top["group"] == "all"]
    if not top.empty:
        frame = pd.DataFrame({"region": top["region"].astype(str), "share of maps": top["frequency"].astype(float)})
        title = "Regions most often among a map's five most relevant"
        _, nodes.chart = charts.add_bar_chart(make, frame, "region", "share of maps", title, "top-regions")
    return nodes


def _is_shown(name: str, only_predicted: bool) -> bool:
    """Means of each true group (of each predicted one where no group is known), differences and t."""
    if name.endswith(("_difference", "_t")):
        return True
    kind = "predicted-" if only_predicted else "true-"
    return name.startswith(kind) and name.endswith("_mean") and "_predicted-" not in name


def _words(name: str, found: dict[str, Any]) -> str:
    subset, _, kind = name.rpartition("_")
    if kind == "mean":
        group = subset.partition("-")[2]
        who = f"called {group}" if subset.startswith("predicted-") else group
        return f"mean of {who} (n={found['sets'][subset]})"
    return f"{subset.replace('-minus-', ' minus ')}, {'t' if kind == 't' else 'difference of means'}"


def _first_shown(nodes: GroupNodes, record: dict[str, Any]) -> Any:
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
