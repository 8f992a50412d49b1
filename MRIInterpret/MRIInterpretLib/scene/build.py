"""Explanation in, nodes out: all that a result shows in 3D Slicer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..explanation import Explanation
from ..progress import ProgressCallback, silent
from . import charts, hierarchy, views
from .atlas import add_atlas
from .colours import CONSENSUS, SEQUENTIAL, SIGNED, add_colour_table
from .found import VERDICT, VERDICT_TEXT, SceneNodes
from .nodes import ROLE, NodeMaker, batch, runs
from .note import note_text
from .tables import add_table
from .volume_rendering import add_surface, add_volume_rendering
from .volumes import add_consensus, add_legend, add_map, add_scan

if TYPE_CHECKING:
    import pandas as pd


def build_scene(
    explanation: Explanation,
    scene: Any,
    *,
    scan_node: Any | None = None,
    brain_surface: Any = None,
    arrange_views: bool = True,
    progress: ProgressCallback = silent,
) -> SceneNodes:
    """Add an explanation to a scene; if that fails half-way, the scene is left as it was.

    Parameters
    ----------
    explanation
        What the main job returned.
    scene
        vtkMRMLScene, of Slicer's window or headless.
    scan_node
        The scan, if it is in the scene already. It is not modified; all results go under its parent transform.
    brain_surface
        vtkPolyData of the brain's surface in the scan's RAS mm, if :func:`surface.surface` has made it already.
    arrange_views
        Whether the slice views show the summary over the scan, at its peak, and the camera looks at the head.
    progress
        Told about each part.

    Returns
    -------
    SceneNodes
    """
    name = (explanation.scan.name or "scan").removesuffix(".gz").removesuffix(".nii")
    run = _unique_run(scene, f"MRIInterpret: {name}, {explanation.target.name}")
    make = NodeMaker(scene, run, explanation.model.banner)
    try:
        with batch(scene):
            nodes = _add_nodes(explanation, make, scan_node, name, brain_surface, progress)
            nodes.folder = hierarchy.add_folder(scene, run, [(node, node.GetAttribute(ROLE)) for node in make.made])
    except BaseException:
        make.remove_all()
        raise
    if arrange_views:
        views.show_over_scan(scene, nodes.scan, nodes.summary)
        views.fit_slices(scene, nodes.scan)
        views.jump_to(scene, views.peak(nodes.summary))
        views.aim_camera(scene, nodes.scan)
        views.select_active(scene, nodes.scan, nodes.tables["regions"], nodes.charts["probabilities"])
    progress("Building the scene", 1.0)
    return nodes


def _unique_run(scene: Any, wanted: str) -> str:
    taken, run, count = set(runs(scene)), wanted, 1
    while run in taken:
        count += 1
        run = f"{wanted} ({count})"
    return run


def _add_nodes(
    explanation: Explanation,
    make: NodeMaker,
    scan_node: Any | None,
    name: str,
    brain_surface: Any,
    progress: ProgressCallback,
) -> SceneNodes:
    step = "Building the scene"
    progress(step, 0.0)
    note = make.add("vtkMRMLTextNode", "Research use only", "note")
    note.SetText(note_text(explanation))
    scan = scan_node if scan_node is not None else add_scan(make, explanation.scan, explanation.mask, name)
    signed_colours = add_colour_table(make, SIGNED)
    sequential_colours = add_colour_table(make, SEQUENTIAL)
    summary, limits = add_map(make, explanation.summary, "Summary score", "summary", sequential_colours, False)
    add_legend(make, summary, "Summary score\n(0 to 1)\nresearch use only")
    rendering = add_volume_rendering(make, summary, limits, signed=False)
    rendering.SetVisibility(True)
    progress(step, 0.15)
    consensus = add_consensus(make, explanation.consensus, "Consensus", add_colour_table(make, CONSENSUS))
    add_legend(make, consensus, "Most relevant for")
    progress(step, 0.2)
    maps = {}
    for count, (method, one) in enumerate(explanation.maps.items()):
        colours = signed_colours if one.signed else sequential_colours
        maps[method], _ = add_map(make, one.native, one.title, "map", colours, one.signed, method)
        add_legend(make, maps[method], f"{one.title}\n({one.units})\nresearch use only", method)
        progress(step, 0.2 + 0.4 * (count + 1) / len(explanation.maps))
    surface = add_surface(make, explanation.mask, "Brain surface", brain_surface)
    progress(step, 0.8)
    atlas = add_atlas(make, explanation.atlas_in_scan, explanation.regions, f"Atlas: {explanation.atlas_name}", scan)
    tables, plots = _add_tables(explanation, make)
    if explanation.verdicts:
        from ..trust.verdict import as_table

        tables["trust"] = add_table(make, as_table(explanation.verdicts), "Trust checks", "trust")
        _mark_verdicts(explanation, {"summary": summary, **maps})
    transform = scan.GetTransformNodeID()
    for node in [summary, consensus, surface, atlas, *maps.values()]:
        node.SetAndObserveTransformNodeID(transform)
    return SceneNodes(make.run, scan, summary, consensus, atlas, surface, rendering, note, 0, maps, tables, plots)


def _add_tables(explanation: Explanation, make: NodeMaker) -> tuple[dict[str, Any], dict[str, Any]]:
    regions: pd.DataFrame = explanation.region_table
    tables = {
        "regions": add_table(make, regions, "Regions", "regions"),
        "agreement": add_table(make, explanation.agreement, "Agreement of the methods", "agreement"),
    }
    plots = {}
    methods = list(dict.fromkeys(regions["method"]))
    ranked = "summary" if "summary" in methods else methods[0]
    for role, frame, label, value, title in (
        (
            "probabilities",
            charts.probabilities_frame(explanation.prediction.probabilities),
            "class",
            "probability",
            "Class probabilities (research use only)",
        ),
        (
            "top-regions",
            charts.top_regions_frame(regions, ranked),
            "region",
            "gain",
            "Regions where relevance is densest",
        ),
    ):
        tables[role], plots[role] = charts.add_bar_chart(make, frame, label, value, title, role)
    return tables, plots


def _mark_verdicts(explanation: Explanation, nodes: dict[str, Any]) -> None:
    """Tell each map's node what the trust checks say: it fails if one check fails."""
    for method, node in nodes.items():
        own = [verdict for verdict in explanation.verdicts if verdict.method == method]
        outcomes = {verdict.verdict for verdict in own}
        if outcomes & {"pass", "fail"}:
            node.SetAttribute(VERDICT, "fail" if "fail" in outcomes else "pass")
        if own:
            node.SetAttribute(VERDICT_TEXT, "\n".join(f"{v.check}: {v.verdict}. {v.sentence}" for v in own))
