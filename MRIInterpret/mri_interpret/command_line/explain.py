"""`mri-interpret explain`, `report` and `scene`: the main job and all its files; a saved result drawn anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from ..atomic import write_text
from ..errors import UserError
from ..explanation.layout import INDEX, REPORT, SCENE
from ..explanation.options import ExplainOptions
from ..explanation.saved_folder import check_folder
from ..json_text import to_json
from ..progress import ProgressCallback, step
from ..resources import resource
from .arguments import check_writable
from .terminal import shown_progress

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation
    from ..explanation.volume_words import VolumeStatement

SAMPLE = ("SampleData", "colin27_T1.nii.gz")
# What follows the explanation itself; typical seconds, as in explanation.job.TYPICAL_SECONDS.
WRITING_SECONDS = {
    "Writing files": 8.0,
    "Drawing the report": 15.0,
    "Writing the Slicer scene": 12.0,
    "Writing DICOM": 10.0,
}


def explain_command(
    scan: Path | None,
    sample: bool,
    output: Path | None,
    options: ExplainOptions,
    *,
    inputs: Mapping[str, Path] | None = None,
    scene: bool,
    as_json: bool,
    dicom_out: Path | None = None,
) -> None:
    """Explain ``scan``, or the sample, into the folder ``output``; ``inputs`` are further images by channel.

    ``dicom_out`` is a folder for the result as DICOM, which is refused before the work begins if it cannot be.
    """
    from ..explanation.job import TYPICAL_SECONDS, explain
    from ..preprocessing.cache import PreprocessingCache

    if sample == (scan is not None):
        raise UserError("Give either a scan or --sample.")
    source = scan or resource(*SAMPLE)
    folder = output.expanduser() if output else Path("mri-interpret-out") / scan_name(source)
    check_writable(folder)
    check_folder(folder, _files_given(source, options, inputs or {}))
    if dicom_out is not None:
        dicom_out = dicom_out.expanduser()
        _check_dicom(source, dicom_out)
    with shown_progress(TYPICAL_SECONDS | WRITING_SECONDS, quiet=as_json) as progress:
        explanation = explain(
            source,
            model=options.model,
            methods=options.methods,
            target=options.target,
            goal=options.goal,
            device=options.device,
            mask=options.mask,
            space=options.space,
            atlas=options.atlas,
            regions=options.regions,
            segmentation=options.segmentation,
            trust=options.trust,
            reference=list(options.reference),
            inputs=inputs,
            cache=PreprocessingCache(enabled=options.cache),
            progress=progress,
        )
        files = explanation.save(folder, progress=progress)
        files["report"] = write_report(explanation, folder / REPORT, progress)
        if scene:
            files["scene"] = write_scene(explanation, folder / SCENE, progress)
        if dicom_out is not None:
            from ..dicom_export.export import export_dicom

            written = export_dicom(explanation, dicom_out, source, progress=progress)
            files |= {f"dicom/{name}": path for name, path in written.items()}
    if as_json:
        typer.echo(to_json(_record(explanation, files)), nl=False)
    else:
        _print_summary(explanation, folder, files)


def _files_given(scan: Path, options: ExplainOptions, inputs: Mapping[str, Path]) -> list[Path]:
    """All files that the result is made of."""
    mask = [] if options.mask in ("auto", "none") else [options.mask]
    given = (scan, *mask, *(options.atlas or ()), *options.reference, *inputs.values())
    segmentation = [options.segmentation] if options.segmentation else []
    return [Path(str(path)).expanduser() for path in (*given, *segmentation)]


def _check_dicom(scan: Path, folder: Path) -> None:
    """Refuse now what would be refused after minutes, and what would spoil the series."""
    from ..dicom_export.export import check_highdicom, series_of

    check_highdicom()
    series_of(scan.expanduser())
    series = scan.expanduser().resolve()
    if series.is_dir() and (folder.resolve() == series or series in folder.resolve().parents):
        raise UserError(
            f"{folder} is the scan's own folder, or lies in it, where new series would be read as the scan's: choose "
            "another folder for DICOM.",
            option="dicom-out",
        )
    check_writable(folder)


def saved_command(folder: Path, output: Path | None, what: Literal["report", "scene"]) -> None:
    """Draw the report, or build the scene, of a saved explanation anew; into its folder if ``output`` is None."""
    from ..explanation.folder_reader import find_index
    from ..explanation.saving import load

    write, name = (write_report, REPORT) if what == "report" else (write_scene, SCENE)
    index = find_index(folder.expanduser())
    beside = index.with_name(index.name.removesuffix(INDEX) + name)  # in a cohort: sub-01_report.html
    path = output.expanduser() if output else beside
    if what == "scene" and path.suffix.lower() != ".mrb":
        raise UserError(f"{path} is no name for a scene: give one that ends in .mrb with -o.")
    with shown_progress({"Opening the result": 4.0} | WRITING_SECONDS) as progress:
        with step(progress, "Opening the result"):
            explanation = load(index)
        write(explanation, path, progress)
    typer.echo(f"Written: {path}")


def write_report(explanation: Explanation, path: Path, progress: ProgressCallback) -> Path:
    """Draw and write the page."""
    from ..report.page import report_page

    write_text(path, report_page(explanation, progress))
    return path


def write_scene(explanation: Explanation, path: Path, progress: ProgressCallback) -> Path:
    """Build and write the .mrb."""
    from ..scene.mrb import write_mrb

    with step(progress, "Writing the Slicer scene"):
        return write_mrb(explanation, path)


def scan_name(path: Path) -> str:
    """A scan's file name without its ending: what its folder of results is called."""
    return re.sub(r"\.(nii|nii\.gz|mgz|mgh|nrrd|nhdr|mha|mhd)$", "", path.name, flags=re.IGNORECASE) or "scan"


def _record(explanation: Explanation, files: dict[str, Path]) -> dict[str, Any]:
    from ..anatomy.top_regions import top_regions
    from ..checks.verdict import MODEL
    from ..explanation.volume_words import volume_statements

    record, top = explanation.provenance_record(), top_regions(explanation.region_table)
    return explanation.prediction_record() | {
        "registration": record["preprocessing"],
        "top_regions": [
            {"region": row.region, "gain": float(row.gain), "share": float(row.share)} for row in top.rows.itertuples()
        ],
        "top_regions_sentence": top.sentence,
        "volumes": _volumes(explanation),
        "volume_changes": [_said(one) for one in volume_statements(explanation)],
        "model_checks": [asdict(one) for one in explanation.verdicts if one.method == MODEL],
        "outside_brain": {name: one["outside_brain"] for name, one in record["methods"].items()},
        "seconds": record["seconds"],
        "files": {name: str(path) for name, path in files.items()},
    }


def _said(one: VolumeStatement) -> dict[str, Any]:
    """Of one volume method: its sentences, and how far a counterfactual got."""
    said = {"method": one.method, "sentence": one.sentence, "remarks": list(one.remarks)}
    return said | (one.counterfactual.facts() if one.counterfactual else {})


def _volumes(explanation: Explanation) -> dict[str, Any] | None:
    """Of the structures, without the parcels of the cortex, in ml."""
    if explanation.anatomy is None:
        return None
    from ..anatomy.freesurfer import is_parcel

    ml = {one.name: one.ml for one in explanation.anatomy.structures if not is_parcel(one.label)}
    return {"intracranial": explanation.anatomy.intracranial_ml} | ml


def _print_summary(explanation: Explanation, folder: Path, files: dict[str, Path]) -> None:
    from rich.console import Console
    from rich.markup import escape  # names of files, classes and regions may have brackets

    from ..anatomy.top_regions import top_regions
    from ..checks.recovery import badge
    from ..explanation.answer_words import answer_words
    from ..explanation.volume_words import volume_statements

    console = Console(highlight=False, soft_wrap=True)
    answer = answer_words(explanation.prediction, explanation.model.output)
    notes = (answer.details, f"±: {answer.legend}" if answer.legend else "")
    details = "; ".join(filter(None, notes))
    details = f" ({escape(details)})" if details else ""
    console.print(
        f"Predicted [bold]{escape(answer.headline)}[/bold]{details}; explained: {escape(explanation.target.name)}"
    )
    console.print(top_regions(explanation.region_table).sentence, markup=False)
    console.print(explanation.registration.sentence, markup=False)
    if explanation.anatomy is not None:
        from ..anatomy.paired_volumes import volumes_sentence

        console.print(volumes_sentence(explanation.anatomy), markup=False)
    for statement in volume_statements(explanation):
        for sentence in statement.all:
            console.print(sentence, markup=False)
    for words in filter(None, map(badge, explanation.verdicts)):
        console.print(f"The model {words}.", markup=False)
    for warning in explanation.warnings:
        console.print(f"[yellow]Warning:[/yellow] {escape(warning)}")
    console.print(f"[dim]{escape(explanation.model.banner)}[/dim]")
    console.print(f"Results: {folder}", markup=False)
    for name in ("report", "scene"):
        if name in files:
            console.print(f"  {files[name].name}", markup=False)
    if "dicom/measurements" in files:
        console.print(f"DICOM: {files['dicom/measurements'].parent}", markup=False)
