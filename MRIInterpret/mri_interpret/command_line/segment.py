"""`mri-interpret segment`: the structures of a brain and their volumes alone, without a model being explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..atomic import replacing
from ..errors import UserError
from ..explanation.options import choose_device
from ..explanation.saved_folder import files_of_result
from ..json_text import to_json
from ..progress import ProgressCallback
from .arguments import check_writable
from .explain import scan_name
from .terminal import shown_progress

if TYPE_CHECKING:
    from ..anatomy.segmentation import Segmentation
    from ..images.volume import Volume

BANNER = "Research use only. The segmentation network was trained on simulated scans."
_FILES = ("anatomy.nii.gz", "volumes.csv")
_STEPS = {"Finding the brain": 4.0, "Registering: affine": 4.0, "Segmenting the brain": 5.0, "Writing files": 1.0}


def segment_command(
    scan: Path, output: Path | None, *, mask: str, space: str, device: str, cache: bool, as_json: bool
) -> None:
    """Write anatomy.nii.gz and volumes.csv into ``output``, or into a folder that is called like the scan."""
    from ..images.conversion import as_scan

    volume, place = as_scan(scan), choose_device(device)
    folder = output.expanduser() if output else Path("mri-interpret-out") / f"{scan_name(scan)}-anatomy"
    check_writable(folder)
    _check_apart(folder, [scan, *([Path(mask)] if mask not in ("auto", "none") else [])])
    with shown_progress(_STEPS, quiet=as_json) as progress:
        segmentation = _segment(volume, mask, space, place, cache, progress)
        files = _write(segmentation, folder)
        progress("Writing files", 1.0)
    if as_json:
        typer.echo(to_json(_record(segmentation, files)), nl=False)
        return
    from ..anatomy.paired_volumes import volumes_sentence

    typer.echo(volumes_sentence(segmentation))
    for warning in segmentation.warnings:
        typer.echo(f"Warning: {warning}")
    typer.echo(BANNER)
    for path in files.values():
        typer.echo(f"Written: {path}")


def _check_apart(folder: Path, inputs: list[Path]) -> None:
    """Refuse a folder with a saved result, which would not open any more, and to write over an input.

    Raises
    ------
    UserError
        If the folder is such a one.
    """
    if files_of_result(folder):
        raise UserError(f"{folder} holds a saved result: choose another output folder with -o.", option="output")
    for path in inputs:
        if path.expanduser().resolve() in {(folder / name).resolve() for name in _FILES}:
            raise UserError(
                f"The segmentation would take the place of {path}: choose another output folder with -o.",
                option="output",
            )


def _segment(scan: Volume, mask: str, space: str, device: str, cache: bool, progress: ProgressCallback) -> Segmentation:
    from ..explanation.scan_anatomy import anatomy_of
    from ..preprocessing.cache import PreprocessingCache
    from ..preprocessing.pipeline import preprocess
    from ..preprocessing.template import load_template
    from ..progress import step

    store = PreprocessingCache(enabled=cache)
    prepared = preprocess(
        scan, load_template(2)[0].grid, mask=mask, space=space, device=device, cache=store, progress=progress
    )
    with step(progress, "Segmenting the brain"):
        return anatomy_of(prepared, None, device, store, progress)


def _write(segmentation: Segmentation, folder: Path) -> dict[str, Path]:
    from ..anatomy.volumes import volume_table
    from ..images.writing import save_nifti

    image, table = (folder / name for name in _FILES)
    labels = save_nifti(
        segmentation.labels,
        image,
        labels=True,
        description="MRIInterpret anatomy, FreeSurfer labels",
    )
    with replacing(table) as aside:
        volume_table(segmentation).to_csv(aside, index=False, lineterminator="\n", encoding="utf-8")
    return {"anatomy": labels, "volumes": table}


def _record(segmentation: Segmentation, files: dict[str, Path]) -> dict[str, object]:
    return {
        "banner": BANNER,
        "made_by": segmentation.made_by,
        "intracranial_ml": segmentation.intracranial_ml,
        "ml": {one.name: one.ml for one in segmentation.structures},
        "unsure": [one.name for one in segmentation.structures if not one.sure],
        "warnings": list(segmentation.warnings),
        "files": {name: str(path) for name, path in files.items()},
    }
