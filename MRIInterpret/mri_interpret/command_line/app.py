"""The command line: `mri-interpret explain | models | check | ...`. Heavy imports happen inside the commands."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..explanation.options import DEFAULTS, ExplainOptions
from ..kept_memory import keep_freed_memory
from . import simulation_commands
from .failures import exit_code_of
from .models_app import models_app
from .shared_options import Goal, Inputs, Json, Reference

app = typer.Typer(
    name="mri-interpret",
    help="Why a 3D CNN decided what it decided about a brain MRI, and how far to believe the map. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Trust = Annotated[str, typer.Option(help="Checks of the maps: off, fast or full (minutes).")]


Regions = Annotated[
    str, typer.Option(help="What regions are: brain (the structures of this brain, segmented) or atlas (laid over it).")
]


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def explain(
    scan: Annotated[
        Path | None,
        typer.Argument(help="T1-weighted scan: .nii, .nii.gz, .mgz, .nrrd, .nhdr, .mha, or a DICOM folder or file."),
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Use the scan that ships with the project (Colin27).")
    ] = False,
    inputs: Inputs = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the results; mri-interpret-out/<scan> if left out."),
    ] = None,
    model: Annotated[str, typer.Option(help="Name of an installed model, or a bundle's folder.")] = DEFAULTS.model,
    methods: Annotated[str, typer.Option(help="Names separated by commas, 'default' or 'all'.")] = "default",
    target: Annotated[str, typer.Option(help="predicted, a class, or a difference such as AD-CN.")] = DEFAULTS.target,
    goal: Goal = DEFAULTS.goal,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    mask: Annotated[
        str, typer.Option(help="Brain mask: auto, none (the scan is skull-stripped), or a file.")
    ] = DEFAULTS.mask,
    space: Annotated[
        str, typer.Option(help="The scan's space: native (register it), mni (it lies in template space), auto.")
    ] = DEFAULTS.space,
    atlas: Annotated[Path | None, typer.Option(help="Label image in MNI space instead of Desikan-Killiany.")] = None,
    atlas_labels: Annotated[Path | None, typer.Option(help="CSV or lookup table with the atlas's names.")] = None,
    regions: Regions = DEFAULTS.regions,
    segmentation: Annotated[
        str, typer.Option(help="Your own segmentation of this scan, such as FreeSurfer's aseg.mgz or aparc+aseg.mgz.")
    ] = DEFAULTS.segmentation,
    trust: Trust = DEFAULTS.trust,
    reference: Reference = None,
    scene: Annotated[bool, typer.Option(help="Write the 3D Slicer scene (scene.mrb).")] = True,
    dicom_out: Annotated[
        Path | None, typer.Option(help="Of a DICOM scan: also write maps, segmentation and measurements as DICOM here.")
    ] = None,
    cache: Annotated[bool, typer.Option(help="Keep and reuse masks and transforms.")] = DEFAULTS.cache,
    as_json: Json = False,
) -> None:
    """Explain what a model says about one scan."""
    from .arguments import atlas_files, input_files, method_names
    from .explain import explain_command

    options = ExplainOptions(
        model=model,
        methods=tuple(method_names(methods)),
        target=target,
        goal=goal,
        device=device,
        mask=mask,
        space=space,
        atlas=atlas_files(atlas, atlas_labels),
        regions=regions,
        segmentation=segmentation,
        trust=trust,
        reference=tuple(map(str, reference or [])),
        cache=cache,
    )
    explain_command(
        scan, sample, output, options, inputs=input_files(inputs), scene=scene, as_json=as_json, dicom_out=dicom_out
    )


@app.command()
def segment(
    scan: Annotated[
        Path,
        typer.Argument(help="T1-weighted scan: .nii, .nii.gz, .mgz, .nrrd, .nhdr, .mha, or a DICOM folder or file."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the results; mri-interpret-out/<scan>-anatomy if left out."),
    ] = None,
    mask: Annotated[
        str, typer.Option(help="Brain mask: auto, none (the scan is skull-stripped), or a file.")
    ] = DEFAULTS.mask,
    space: Annotated[
        str, typer.Option(help="The scan's space: native (register it), mni (it lies in template space), auto.")
    ] = DEFAULTS.space,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    cache: Annotated[bool, typer.Option(help="Keep and reuse masks, transforms and segmentations.")] = DEFAULTS.cache,
    as_json: Json = False,
) -> None:
    """Segment the brain of one scan: FreeSurfer's labels (anatomy.nii.gz), and volumes (volumes.csv)."""
    from .segment import segment_command

    segment_command(scan, output, mask=mask, space=space, device=device, cache=cache, as_json=as_json)


Folder = Annotated[Path, typer.Argument(help="What explain wrote: its folder, or one subject's of a cohort.")]


@app.command()
def report(
    folder: Folder,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The page; report.html in FOLDER.")] = None,
) -> None:
    """Draw the report page of a saved result anew."""
    from .explain import saved_command

    saved_command(folder, output, "report")


@app.command()
def scene(
    folder: Folder,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The scene; scene.mrb in FOLDER.")] = None,
) -> None:
    """Build the 3D Slicer scene of a saved result anew."""
    from .explain import saved_command

    saved_command(folder, output, "scene")


@app.command()
def view(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Results and scans that can be opened: their folder, or one that holds some; several."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen at; 8050, or a free one, if left out.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Beyond this machine, a random token is part of the address.")
    ] = "127.0.0.1",
    token: Annotated[bool, typer.Option("--token", help="Such a token on this machine, too: others use it.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Look at results in the browser, in Slicer's views, and explain scans there."""
    from .view import view_command

    view_command(folders or [], port=port, host=host, token=token, browser=browser)


@app.command()
def cohort(
    table: Annotated[Path, typer.Argument(help="participants.tsv or any CSV/TSV, or a BIDS root that holds one.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path(
        "mri-interpret-cohort"
    ),
    workers: Annotated[int | None, typer.Option(help="Worker processes on this machine.")] = None,
    scheduler: Annotated[str, typer.Option(help="A running dask scheduler, such as tcp://host:8786.")] = "",
    slurm: Annotated[
        str, typer.Option(help="Slurm jobs: queue=...,cores=2,memory=6GB,walltime=04:00:00,jobs=10,gpus=1,account=...")
    ] = "",
    threads: Annotated[bool, typer.Option("--threads", help="Threads instead of worker processes.")] = False,
    memory: Annotated[float | None, typer.Option(help="GiB that one subject takes, if not the usual.")] = None,
    model: Annotated[str, typer.Option(help="Name of an installed model, or a bundle's folder.")] = DEFAULTS.model,
    methods: Annotated[str, typer.Option(help="Names separated by commas, 'default' or 'all'.")] = "default",
    target: Annotated[str, typer.Option(help="One contrast for all subjects; AD-CN if left out.")] = "",
    goal: Goal = DEFAULTS.goal,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    mask: Annotated[
        str, typer.Option(help="Brain mask: auto, none (scans are skull-stripped), or a file.")
    ] = DEFAULTS.mask,
    space: Annotated[str, typer.Option(help="The scans' space: native, mni, auto.")] = DEFAULTS.space,
    bids_root: Annotated[Path | None, typer.Option(help="Where T1w images are found; the table's folder.")] = None,
    groups: Annotated[str, typer.Option(help="Words of the table for classes: Control=CN,Patient=AD.")] = "",
    columns: Annotated[str, typer.Option(help="Columns by role: subject=ID,group=DX,scan=T1,session=,mask=.")] = "",
    adjust: Annotated[str, typer.Option(help="Covariates to adjust the group difference for: age,sex.")] = "",
    permutations: Annotated[int, typer.Option(help="Of the group difference's test; 0 leaves it out.")] = 1000,
    correction: Annotated[
        str, typer.Option(help="Of that test: max (of |t| over the brain), tfce (cluster enhancement; slow).")
    ] = "max",
    atlas: Annotated[Path | None, typer.Option(help="Label image in MNI space instead of Desikan-Killiany.")] = None,
    atlas_labels: Annotated[Path | None, typer.Option(help="CSV or lookup table with the atlas's names.")] = None,
    regions: Regions = DEFAULTS.regions,
    trust: Trust = DEFAULTS.trust,
    reference: Reference = None,
    native: Annotated[bool, typer.Option(help="Write maps on each scan's own grid too.")] = True,
    pages: Annotated[bool, typer.Option(help="Write each subject's report page.")] = True,
    scene: Annotated[bool, typer.Option(help="Write the 3D Slicer scene of the group maps.")] = True,
    cache: Annotated[bool, typer.Option(help="Keep and reuse masks and transforms.")] = DEFAULTS.cache,
    force: Annotated[bool, typer.Option("--force", help="Redo subjects that are complete.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Explain a cohort: every subject, then group results. Run it again to go on where it stopped."""
    from ..cohort.cluster import ClusterOptions
    from ..cohort.planning import Options
    from .arguments import atlas_files, gibibytes, method_names, pairs
    from .cohort import cohort_command

    cluster = ClusterOptions(workers, scheduler, slurm, threads, device)
    if memory is not None:
        cluster = replace(cluster, memory=gibibytes(memory))
    options = Options(
        model=model,
        methods=tuple(method_names(methods)),
        target=target,
        goal=goal,
        mask=mask,
        space=space,
        regions=regions,
        trust=trust,
        reference=tuple(map(str, reference or [])),
        native=native,
        pages=pages,
        cache=cache,
        force=force,
        bids_root=bids_root,
        columns=pairs(columns, "--columns"),
        groups=pairs(groups, "--groups"),
        adjust=tuple(name.strip() for name in adjust.split(",") if name.strip()),
        permutations=permutations,
        correction=correction,
        atlas=atlas_files(atlas, atlas_labels),
        cluster=cluster,
    )
    if not cohort_command(table, output, options, dry_run=dry_run, scene=scene, as_json=as_json):
        raise typer.Exit(1)


app.add_typer(models_app, name="models")


@app.command()
def methods(as_json: Json = False) -> None:
    """List the attribution methods."""
    from .models import methods_command

    methods_command(as_json)


app.command()(simulation_commands.simulate)
app.command()(simulation_commands.train)
app.command()(simulation_commands.benchmark)


@app.command()
def check(as_json: Json = False) -> None:
    """Tell whether the environment is sound; each failure with its remedy."""
    from .check import check_command

    if not check_command(as_json):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; errors for the user are one line and exit code 2, Ctrl-C is 130."""
    warnings.filterwarnings("ignore")  # other packages' notes to their own developers
    if arguments is None:  # a process of its own
        keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows a question mark for an umlaut; the job must not fail for it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code_of(lambda: app(args=arguments, standalone_mode=False), as_json))


if __name__ == "__main__":
    main()
