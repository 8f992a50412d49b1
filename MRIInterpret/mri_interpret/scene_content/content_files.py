"""The content of a scene in a folder: how it passes from the worker process to Slicer. Nothing is pickled."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..explanation.explanation import Region
from ..images.array_files import ArrayFiles, read_array_file
from ..images.volume import Volume
from .content import MapContent, SceneContent
from .counterfactual_content import read_counterfactuals, write_counterfactuals
from .display_range import DisplayRange
from .table_content import ChartContent, TableContent

_INDEX, _SURFACE = "scene.json", "surface.vtp"
_VOLUMES = ("scan", "consensus", "mask", "atlas")
_PLAIN = (
    *("run", "banner", "note", "scan_name", "window", "atlas_name", "answer", "sentences"),
    *("members_sd", "members"),
)


def write_content(content: SceneContent, folder: Path, written: ArrayFiles | None = None) -> None:
    """Save into ``folder``, which exists. The brain's surface is made where there is VTK, for it takes a while.

    ``written`` knows which arrays lie in the folder already.
    """
    written = written if written is not None else ArrayFiles(folder)
    record: dict[str, Any] = {name: getattr(content, name) for name in _PLAIN}
    for name in _VOLUMES:
        volume = getattr(content, name)
        record[name] = written.record(volume, f"scene_{name}") if volume is not None else None
    record["maps"] = [
        {
            **{name: value for name, value in vars(one).items() if name not in ("volume", "limits")},
            "limits": asdict(one.limits),
            "volume": written.record(one.volume, f"scene_map_{number}"),
        }
        for number, one in enumerate(content.maps)
    ]
    record["tables"] = [vars(table) for table in content.tables]
    record["charts"] = [asdict(chart) for chart in content.charts]
    record["counterfactuals"] = write_counterfactuals(content.counterfactuals, folder, written)
    record["regions"] = [asdict(region) for region in content.regions]
    _write_surface(content, folder)
    (folder / _INDEX).write_text(json.dumps(record), encoding="utf-8")


def _write_surface(content: SceneContent, folder: Path) -> None:
    try:
        from .surface import write_surface
    except ImportError:  # a Python without VTK: Slicer makes the surface itself
        return
    mesh = content.brain_surface()
    if mesh is not None:
        write_surface(mesh, folder / _SURFACE)


def read_content(folder: Path) -> SceneContent:
    """What :func:`write_content` saved. Its arrays live in the folder's files: keep them until the scene is built.

    Raises
    ------
    UserError
        If the folder does not hold a complete result.
    """
    from .surface import read_surface

    try:
        record = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        volumes: dict[str, Any] = {name: _volume(record.pop(name), folder) for name in _VOLUMES}
        scan = volumes.pop("scan")
        if scan is None:
            raise ValueError("it has no scan")
        return SceneContent(
            **{name: record[name] for name in _PLAIN if name not in ("window", "sentences")},
            window=tuple(record["window"]) if record["window"] else None,
            scan=scan,
            **volumes,
            maps=tuple(_map(one, folder) for one in record["maps"]),
            tables=tuple(TableContent(**table) for table in record["tables"]),
            charts=tuple(
                ChartContent(TableContent(**one["table"]), one["label"], one["value"]) for one in record["charts"]
            ),
            surface=read_surface(folder / _SURFACE),
            sentences=tuple(record["sentences"]),
            counterfactuals=read_counterfactuals(record["counterfactuals"], folder),
            regions=tuple(Region(r["label"], r["name"], tuple(r["colour"])) for r in record["regions"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The worker's result in {folder} cannot be read ({error}): run it again.") from error


def _volume(record: dict[str, Any] | None, folder: Path) -> Volume | None:
    return read_array_file(record, folder) if record is not None else None


def _map(record: dict[str, Any], folder: Path) -> MapContent:
    i, j, k = record.pop("peak")
    return MapContent(
        **record
        | {
            "limits": DisplayRange(**record["limits"]),
            "volume": read_array_file(record["volume"], folder),
            "peak": (i, j, k),
        }
    )
