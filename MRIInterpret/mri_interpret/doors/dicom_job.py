"""Exporting a result of the scene as DICOM: its nodes and the scan's series in, DICOM files out."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..worker import messages
from ..worker.dicom_worker import REQUEST, WRITTEN
from ..worker.process import WorkerProcess, python_executable

if TYPE_CHECKING:
    from ..dicom_export.content import DicomContent
    from .result import MRIInterpretResult

NO_SERIES = (
    "The scan of this result did not come from DICOM: load the series with Slicer's DICOM module and explain that "
    "volume, to export DICOM."
)


def has_series(result: MRIInterpretResult) -> bool:
    """Whether it is known which DICOM files the scan was loaded from; without reading them."""
    from ..scene.dicom_series import series_files
    from ..scene.map_display import scan_under

    return bool(series_files(result.nodes.scan or scan_under(result.nodes)) or _read_from(result))


def start(
    result: MRIInterpretResult,
    output: str | Path,
    series: str | Path | None = None,
    *,
    command: Sequence[str] | None = None,
) -> WorkerProcess:
    """Start to write a result as DICOM in a worker process. Poll it; when it is done, hand it to :func:`finish`.

    Parameters
    ----------
    result
        Its nodes are what is exported: outside the brain, their maps are 0.
    output
        The folder; made if it is missing.
    series
        The folder or enhanced file of the scan's series. Found by the scan's node if left out.

    Raises
    ------
    UserError
        If the scan did not come from DICOM.
    """
    from ..dicom_export.content import write_content_steps
    from ..scene.dicom_series import series_files
    from ..scene.map_display import scan_under

    files = [] if series else series_files(result.nodes.scan or scan_under(result.nodes))
    known = str(series or _read_from(result))
    if not files and not known:
        raise UserError(NO_SERIES)
    place = str(Path(known).expanduser().absolute()) if known else ""
    request = {"files": [str(file) for file in files], "series": place}
    request["output"] = str(Path(output).expanduser().absolute())

    def prepare(folder: Path) -> Iterator[None]:
        yield from write_content_steps(content_of_nodes(result), folder)
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")

    return WorkerProcess(prepare, command or [python_executable(), "-m", "mri_interpret.worker.dicom_worker"])


def _read_from(result: MRIInterpretResult) -> str:
    """The DICOM file or folder that a saved result says its scan was read from; empty if that is none."""
    path = result.scan_file
    return path if path and (Path(path).is_dir() or path.lower().endswith((".dcm", ".ima"))) else ""


def finish(worker: WorkerProcess, done: messages.Done) -> Generator[float, None, dict[str, Path]]:
    """The files that were written, by name; the worker's own are deleted."""
    try:
        record = json.loads((Path(done.folder) / WRITTEN).read_text(encoding="utf-8"))
        yield 1.0
    finally:
        worker.clean_up()
    return {name: Path(path) for name, path in record.items()}


def content_of_nodes(result: MRIInterpretResult) -> DicomContent:
    """What of a result's nodes becomes DICOM; it works for reopened scenes, too."""
    from ..dicom_export.content import DicomContent, exported_map, exported_regions
    from ..scene.dicom_series import region_labels
    from ..scene.geometry import volume_of
    from ..scene.nodes import UNITS
    from ..scene.tables import rows_of_node
    from .result_tables import prediction_text

    nodes = result.nodes
    labels, colours = region_labels(nodes.atlas, nodes.summary)
    facts = _facts(nodes.note)
    return DicomContent(
        maps=tuple(
            exported_map(key, node.GetName(), node.GetAttribute(UNITS) or "", volume_of(node, copy=False))
            for key, node in nodes.volumes.items()
        ),
        labels=labels,
        regions=exported_regions(rows_of_node(nodes.tables["regions"]), colours),
        answer=result.predicted,
        probabilities=result.probabilities,
        members_sd=result.members_sd,
        members=result.members,
        quantity=_quantity(result),
        explained=facts.get("Explained", "").rpartition(", value")[0],
        model=facts.get("Model", "").partition(", SHA")[0],
        segmented_by=nodes.atlas.GetName(),
        banner=(nodes.note.GetText() or "").partition("\n")[0],
        warnings=prediction_text(nodes).warnings,
    )


def _facts(note: Any) -> dict[str, str]:
    """The lines "name: value" of a result's note."""
    lines = (line.partition(": ") for line in (note.GetText() or "").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _quantity(result: MRIInterpretResult) -> tuple[str, float, str] | None:
    """Name, value and unit of what the model returned, if it is a number."""
    from ..scene.tables import columns_of_node

    if result.value is None:
        return None
    name = list(columns_of_node(result.nodes.tables["quantity"]))[1]
    title = str(result.nodes.tables["quantity"].GetName())  # "age in years (research use only)"
    unit = title.removesuffix(" (research use only)").removeprefix(name).removeprefix(" in ").strip()
    return name, result.value, unit
