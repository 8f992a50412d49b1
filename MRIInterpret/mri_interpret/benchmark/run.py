"""The benchmark over subjects and networks: one file per subject and network, so that a stopped run goes on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..atomic import replacing, write_text
from ..errors import UserError
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import STYLISED
from .benchmarked_model import BenchmarkedModel, on_grid
from .design import BenchmarkDesign
from .measurements import measure_subject
from .network_under_test import random_copy
from .stored_maps import maps_path, save_maps
from .subject_cache import SubjectStream

if TYPE_CHECKING:
    from torch import nn


def run_benchmark(
    models: Sequence[BenchmarkedModel],
    stream: SubjectStream,
    design: BenchmarkDesign,
    folder: Path,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """Measure what is missing in ``folder``, and return everything that is there of this plan and these networks.

    Raises
    ------
    UserError
        If the folder holds a benchmark with other settings.
    Cancelled
        If ``progress`` raised it; what is complete stays.
    """
    anatomies = len(stream.anatomies)
    _same_settings(folder / "settings.json", design, stream, models)
    missing = [
        (index, one)
        for index in range(design.subjects)
        for one in models
        if not _rows_path(folder, one, index).exists()
    ]
    untrained: dict[str, nn.Module] = {}
    given, at = None, -1
    for done, (index, one) in enumerate(missing):
        title = f"Subject {index + 1} of {design.subjects}"

        def part(_: str, fraction: float, done: int = done, title: str = title) -> None:
            progress(title, (done + min(fraction, 0.999)) / len(missing))

        part("", 0.0)
        if given is None or at != index:
            given, at = stream[index], index
        if one.name not in untrained:
            first = on_grid(stream[0], one.bundle).image
            untrained[one.name] = random_copy(one.under_test, first, design.seed)
        extra = design.extra(index, anatomies)
        frame, maps = measure_subject(
            one.under_test,
            on_grid(given, one.bundle),
            extra,
            untrained[one.name],
            seed=zlib.crc32(f"{design.seed} {index}".encode()),
            progress=part,
        )
        frame.insert(0, "network", one.name)
        frame.insert(1, "half", design.half(index, anatomies))
        if extra.pictured:
            save_maps(maps_path(folder, one.name, index), on_grid(given, one.bundle), maps)
        with replacing(_rows_path(folder, one, index)) as aside:
            frame.to_csv(aside, index=False, float_format="%.6g")
    progress(f"Subject {design.subjects} of {design.subjects}", 1.0)
    paths = [_rows_path(folder, one, index) for one in models for index in range(design.subjects)]
    return pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)


def _rows_path(folder: Path, one: BenchmarkedModel, index: int) -> Path:
    return folder / "rows" / f"{one.name}_{index:05d}.csv"


def _same_settings(
    path: Path, design: BenchmarkDesign, stream: SubjectStream, models: Sequence[BenchmarkedModel]
) -> None:
    """Rows of two designs must not mix."""
    methods = list(models[0].under_test.methods) + list(models[0].under_test.slow)
    target = [float(weight) for weight in models[0].under_test.target]
    wanted = {
        **design.record(),
        "anatomies": [anatomy.name for anatomy in stream.anatomies],
        "methods": methods,
        "target": target,
        "disease": stream.disease,
    }
    if path.exists():
        # Folders from before there were two diseases do not name theirs.
        found = {"disease": STYLISED, **json.loads(path.read_text(encoding="utf-8"))}
        if found != wanted:
            different = sorted(key for key in wanted if found.get(key) != wanted[key])
            raise UserError(
                f"{path.parent} holds a benchmark with other settings ({', '.join(different)}): choose another output "
                "folder, or delete it."
            )
    else:
        write_text(path, json.dumps(wanted, indent=1) + "\n")
