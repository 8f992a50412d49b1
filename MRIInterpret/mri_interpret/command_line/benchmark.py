"""`mri-interpret benchmark`: attribution methods of a model against simulated atrophy, whose place is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import UserError
from ..progress import ProgressCallback
from ..simulation.anatomy import PUBLISHED, STYLISED
from .arguments import check_writable
from .terminal import shown_progress

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ..benchmark.design import BenchmarkDesign
    from ..images.volume import Grid
    from ..simulation.anatomy import Anatomy


def benchmark_command(
    output: Path,
    models: Sequence[str],
    design: BenchmarkDesign,
    *,
    label_maps: Path | None = None,
    names: Sequence[str] = (),
    methods: Sequence[str] | None = None,
    target: str = "AD-CN",
    device: str = "auto",
    cache: Path | None = None,
    disease: str = PUBLISHED,
) -> None:
    """Run the benchmark, or go on with it, and write its tables and picture into ``output``.

    Parameters
    ----------
    models
        Names of installed models or bundles' folders: training seeds of one network, or the one that is asked about.
    label_maps, names
        Folder of label maps, and which of them (ends of their names); the template's anatomy without a folder.
    methods
        Names; every method if left out.
    cache
        Where simulated subjects are kept; in ``output`` if left out.
    disease
        "published" or "stylised".
    """
    from ..benchmark.benchmarked_model import benchmarked_model
    from ..benchmark.run import run_benchmark
    from ..benchmark.stored_maps import mean_maps, training_agreement
    from ..benchmark.subject_cache import SubjectStream
    from ..explanation.options import choose_device
    from ..models.registry import DEFAULT_MODEL, find_model
    from ..simulation.disease import check_disease

    check_disease(disease)
    check_writable(output)
    place = choose_device(device)
    bundles = [find_model(model) for model in (models or [DEFAULT_MODEL])]
    if len({bundle.hash for bundle in bundles}) < len(bundles):
        raise UserError("The same model was given twice: give each training seed once.")
    benchmarked = [benchmarked_model(bundle, target, methods, place, disease) for bundle in bundles]
    with shown_progress({}) as progress:
        kept = cache or output / "subjects"
        anatomies = chosen_anatomies(label_maps, names, progress, disease, kept / "anatomies")
        stream = SubjectStream(anatomies, design.seed, kept, disease=disease)
        rows = run_benchmark(benchmarked, stream, design, output, progress)
        progress("Drawing", 0.0)
        networks, under_test = [one.name for one in benchmarked], benchmarked[0].under_test
        maps = mean_maps(networks, design.subjects, output)
        trainings = training_agreement(networks, design.subjects, output, under_test.labels)
        write_results(output, rows, maps, under_test.grid, design.pictured, trainings)
        progress("Drawing", 1.0)
    typer.echo(f"Results: {output / 'tables.md'}")


def chosen_anatomies(
    folder: Path | None,
    names: Sequence[str],
    progress: ProgressCallback,
    disease: str = STYLISED,
    cache: Path | None = None,
) -> list[Anatomy]:
    """Base anatomies, in the order of their files' names, registered for a disease; kept in ``cache`` if given.

    Raises
    ------
    UserError
        If there is none of a name.
    """
    from ..simulation.anatomy import choose_label_maps, read_anatomy
    from ..simulation.template_anatomy import template_anatomy
    from ..training.anatomies import cached_anatomy

    if folder is None:
        if names:
            raise UserError("--anatomies names label maps: give their folder with --label-maps.")
        progress("Building the template's anatomy", 0.0)
        return [template_anatomy()]
    paths = choose_label_maps(folder, names)
    anatomies = []
    for number, path in enumerate(paths):
        progress(f"Registering {path.name}", number / len(paths))
        made = read_anatomy(path, disease) if cache is None else cached_anatomy(path, cache, disease=disease)
        anatomies.append(made)
    return anatomies


def write_results(
    output: Path,
    rows: pd.DataFrame,
    maps: Mapping[str, NDArray[np.float32]],
    grid: Grid,
    pictured: int,
    trainings: pd.DataFrame | None = None,
) -> None:
    """tables.md, one CSV per table, rows.csv with everything measured, and the picture if there are maps."""
    from ..atomic import replacing, write_bytes, write_text
    from ..benchmark.methods import titles
    from ..benchmark.page import result_page, result_tables
    from ..benchmark.tables import interval_table
    from ..drawing.method_comparison import mean_map_picture

    with replacing(output / "rows.csv") as aside:
        rows.to_csv(aside, index=False, float_format="%.6g")
    tables = result_tables(rows)
    if trainings is not None and len(trainings):
        tables["trainings"] = interval_table(trainings)
    for name, table in tables.items():
        with replacing(output / "tables" / f"{name}.csv") as aside:
            table.to_csv(aside, index=False, float_format="%.4g")
    write_text(output / "tables.md", result_page(rows, titles(), trainings))
    if maps:
        ill = rows[rows["group"] == "AD"]["subject"].nunique()
        note = f"Means over up to {min(ill, pictured)} AD subjects, networks: {rows['network'].nunique()}."
        write_bytes(output / "maps.webp", mean_map_picture(maps, grid, titles(), note))
