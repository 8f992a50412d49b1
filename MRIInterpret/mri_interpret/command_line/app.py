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
from .failures import exit_code_of
from .models_app import models_app
from .shared_options import Goal, Inputs, Json, Reference

DISEASE_HELP = (
    "published: regions, subtypes and ageing as in the literature; stylised: as the bundled network knows it."
)
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
        typer.Option("-o", "--output", help="Folder for the results; mri-interpret-out/<scan> if left out."),
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


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the cohort.")],
    n: Annotated[int, typer.Option("--n", help="Number of subjects; CN, MCI and AD equally frequent.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same voxels.")] = 7,
    label_maps: Annotated[
        Path | None, typer.Option(help="Folder of FreeSurfer-style label maps; the template's anatomy if left out.")
    ] = None,
    only: Annotated[str, typer.Option(help="Use these label maps only: 02,09.")] = "",
    whole_head: Annotated[bool, typer.Option(help="With skull and skin (needs label maps that have them).")] = False,
    healthy_twins: Annotated[bool, typer.Option(help="Also each subject's scan without the disease.")] = False,
    in_template: Annotated[bool, typer.Option(help="Scans lie in template space and need no registration.")] = False,
    disease: Annotated[str, typer.Option(help=DISEASE_HELP)] = "published",
) -> None:
    """Simulate a cohort of T1-weighted scans with controlled atrophy and its truth, voxel by voxel."""
    from .simulate import simulate_command

    simulate_command(
        n=n,
        seed=seed,
        output=output,
        label_maps=label_maps,
        whole_head=whole_head,
        healthy_twins=healthy_twins,
        only=tuple(name.strip() for name in only.split(",") if name.strip()),
        in_template=in_template,
        disease=disease,
    )


@app.command()
def train(
    output: Annotated[Path, typer.Option("-o", "--output", help="The bundle's folder.")],
    table: Annotated[
        Path | None, typer.Option(help="Participants table (path, group): train on these scans, not on the simulator.")
    ] = None,
    label_maps: Annotated[
        Path | None, typer.Option(help="Label maps for the simulator; the template's anatomy if left out.")
    ] = None,
    held_out: Annotated[str, typer.Option(help="Label maps that only serve for testing: 02,09.")] = "",
    excluded: Annotated[str, typer.Option("--exclude", "--left-out", help="Label maps that are not used at all.")] = "",
    brains: Annotated[int, typer.Option(help="Simulated brains in the training bank.")] = 900,
    test_brains: Annotated[int, typer.Option(help="Simulated brains over the held-out label maps to test on.")] = 399,
    samples: Annotated[int, typer.Option(help="Scans to train on in all.")] = 12000,
    every: Annotated[int, typer.Option(help="Scans between validations and checkpoints.")] = 1500,
    patience: Annotated[int, typer.Option(help="Stop after so many validations without improvement; 0: never.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same training on a CPU.")] = 1,
    disease: Annotated[str, typer.Option(help=DISEASE_HELP)] = "published",
    network: Annotated[str, typer.Option(help="A new network's kind: PlainCNN3d or EvidenceCNN3d.")] = "PlainCNN3d",
    cross_validate: Annotated[
        bool, typer.Option("--cross-validate", help="Test every label map by a network without it; train on all.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation (with --table or --cross-validate).")] = 5,
    fold: Annotated[
        int | None, typer.Option(help="Only this fold of --cross-validate, 0 for all label maps; writes no bundle.")
    ] = None,
    first_brains: Annotated[
        int, typer.Option(help="Brains simulated before training begins, the others meanwhile; 0: all.")
    ] = 0,
    init: Annotated[str, typer.Option(help="Bundle to fine-tune.")] = "",
    work: Annotated[
        Path | None, typer.Option(help="For prepared scans and checkpoints (gigabytes); OUTPUT.work if left out.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    evaluate: Annotated[bool, typer.Option(help="Evaluate on the held-out label maps afterwards.")] = True,
    evaluate_only: Annotated[bool, typer.Option("--evaluate-only", help="Evaluate the bundle that is there.")] = False,
) -> None:
    """Train the bundled network, on simulated atrophy or on your own scans. The same call goes on after a stop."""
    from .train import cross_validate_command, evaluate_command, settings_of, simulated, train_command

    simulation = simulated(label_maps, held_out, excluded, brains, test_brains, disease, first_brains)
    if evaluate_only:
        evaluate_command(output, simulation, work)
        return
    settings = settings_of(samples, seed, every, patience, device)
    if cross_validate:
        cross_validate_command(output, settings, simulation, folds=folds, only=fold, network=network, work=work)
        return
    train_command(
        output, settings, simulation, table, folds=folds, init=init, network=network, work=work, evaluate=evaluate
    )


@app.command()
def benchmark(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results; a run there goes on.")] = Path(
        "mri-interpret-benchmark"
    ),
    model: Annotated[
        list[str] | None,
        typer.Option(help="Name of an installed model, or a bundle's folder; repeat it for training seeds of one."),
    ] = None,
    subjects: Annotated[int, typer.Option(help="Simulated subjects; CN, MCI and AD in turn.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same subjects.")] = 20261122,
    label_maps: Annotated[
        Path | None, typer.Option(help="Folder of FreeSurfer-style label maps; the template's anatomy if left out.")
    ] = None,
    anatomies: Annotated[str, typer.Option(help="Only these label maps: 02,08. Not those of the training.")] = "",
    methods: Annotated[str, typer.Option(help="Names separated by commas; every method if left out.")] = "",
    target: Annotated[str, typer.Option(help="The disease's class minus the healthy one's.")] = "AD-CN",
    checks: Annotated[
        int, typer.Option(help="AD subjects for faithfulness; half as many for randomisation and stability.")
    ] = 20,
    slow: Annotated[int, typer.Option(help="AD subjects for methods that take many passes (SmoothGrad ...).")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULTS.device,
    cache: Annotated[
        Path | None, typer.Option(help="Keep simulated subjects here, for other models; in the output if left out.")
    ] = None,
) -> None:
    """Compare attribution methods on simulated atrophy, whose place is known. The same call goes on after a stop."""
    from ..benchmark.design import BenchmarkDesign
    from .arguments import method_names
    from .benchmark import benchmark_command

    benchmark_command(
        output,
        model or [],
        BenchmarkDesign(subjects, seed, checks, checks, checks // 2, checks // 2, slow),
        label_maps=label_maps,
        names=[name.strip() for name in anatomies.split(",") if name.strip()],
        methods=method_names(methods) if methods else None,
        target=target,
        device=device,
        cache=cache,
    )


@app.command()
def check(as_json: Json = False) -> None:
    """Tell whether the environment is sound; each failure with its remedy."""
    from .check import check_command

    if not check_command(as_json):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; errors for the user are one line and exit code 2, Ctrl-C is 130."""
    warnings.filterwarnings("ignore")  # other packages' notes to their own developers
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows a question mark for an umlaut; the job must not fail for it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code_of(lambda: app(args=arguments, standalone_mode=False), as_json))


if __name__ == "__main__":
    main()
