"""`mri-interpret train --cross-validate`: each anatomy is tested by a network without it; what ships saw all.

The folds share their banks of simulated brains: a fold takes the items whose anatomies are not its own. Each fold and
the last training keep their own checkpoints, so the same call goes on after a kill at any moment.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UserError
from ..models import DEFAULT_NETWORK
from ..models.evidence_cnn import EvidenceCNN3d
from ..models.evidence_ensemble import EvidenceEnsemble3d
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import PUBLISHED, Anatomy, choose_label_maps, list_label_maps
from ..simulation.disease import check_disease
from ..simulation.fill_bank import bank_items, fill_bank
from ..simulation.groups import GROUPS
from .anatomies import cached_anatomy
from .bundle_writer import BundleText, Trained
from .card import TrainingStory
from .checkpoint import check_network, start_network
from .command import hours_of, write_evaluated
from .conditions import Scores, conditions_for
from .evaluation import assess
from .fit import FitSettings, fit, identity_of, settings_to_go_on
from .fold_scores import all_scores, deal, items_of, judge
from .heads import TARGETS_MM, Trainable
from .samples import BankSamples

FINAL = 0  # the number of the training on all anatomies
_MARGIN = 8
_BANK_SEEDS = {"train": 21, "val": 22, "test": 23}
# Of the cognitively normal, those who are of any age instead of the patients'.
_ANY_AGE = {"train": 0.35, "val": 0.0, "test": 0.3}


@dataclass(frozen=True)
class AnatomyFolds:
    """What to cross-validate.

    Attributes
    ----------
    label_maps
        Folder of label maps, two or more.
    number
        Number of folds; anatomies are dealt out to them by the training's seed.
    excluded
        Label maps that are not used at all.
    brains, first_brains
        Items of the training bank, and how many of them are simulated before training begins, the others meanwhile;
        all by default. The result of a seed depends on it.
    validation_brains, test_brains
        Items of the other two banks, over all anatomies.
    disease
        "published" or "stylised".
    ensemble
        Networks that are trained on all anatomies, from seeds that follow each other; what ships is their mean.
    """

    label_maps: Path
    number: int = 5
    excluded: tuple[str, ...] = ()
    brains: int = 1500
    first_brains: int | None = None
    validation_brains: int = 90
    test_brains: int = 600
    disease: str = PUBLISHED
    ensemble: int = 1


def cross_validate(
    output: str | Path,
    folds: AnatomyFolds,
    settings: FitSettings,
    *,
    network: str = DEFAULT_NETWORK,
    only: int | None = None,
    work: str | Path | None = None,
    command: str = "mri-interpret train --cross-validate",
    hardware: str = "CPU",
    progress: ProgressCallback = silent,
) -> Path:
    """Train each fold, then on all anatomies, and write the bundle of the last with the numbers of the folds.

    Parameters
    ----------
    output
        The bundle's folder.
    folds, settings
        What to cross-validate, and how to train each.
    network
        Name of a network that can be trained, see :func:`.checkpoint.start_network`.
    only
        Train this fold alone (1 to ``number``, or 0 for the training on all anatomies) and write no bundle.
    work
        For registered anatomies, banks and checkpoints (gigabytes); ``<output>.work`` by default.
    command, hardware
        For the card.

    Raises
    ------
    UserError
        If there are fewer anatomies than folds, one cannot be used, or a file cannot be written.
    """
    output = Path(output)
    work = Path(work) if work is not None else output.with_name(output.name + ".work")
    if only is not None and not 0 <= only <= folds.number:
        raise UserError(f"There is no fold {only}: give one from 1 to {folds.number}, or 0 for all anatomies.")
    check_network(network)
    check_ensemble(folds.ensemble, network)
    check_disease(folds.disease)
    paths = _chosen(folds)
    anatomies = [cached_anatomy(path, work / "anatomies", progress, folds.disease) for path in paths]
    fold_of = deal(len(anatomies), folds.number, settings.seed)
    _fill(work, "val", anatomies, folds, folds.validation_brains, progress)
    begun = min(folds.first_brains or folds.brains, folds.brains)
    _fill(work, "train", anatomies, folds, begun, progress)
    filler = _filler(work, anatomies, folds) if begun < folds.brains else None
    try:
        for fold in [*range(1, folds.number + 1), FINAL] if only is None else [only]:
            if fold == FINAL:
                seeds = range(settings.seed, settings.seed + folds.ensemble)
                members = [
                    _train(work, FINAL, fold_of, folds, replace(settings, seed=seed), network, begun, progress, member)
                    for member, seed in enumerate(seeds, start=1)
                ]
                continue
            trained = _train(work, fold, fold_of, folds, settings, network, begun, progress)
            _fill(work, "test", anatomies, folds, folds.test_brains, progress)
            made = work / f"fold{fold}" / "checkpoint.pt"
            judge(work, fold, trained, fold_of, folds.test_brains, folds.disease, made, progress)
    finally:
        if filler is not None:
            filler.terminate()
    if only is None:
        _write(output, work, members, folds, settings, [path.name for path in paths], command, hardware)
    return output


def check_ensemble(members: int, network: str) -> None:
    """Raise a UserError unless networks of this name can make an ensemble of so many."""
    if members < 1 or (members > 1 and network != "EvidenceCNN3d"):
        raise UserError(
            f"An ensemble of {members} {network} cannot be made: ask for one network or more, and more than one of "
            "EvidenceCNN3d only."
        )


def _chosen(folds: AnatomyFolds) -> list[Path]:
    unused = choose_label_maps(folds.label_maps, folds.excluded) if folds.excluded else []
    paths = [path for path in list_label_maps(folds.label_maps) if path not in unused]
    if folds.number < 2 or len(paths) < folds.number:
        raise UserError(
            f"{folds.label_maps} leaves {len(paths)} label maps for {folds.number} folds: each fold needs one, and "
            "there must be two folds or more."
        )
    return paths


def _fill(
    work: Path, bank: str, anatomies: Sequence[Anatomy], folds: AnatomyFolds, number: int, progress: ProgressCallback
) -> None:
    torch.set_num_threads(1)
    if len(bank_items(work / bank)) < number:
        fill_bank(
            work / bank, anatomies, number, _BANK_SEEDS[bank],
            disease=folds.disease, any_age_share=_ANY_AGE[bank], progress=progress,
        )  # fmt: skip


def _filler(work: Path, anatomies: Sequence[Anatomy], folds: AnatomyFolds) -> multiprocessing.process.BaseProcess:
    """A process that simulates the rest of the training bank while training goes on."""
    process = multiprocessing.get_context("spawn").Process(
        target=_fill, args=(work, "train", anatomies, folds, folds.brains, silent), daemon=True
    )
    process.start()
    return process


def _train(
    work: Path,
    fold: int,
    fold_of: NDArray[np.int64],
    folds: AnatomyFolds,
    settings: FitSettings,
    name: str,
    begun: int,
    progress: ProgressCallback,
    member: int = 1,
) -> Trainable:
    """The network of one fold, or of all anatomies: the first or a further one of an ensemble."""
    folder = _folder(work, fold, member)
    network, _ = start_network(None, settings.seed, name)
    settings = replace(settings, margin=settings.margin or _MARGIN)
    identity = identity_of(network, settings, f"{len(fold_of)} anatomies, {folds.brains} brains, fold {fold}")
    settings = settings_to_go_on(settings, folder, identity)
    targets_mm = TARGETS_MM[type(network)]

    def report(step: str, fraction: float) -> None:
        whole = "All anatomies" + (f", network {member} of {folds.ensemble}" if folds.ensemble > 1 else "")
        progress(f"{f'Fold {fold} of {folds.number}' if fold != FINAL else whole}: {step}", fraction)

    return fit(
        network,
        BankSamples(
            work / "train",
            folds.brains,
            settings.samples,
            settings.seed,
            first=begun,
            margin_at=settings.margin_at,
            targets_mm=targets_mm,
            chosen=items_of(fold_of, fold, folds.brains, inside=False),
        ),
        _in_order(work / "val", items_of(fold_of, fold, folds.validation_brains, inside=False), targets_mm),
        settings,
        folder,
        identity=identity,
        progress=report,
    )


def _folder(work: Path, fold: int, member: int = 1) -> Path:
    """Where a training keeps its checkpoint and log."""
    if fold != FINAL:
        return work / f"fold{fold}"
    return work / ("all" if member == 1 else f"all{member}")


def _in_order(folder: Path, chosen: NDArray[np.int64], targets_mm: int) -> BankSamples:
    return BankSamples(
        folder, int(chosen.max()) + 1, len(chosen), 99, in_order=True, targets_mm=targets_mm, chosen=chosen
    )


def check_groups(scores: Scores) -> None:
    """Raise a UserError unless the test bank holds subjects of the patients' ages from every group."""
    there = set(scores.labels[~scores.young].tolist())
    if len(there) < len(GROUPS):
        raise UserError(
            f"The {len(scores.labels)} test brains do not hold all of {', '.join(GROUPS)} at patients' ages: ask for "
            "more test brains; the trainings are kept."
        )


def _write(
    output: Path,
    work: Path,
    members: Sequence[Trainable],
    folds: AnatomyFolds,
    settings: FitSettings,
    names: Sequence[str],
    command: str,
    hardware: str,
) -> None:
    found = {name: all_scores(work, folds.number, name) for name in conditions_for(folds.disease)}
    check_groups(found["plain"])
    none = Scores(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), np.zeros(0))
    logs = [_folder(work, FINAL, member) / "log.csv" for member in range(1, len(members) + 1)]
    evidence = [one for one in members if isinstance(one, EvidenceCNN3d)]
    network = members[0] if len(members) == 1 else EvidenceEnsemble3d.of(evidence)
    anatomies = ", ".join(name.split(".")[0] for name in names)
    story = TrainingStory(
        command=command,
        seed=settings.seed,
        samples=settings.samples,
        hours=sum(map(hours_of, logs)),
        hardware=hardware,
        training_anatomies=anatomies,
        test_anatomies=f"the same, each judged by the one of {folds.number} networks that had not seen it",
        notes=(
            f"What ships was trained on all anatomies; the numbers are those of {folds.number} other networks, each "
            "trained on the anatomies of the other folds and judged by itself.",
        ),
        disease=folds.disease,
        network=type(network).__name__,
        members=len(members),
    )
    write_evaluated(output, Trained(network), BundleText(output.name), assess(found, none), story, log=logs[0])
