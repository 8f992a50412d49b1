"""Anatomies dealt to folds, and what the network of each fold answers on the anatomies that it had not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..progress import ProgressCallback, silent
from .conditions import Scores, conditions_for, score
from .evaluation import EVALUATION_SEED
from .heads import Trainable
from .samples import BankSamples


def deal(anatomies: int, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each anatomy, 1 to ``folds``, as evenly as the numbers allow."""
    order = np.random.default_rng([seed, 40]).permutation(anatomies)
    found = np.empty(anatomies, dtype=np.int64)
    found[order] = np.arange(anatomies) % folds + 1
    return found


def items_of(fold_of: NDArray[np.int64], fold: int, number: int, *, inside: bool) -> NDArray[np.int64]:
    """Numbers of a bank's items whose anatomies are in a fold, or are not; the anatomies take turns."""
    mine = fold_of[np.arange(number) % len(fold_of)] == fold
    return np.flatnonzero(mine if inside else ~mine)


def judge(
    work: Path,
    fold: int,
    network: Trainable,
    fold_of: NDArray[np.int64],
    brains: int,
    disease: str,
    made: Path,
    progress: ProgressCallback = silent,
) -> None:
    """Answers on the fold's own anatomies under every condition, kept in the fold's folder.

    Parameters
    ----------
    work
        Folder with the bank ``test`` and the folders of the folds.
    fold, network
        The fold, and the network that was trained without its anatomies.
    fold_of
        Fold of each anatomy; the bank's items take turns.
    brains
        Items of the bank.
    disease
        Of the bank's subjects.
    made
        File that the training left: kept answers that are older are given anew.
    progress
        Called with the condition.
    """
    chosen = items_of(fold_of, fold, brains, inside=True)
    for name, ranges in conditions_for(disease).items():
        path = _scores_path(work, fold, name)
        if path.exists() and path.stat().st_mtime > made.stat().st_mtime:
            continue
        samples = BankSamples(work / "test", brains, len(chosen), EVALUATION_SEED, ranges, True, chosen=chosen)
        found = score(network, samples, flipped=name == "plain", progress=progress, name=f"Fold {fold}: {name}")
        with replacing(path) as aside, aside.open("wb") as stream:
            np.savez(stream, **vars(found))


def _scores_path(work: Path, fold: int, condition: str) -> Path:
    return work / f"fold{fold}" / f"scores, {condition}.npz".replace(" ", "_").replace("%", "percent")


def all_scores(work: Path, folds: int, condition: str) -> Scores:
    """The answers of all folds on their own anatomies."""
    parts = []
    for fold in range(1, folds + 1):
        with np.load(_scores_path(work, fold, condition)) as stored:
            parts.append({name: stored[name] for name in stored.files})
    return Scores(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
