"""A result's nodes: found in a scene by their marks, for instance after reopening a file, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import hierarchy
from .nodes import METHOD, ROLE, RUN, batch, nodes_of_run, remove_with_dependents, runs

VERDICT = "MRIInterpret.Verdict"  # on a map: "pass", "fail", "not applicable", or nothing if it was not checked
VERDICT_TEXT = "MRIInterpret.VerdictText"  # what the checks found, one sentence per line


@dataclass
class SceneNodes:
    """The nodes of one result. ``maps`` is keyed by the registry's name of the method."""

    run: str
    scan: Any
    summary: Any
    consensus: Any
    atlas: Any
    surface: Any
    volume_rendering: Any
    note: Any
    folder: int
    maps: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(
        default_factory=dict
    )  # "regions", "agreement", "probabilities", "top-regions", "trust"
    charts: dict[str, Any] = field(default_factory=dict)  # "probabilities", "top-regions"


def explanations(scene: Any) -> list[str]:
    """Names of the explanations in a scene, oldest first; cohorts and what is not complete are left out."""
    return [run for run in runs(scene) if find_result(scene, run) is not None]


def find_result(scene: Any, run: str) -> SceneNodes | None:
    """The nodes of a result that is in the scene already, for instance after reopening a file; None if incomplete."""
    by_role: dict[str, Any] = {}
    maps: dict[str, Any] = {}
    for node in nodes_of_run(scene, run):
        role = node.GetAttribute(ROLE)
        if role == "map":
            maps[node.GetAttribute(METHOD)] = node
        elif not (role == "volume-rendering" and node.GetAttribute(METHOD)):
            by_role.setdefault(role, node)
    needed = ("summary", "consensus", "atlas", "surface", "volume-rendering", "note", "regions", "agreement")
    if not maps or any(role not in by_role for role in needed):
        return None
    return SceneNodes(
        run,
        by_role.get("scan"),
        by_role["summary"],
        by_role["consensus"],
        by_role["atlas"],
        by_role["surface"],
        by_role["volume-rendering"],
        by_role["note"],
        hierarchy.folder_named(scene, run) or 0,
        maps,
        {
            role: by_role[role]
            for role in ("regions", "agreement", "probabilities", "top-regions", "trust")
            if role in by_role
        },
        {role: by_role[f"{role}-chart"] for role in ("probabilities", "top-regions") if f"{role}-chart" in by_role},
    )


def hide_others(scene: Any, run: str) -> None:
    """Take what other results show in 3D, and outlines of their regions, off the views: two brains would overlap."""
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        role = node.GetAttribute(ROLE)
        if role not in ("volume-rendering", "surface", "atlas") or node.GetAttribute(RUN) == run:
            continue
        display = node if role == "volume-rendering" else node.GetDisplayNode()
        if display is not None and display.GetVisibility():
            display.SetVisibility(False)


def remove_result(scene: Any, run: str) -> None:
    """Take a result out of the scene, folder and all."""
    with batch(scene):
        for _ in remove_steps(scene, run):
            pass


def remove_steps(scene: Any, run: str) -> Iterator[None]:
    """The same, one node in each step."""
    nodes = nodes_of_run(scene, run)
    if not nodes:
        return
    folder = hierarchy.folder_named(scene, run)
    for node in reversed(nodes):
        remove_with_dependents(scene, node)
        yield
    if folder is not None:
        hierarchy.remove_folder(scene, folder)
