"""`mri-interpret explain`: the main job and all its files."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import typer

from ..errors import UserError
from ..explanation.options import DEFAULTS
from ..resources import resource
from .terminal import shown_progress

SAMPLE = ("SampleData", "colin27_T1.nii.gz")
# What follows the explanation itself; typical seconds, as in explain.TYPICAL_SECONDS.
WRITING_SECONDS = {"Writing files": 8.0, "Drawing the report": 15.0, "Writing the Slicer scene": 12.0}


def explain_command(
    *,
    scan: Path | None,
    output: Path | None,
    model: str,
    methods: str,
    target: str,
    device: str,
    mask: str,
    space: str,
    atlas: tuple[Path, Path] | None,
    trust: str,
    scene: bool,
    cache: bool,
    as_json: bool,
) -> None:
    """Explain ``scan`` (the sample if None) and write everything into ``output``."""
    from ..anatomy.atlas import load_atlas
    from ..explanation.job import TYPICAL_SECONDS, explain
    from ..preprocessing.cache import PreprocessingCache
    from ..report.files import save_explanation

    source = scan or resource(*SAMPLE)
    folder = output or Path("mri-interpret-out") / _stem(source)
    check_writable(folder)
    typical = TYPICAL_SECONDS | WRITING_SECONDS
    with shown_progress(typical, quiet=as_json) as progress:
        explanation = explain(
            source,
            model=model,
            methods=method_names(methods),
            target=target,
            device=device,
            mask=mask,
            space=space,
            atlas=load_atlas(*atlas) if atlas else None,
            trust=trust,
            cache=PreprocessingCache(enabled=cache),
            progress=progress,
        )
        files = save_explanation(explanation, folder, progress)
        if scene:
            from ..scene.mrb import write_mrb

            progress("Writing the Slicer scene", 0.0)
            files["scene"] = write_mrb(explanation, folder / "scene.mrb")
            progress("Writing the Slicer scene", 1.0)
    if as_json:
        typer.echo(json.dumps(_record(explanation, files), indent=2, ensure_ascii=False))
    else:
        _print_summary(explanation, folder, files)


def method_names(text: str) -> list[str]:
    """The methods that ``default``, ``all`` or names separated by commas stand for.

    Raises
    ------
    UserError
        For an unknown name (the message lists those there are), a name given twice, or none.
    """
    from ..attribution import available_methods

    known = available_methods()
    if text.strip() in ("default", "panel"):  # "panel" is what it was called at first
        return list(DEFAULTS.methods)
    if text.strip() == "all":
        return list(known)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"The method '{unknown[0]}' is not known" if unknown else "No method was given"
        raise UserError(f"{what}: give default, all, or some of {', '.join(known)} separated by commas.")
    return list(dict.fromkeys(names))


def check_writable(folder: Path) -> None:
    """Fail before the long work if the output folder cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 65536)
            probe.flush()
    except OSError as error:
        raise UserError(
            f"Cannot write into the output folder {folder} ({error.strerror or error}): choose another one with -o."
        ) from error


def _stem(path: Path) -> str:
    return re.sub(r"\.(nii|nii\.gz|mgz|mgh|nrrd|nhdr|mha|mhd)$", "", path.name, flags=re.IGNORECASE) or "scan"


def _record(explanation: Any, files: dict[str, Path]) -> dict[str, Any]:
    from ..report.jsonable import prediction_record, provenance_record

    return prediction_record(explanation) | {
        "registration": provenance_record(explanation)["preprocessing"],
        "top_regions": [
            {"region": row.region, "gain": float(row.gain), "share": float(row.share)}
            for row in top_regions(explanation).itertuples()
        ],
        "seconds": explanation.provenance["seconds"],
        "files": {name: str(path) for name, path in files.items()},
    }


def top_regions(explanation: Any, count: int = 5) -> Any:
    """The regions with the highest mean summary score, as rows of the region table (native space)."""
    table = explanation.region_table
    rows = table[(table["method"] == "summary") & (table["space"] == "native") & (table["label"] > 0)]
    return rows.sort_values("gain", ascending=False).head(count)


def _print_summary(explanation: Any, folder: Path, files: dict[str, Path]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    shares = ", ".join(f"{name} {value:.0%}" for name, value in explanation.prediction.probabilities.items())
    console.print(
        f"Predicted [bold]{explanation.prediction.predicted}[/bold] ({shares}); explained: {explanation.target.name}"
    )
    console.print("Most relevant regions: " + ", ".join(top_regions(explanation)["region"]))
    console.print(explanation.registration.sentence)
    for warning in explanation.warnings:
        console.print(f"[yellow]Warning:[/yellow] {warning}")
    console.print(f"[dim]{explanation.model.banner}[/dim]")
    console.print(f"Results: {folder}", markup=False)
    for name in ("report", "scene"):
        if name in files:
            console.print(f"  {files[name].name}", markup=False)
