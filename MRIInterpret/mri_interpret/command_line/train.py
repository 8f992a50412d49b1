"""`mri-interpret train`: a model bundle from the simulator or from a table of scans, and its evaluation."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UserError
from ..models import DEFAULT_NETWORK
from .arguments import check_writable
from .terminal import shown_progress

if TYPE_CHECKING:
    from ..training.command import SimulatedTraining
    from ..training.fit import FitSettings


def settings_of(samples: int, seed: int, every: int, patience: int, device: str) -> FitSettings:
    """Settings of a training.

    Raises
    ------
    UserError
        If there is nothing to train on.
    """
    from ..explanation.options import choose_device
    from ..training.fit import FitSettings

    if samples < 1 or every < 1:
        raise UserError("--samples and --every must be 1 or more.")
    return FitSettings(samples=samples, seed=seed, every=every, patience=patience, device=choose_device(device))


def simulated(
    label_maps: Path | None,
    held_out: str,
    excluded: str,
    brains: int,
    test_brains: int,
    disease: str = "published",
    first_brains: int = 0,
) -> SimulatedTraining:
    """What to simulate; names of label maps are separated by commas.

    Raises
    ------
    UserError
        If there are no brains to train or to test on, or the disease is not known.
    """
    from ..simulation.disease import check_disease
    from ..training.command import SimulatedTraining

    check_disease(disease)
    if brains < 1 or test_brains < 1:
        raise UserError("--brains and --test-brains must be 1 or more.")
    return SimulatedTraining(
        label_maps=label_maps,
        held_out=_names(held_out),
        excluded=_names(excluded),
        brains=brains,
        test_brains=test_brains,
        disease=disease,
        first_brains=first_brains or None,
    )


def check_train_options(
    *,
    evaluate_only: bool,
    cross_validate: bool,
    fold: int | None,
    ensemble: int,
    table: Path | None,
    held_out: str,
    init: str,
    network: str,
    evaluate: bool,
) -> None:
    """Refuse options that the asked way of training would not follow.

    Raises
    ------
    UserError
        Which option, and what it does not go with.
    """
    way = "--cross-validate" if cross_validate else "--init"
    given = {
        "--evaluate-only": evaluate_only and cross_validate,
        "--table": table is not None and cross_validate,
        "--held-out": bool(held_out) and cross_validate,
        "--init": bool(init) and cross_validate,
        "--no-evaluate": not evaluate and cross_validate,
        "--network": network != DEFAULT_NETWORK and bool(init),
    }
    for option, unused in given.items():
        if unused:
            raise UserError(f"{option} does not go with {way}, which would not follow it: leave one of them out.")
    if fold is not None and not cross_validate:
        raise UserError("--fold goes with --cross-validate only: add that, or leave --fold out.")
    if ensemble != 1 and not cross_validate:
        raise UserError("--ensemble goes with --cross-validate only: add that, or leave --ensemble out.")


def train_command(
    output: Path,
    settings: FitSettings,
    simulation: SimulatedTraining | None,
    table: Path | None,
    *,
    folds: int,
    init: str,
    network: str = DEFAULT_NETWORK,
    work: Path | None,
    evaluate: bool,
) -> None:
    """Train, from the table if there is one, else from the simulator."""
    check_writable(output)
    start = init or None
    words = ["mri-interpret", *sys.argv[1:]]
    command = " ".join(map(shlex.quote, words))
    with shown_progress({}) as progress:
        if table is not None:
            from ..training.table_command import train_on_table

            if folds < 3:
                raise UserError("--folds must be 3 or more: one to test, one to stop early, the rest to train.")
            train_on_table(
                table,
                output,
                settings,
                folds_number=folds,
                init=start,
                network_name=network,
                work=work,
                command=command,
                progress=progress,
            )
        else:
            from ..training.command import train

            assert simulation is not None
            train(
                output,
                simulation,
                settings,
                work=work,
                init=start,
                network_name=network,
                evaluate_after=evaluate,
                command=command,
                hardware=f"{settings.device}, {platform.machine()}",
                progress=progress,
            )
    typer.echo(f"Results: {output}")


def cross_validate_command(
    output: Path,
    settings: FitSettings,
    simulation: SimulatedTraining,
    *,
    folds: int,
    only: int | None,
    ensemble: int,
    network: str,
    work: Path | None,
) -> None:
    """Cross-validate over label maps, then train on all of them."""
    from ..training.anatomy_folds import AnatomyFolds, cross_validate

    check_writable(output)
    if simulation.label_maps is None:
        raise UserError("--cross-validate needs --label-maps: with one anatomy there is nothing to leave out.")
    with shown_progress({}) as progress:
        cross_validate(
            output,
            AnatomyFolds(
                label_maps=simulation.label_maps,
                number=folds,
                excluded=simulation.excluded,
                brains=simulation.brains,
                first_brains=simulation.first_brains,
                test_brains=simulation.test_brains,
                disease=simulation.disease,
                ensemble=ensemble,
            ),
            settings,
            network=network,
            only=only,
            work=work,
            command=" ".join(map(shlex.quote, ["mri-interpret", *sys.argv[1:]])),
            hardware=f"{settings.device}, {platform.machine()}",
            progress=progress,
        )
    typer.echo(f"Results: {output if only is None else work or output.with_name(output.name + '.work')}")


def evaluate_command(bundle: Path, simulation: SimulatedTraining, work: Path | None) -> None:
    """Evaluate a bundle on the held-out label maps and print its numbers."""
    from ..training.command import evaluate, metrics_of

    folder = work or bundle.with_name(bundle.name + ".work")
    check_writable(folder)
    with shown_progress({}) as progress:
        evaluation = evaluate(bundle, simulation, work=folder, progress=progress)
    for name, found in metrics_of(evaluation).items():
        typer.echo(f"{name}: {_line(found)}")


def _line(found: dict[str, Any]) -> str:
    low, high = found["ci95"]
    return f"{found['value']:.3f} ({low:.3f} to {high:.3f}), n = {found['n']}"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
