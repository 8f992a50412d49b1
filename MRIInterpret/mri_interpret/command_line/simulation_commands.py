"""The options of `mri-interpret simulate | train | benchmark`, which `app` offers; heavy imports happen inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..explanation.options import DEFAULTS
from ..models import DEFAULT_NETWORK

DISEASE_HELP = "published: regions, subtypes and ageing as in the literature; stylised: the simulator's former disease."


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
    network: Annotated[str, typer.Option(help="A new network's kind: PlainCNN3d or EvidenceCNN3d.")] = DEFAULT_NETWORK,
    cross_validate: Annotated[
        bool, typer.Option("--cross-validate", help="Test every label map by a network without it; train on all.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation (with --table or --cross-validate).")] = 5,
    fold: Annotated[
        int | None, typer.Option(help="Only this fold of --cross-validate, 0 for all label maps; writes no bundle.")
    ] = None,
    ensemble: Annotated[
        int, typer.Option(help="Networks of --cross-validate that are trained on all label maps; their mean ships.")
    ] = 1,
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
    """Train a network on simulated atrophy, or on your own scans. The same call goes on after a stop."""
    from .train import (
        check_train_options,
        cross_validate_command,
        evaluate_command,
        settings_of,
        simulated,
        train_command,
    )

    check_train_options(
        evaluate_only=evaluate_only, cross_validate=cross_validate, fold=fold, ensemble=ensemble, table=table,
        held_out=held_out, init=init, network=network, evaluate=evaluate,
    )  # fmt: skip
    simulation = simulated(label_maps, held_out, excluded, brains, test_brains, disease, first_brains)
    if evaluate_only:
        evaluate_command(output, simulation, work)
        return
    settings = settings_of(samples, seed, every, patience, device)
    if cross_validate:
        cross_validate_command(
            output, settings, simulation, folds=folds, only=fold, ensemble=ensemble, network=network, work=work
        )
        return
    train_command(
        output, settings, simulation, table, folds=folds, init=init, network=network, work=work, evaluate=evaluate
    )


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
    disease: Annotated[str, typer.Option(help=DISEASE_HELP)] = "published",
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
        disease=disease,
    )
