"""A result's nodes: found in a scene by their attributes, for instance after reopening a file, and removed again."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from . import hierarchy
from .nodes import METHOD, ROLE, RUN, batch, nodes_of_run, remove_with_dependents, rename_run, runs
from .rendering import run_paused

VERDICT = "MRIInterpret.Verdict"  # on a map: "pass", "fail", "not applicable", or nothing if it was not checked
EXCLUDED = "MRIInterpret.NotInSummary"  # on a map that the summary score is not made of
EDGE_TEXT = "MRIInterpret.EdgeText"  # on a map: that much of what is shown at first lies at the brain's edge
VERDICT_TEXT = "MRIInterpret.VerdictText"  # what the checks found, or that none was run; one sentence per line

COUNTERFACTUAL = "counterfactual"  # role of a deformed scan
REPORT = "report"  # role of the text that is the result's report page
ANSWER = "MRIInterpret.Answer"  # on the note: what the model said, in words
# On the note of a model of several networks: how many, and the standard deviation over them by class, as JSON.
MEMBERS = "MRIInterpret.Members"
SENTENCES = "MRIInterpret.VolumeSentences"  # on the note: what the volume methods say; one sentence per line

TABLES = (
    "regions",
    "agreement",
    "probabilities",
    "quantity",
    "top-regions",
    "trust",
    "volumes",
    "volume_changes",
    "changed-volumes",
)
CHARTS = ("probabilities", "quantity", "top-regions", "changed-volumes")
_NEEDED = ("summary", "atlas", "note", "regions")  # the user may delete the other nodes in the data tree
_OF_EXPLANATIONS = ("atlas", "consensus", "agreement", "spread")  # roles that no cohort has


@dataclass
class ResultNodes:
    """The nodes of one result. ``maps`` is keyed by the registry's name of the method.

    ``consensus``, ``surface``, ``volume_rendering`` and ``spread`` are None once the user has deleted them.
    """

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
    tables: dict[str, Any] = field(default_factory=dict)  # by role, see TABLES
    charts: dict[str, Any] = field(default_factory=dict)  # by role, see CHARTS
    spread: Any = None  # of the methods' ranks; scenes of earlier versions have none

    @property
    def volumes(self) -> dict[str, Any]:
        """What can be laid over the scan, by key: the summary score, each method's map, consensus and spread."""
        found = {"summary": self.summary, **self.maps, "consensus": self.consensus, "spread": self.spread}
        return {key: node for key, node in found.items() if node is not None}

    @property
    def members_sd(self) -> dict[str, float] | None:
        """Standard deviation over the model's networks of each probability, or of the quantity; None of one network."""
        found: dict[str, float] | None = self._members().get("sd")
        return found

    @property
    def members(self) -> int:
        """Networks in the model."""
        return int(self._members().get("members", 1))

    def _members(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.note.GetAttribute(MEMBERS) or "{}")
        return found

    @property
    def answer_chart(self) -> Any:
        """The chart of the probabilities, or of the quantity."""
        return self.charts.get("probabilities") or self.charts.get("quantity")


def result_names(scene: Any) -> list[str]:
    """Names of the explanations in a scene, oldest first, without cohorts and incomplete results."""
    return [run for run in runs(scene) if find_result(scene, run) is not None]


def incomplete_names(scene: Any) -> list[str]:
    """Names of the explanations of which the user has deleted so much that they cannot be shown."""
    return [
        run
        for run in runs(scene)
        if find_result(scene, run) is None
        and any(node.GetAttribute(ROLE) in _OF_EXPLANATIONS for node in nodes_of_run(scene, run))
    ]


def find_result(scene: Any, run: str) -> ResultNodes | None:
    """The nodes of a result in the scene, also after reopening a file; None if it is not there or incomplete.

    Nodes are looked for each time: the user may have deleted some. Of results that have one name, see
    :mod:`.imported`, only the first is found.
    """
    by_role: dict[str, Any] = {}
    maps: dict[str, Any] = {}
    for node in next(iter(split_by_result(nodes_of_run(scene, run))), []):
        role = node.GetAttribute(ROLE)
        if role == "map":
            if _has_display(node):
                maps[node.GetAttribute(METHOD)] = node
        elif not (role == "volume-rendering" and node.GetAttribute(METHOD)):
            by_role.setdefault(role, node)
    if not maps or any(role not in by_role for role in _NEEDED) or not _has_display(by_role["summary"]):
        return None
    return ResultNodes(
        run=run,
        scan=by_role.get("scan"),
        summary=by_role["summary"],
        consensus=by_role.get("consensus"),
        atlas=by_role["atlas"],
        surface=by_role.get("surface"),
        volume_rendering=by_role.get("volume-rendering"),
        note=by_role["note"],
        folder=hierarchy.folder_named(scene, run) or 0,
        maps=maps,
        tables={role: by_role[role] for role in TABLES if role in by_role},
        charts={role: by_role[f"{role}-chart"] for role in CHARTS if f"{role}-chart" in by_role},
        spread=by_role.get("spread"),
    )


def _has_display(node: Any) -> bool:
    display = node.GetDisplayNode()
    return display is not None and bool(display.IsA("vtkMRMLScalarVolumeDisplayNode"))


def split_by_result(nodes: list[Any]) -> list[list[Any]]:
    """Nodes that carry one name, result by result: each begins with its note. Usually there is one."""
    starts = [index for index, node in enumerate(nodes) if node.GetAttribute(ROLE) == "note"] or [0]
    starts[0] = 0
    return [nodes[start:end] for start, end in zip(starts, [*starts[1:], len(nodes)], strict=True)]


def hide_others(scene: Any, run: str) -> None:
    """Hide the 3D views and region outlines of all other results: two brains would overlap."""
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        role = node.GetAttribute(ROLE)
        if role not in ("volume-rendering", "surface", "atlas") or node.GetAttribute(RUN) == run:
            continue
        display = node if role == "volume-rendering" else node.GetDisplayNode()
        if display is not None and display.GetVisibility():
            display.SetVisibility(False)


def remove_result(scene: Any, run: str) -> None:
    """Remove a result from the scene, with its folder in the data tree."""
    with batch(scene):
        run_paused(remove_steps(scene, run))


def remove_steps(scene: Any, run: str) -> Generator[None, None, None]:
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


def rename_result(scene: Any, run: str, name: str) -> None:
    """Give a result, and its folder in the data tree, the name of one that was removed."""
    folder = hierarchy.folder_named(scene, run)
    if folder is not None:
        hierarchy.rename_folder(scene, folder, name)
    rename_run(scene, run, name)
