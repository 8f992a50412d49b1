"""`mri-interpret train` on the simulator: train, evaluate on anatomies that were held out, write a bundle."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..atomic import replacing, write_bytes
from ..errors import UserError
from ..models import DEFAULT_NETWORK
from ..models.bundle import load_bundle
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import PUBLISHED, Anatomy, choose_label_maps, list_label_maps
from ..simulation.disease import check_disease
from ..simulation.fill_bank import bank_items, fill_bank
from ..simulation.template_anatomy import template_anatomy
from .anatomies import cached_anatomy
from .bundle_writer import BundleText, Trained, write_bundle
from .card import FIRST_LINE, TrainingStory, reliability_picture, write_card
from .checkpoint import start_network
from .evaluation import Evaluation, evaluate_bank, metrics_of
from .fit import FitSettings, fit, identity_of, settings_to_go_on
from .heads import TARGETS_MM
from .samples import BankSamples

_MARGIN = 8  # voxels without brain at each face of the model grid, cropped for most of the training
# The banks have seeds of their own, independent of the training's seed.
_BANK_SEEDS = {"train": 11, "val": 12, "test": 13}


@dataclass(frozen=True)
class SimulatedTraining:
    """Settings of a training on the simulator.

    Attributes
    ----------
    label_maps
        Folder of label maps; by default the template is the only anatomy, for training and testing.
    held_out
        Label maps used for testing only, by name ("02" for labels_02.nii.gz).
    excluded
        Label maps that are not used at all.
    brains
        Items of the training bank; 30 % have an evenly spread fraction.
    first_brains
        Brains simulated before training begins, the others during training; all by default. The result of a seed
        depends on it.
    validation_brains, test_brains
        Items of the other two banks.
    disease
        "published", or "stylised" for the simulator's former one.
    """

    label_maps: Path | None = None
    held_out: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    brains: int = 900
    first_brains: int | None = None
    validation_brains: int = 96
    test_brains: int = 399
    disease: str = PUBLISHED


def train(
    output: str | Path,
    simulation: SimulatedTraining,
    settings: FitSettings,
    *,
    work: str | Path | None = None,
    init: str | Path | None = None,
    network_name: str = DEFAULT_NETWORK,
    evaluate_after: bool = True,
    command: str = "mri-interpret train --simulate",
    hardware: str = "CPU",
    progress: ProgressCallback = silent,
) -> Path:
    """Train on the simulator and write a bundle; the same call resumes after a kill.

    Parameters
    ----------
    output
        The bundle's folder.
    simulation, settings
        What to train on, and how.
    work
        For registered anatomies, banks and checkpoints (gigabytes); ``<output>.work`` by default.
    init
        Bundle to fine-tune.
    network_name
        Of a new network, see :func:`.checkpoint.start_network`.
    evaluate_after
        Evaluate on the held-out label maps and write the numbers into card and metadata.
    command, hardware
        For the card.

    Returns
    -------
    The bundle's folder.

    Raises
    ------
    UserError
        If a label map cannot be used, nothing is left to train or test on, or a file cannot be written.
    """
    output = Path(output)
    work = Path(work) if work is not None else output.with_name(output.name + ".work")
    check_disease(simulation.disease)
    network, fine_tune = start_network(init, settings.seed, network_name)  # an error comes before the long work
    training, testing = _split(simulation, work / "anatomies", progress)
    _fill(work, "val", training, simulation, simulation.validation_brains, progress)
    targets_mm = TARGETS_MM[type(network)]
    begun = min(simulation.first_brains or simulation.brains, simulation.brains)
    settings = replace(settings, margin=settings.margin or _MARGIN)
    identity = identity_of(network, settings, f"{len(training)} anatomies, {simulation.brains} brains")
    settings = settings_to_go_on(settings, work / "fit", identity)
    _fill(work, "train", training, simulation, begun, progress)
    filler = None
    if begun < simulation.brains:
        filler = multiprocessing.get_context("spawn").Process(
            target=_fill, args=(work, "train", training, simulation, simulation.brains), daemon=True
        )
        filler.start()
    try:
        network = fit(
            network,
            BankSamples(
                work / "train",
                simulation.brains,
                settings.samples,
                settings.seed,
                first=begun,
                margin_at=settings.margin_at,
                targets_mm=targets_mm,
            ),
            BankSamples(work / "val", simulation.validation_brains, simulation.validation_brains, 99, in_order=True),
            settings,
            work / "fit",
            identity=identity,
            fine_tune=fine_tune,
            progress=progress,
        )
    finally:
        if filler is not None:
            filler.terminate()
    trained = Trained(network)
    text = BundleText(output.name)
    if not evaluate_after:
        write_bundle(output, trained, text, _short_card(output.name, command, settings))
        return output
    _fill(work, "test", testing, simulation, simulation.test_brains, progress)
    evaluation = evaluate_bank(
        network,
        (work / "val", simulation.validation_brains),
        (work / "test", simulation.test_brains),
        disease=simulation.disease,
        progress=progress,
    )
    story = TrainingStory(
        command=command,
        seed=settings.seed,
        samples=settings.samples,
        hours=hours_of(work / "fit" / "log.csv"),
        hardware=hardware,
        training_anatomies=", ".join(anatomy.name for anatomy in training),
        test_anatomies=", ".join(anatomy.name for anatomy in testing),
        disease=simulation.disease,
        network=type(network).__name__,
    )
    write_evaluated(output, trained, text, evaluation, story, log=work / "fit" / "log.csv")
    return output


def write_evaluated(
    output: Path,
    trained: Trained,
    text: BundleText,
    evaluation: Evaluation,
    story: TrainingStory,
    *,
    log: Path | None = None,
    real_scans: str = "",
) -> None:
    """Write a bundle with the numbers of its evaluation, the reliability diagram and the training log."""
    trained = replace(trained, temperature=evaluation.temperature, metrics=metrics_of(evaluation))
    write_bytes(output / "docs" / "reliability.png", reliability_picture(evaluation))
    if log is not None and log.exists():
        with replacing(output / "docs" / "training_log.csv") as aside:
            shutil.copyfile(log, aside)
    write_bundle(output, trained, text, write_card(text.name, evaluation, story, real_scans))


def evaluate(
    bundle: str | Path,
    simulation: SimulatedTraining,
    *,
    work: str | Path,
    progress: ProgressCallback = silent,
) -> Evaluation:
    """Evaluate a bundle on held-out label maps (``mri-interpret train --evaluate-only``).

    Raises
    ------
    UserError
        If the bundle or the label maps cannot be used, or no label map is held out.
    """
    network = load_bundle(bundle).network
    work = Path(work)
    training, testing = _split(simulation, work / "anatomies", progress)
    _fill(work, "val", training, simulation, simulation.validation_brains, progress)
    _fill(work, "test", testing, simulation, simulation.test_brains, progress)
    return evaluate_bank(
        network,
        (work / "val", simulation.validation_brains),
        (work / "test", simulation.test_brains),
        disease=simulation.disease,
        progress=progress,
    )


def _split(
    simulation: SimulatedTraining, cache: Path, progress: ProgressCallback
) -> tuple[list[Anatomy], list[Anatomy]]:
    """Anatomies to train and to test on; a subject is never on both sides."""
    if simulation.label_maps is None:
        return [template_anatomy()], [template_anatomy()]
    folder = simulation.label_maps
    unused = choose_label_maps(folder, simulation.excluded) if simulation.excluded else []
    held_out = choose_label_maps(folder, simulation.held_out) if simulation.held_out else []
    testing = [path for path in held_out if path not in unused]
    training = [path for path in list_label_maps(folder) if path not in (*unused, *held_out)]
    if not training or not testing:
        raise UserError(
            f"Of the label maps in {simulation.label_maps}, {len(training)} remain for training and {len(testing)} "
            "for testing: each needs at least one."
        )

    def read(paths: Sequence[Path]) -> list[Anatomy]:
        return [cached_anatomy(path, cache, progress, simulation.disease) for path in paths]

    return read(training), read(testing)


def _fill(
    work: Path,
    bank: str,
    anatomies: Sequence[Anatomy],
    simulation: SimulatedTraining,
    number: int,
    progress: ProgressCallback = silent,
) -> None:
    torch.set_num_threads(1)
    share = 0.3 if bank == "train" else 0.0  # of subjects whose hippocampi, or ages, are spread evenly
    if len(bank_items(work / bank)) < number:
        fill_bank(
            work / bank, anatomies, number, _BANK_SEEDS[bank],
            wide_share=share, disease=simulation.disease, any_age_share=share, progress=progress,
        )  # fmt: skip


def hours_of(log: Path) -> float:
    """Hours that a training took, from its log; 0 without one."""
    rows: list[str] = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return float(rows[-1].split(",")[1]) / 3600 if len(rows) > 1 else 0.0


def _short_card(name: str, command: str, settings: FitSettings) -> str:
    return f"{FIRST_LINE}\n\n# {name}\n\nNot evaluated yet.\n\n```\n{command}\n```\n\nSeed {settings.seed}.\n"
