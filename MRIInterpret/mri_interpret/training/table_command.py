"""`mri-interpret train --table`: cross-validate on a cohort of scans, then write a bundle trained on it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..atomic import write_text
from ..metrics.bootstrap import Estimate, bootstrap
from ..metrics.classification import (
    auc_estimate,
    confusion,
    expected_calibration_error,
    fit_temperature,
    softmax,
)
from ..models import DEFAULT_NETWORK
from ..progress import ProgressCallback, silent
from ..simulation.groups import GROUPS
from .bundle_writer import TABLE_BANNER, BundleText, Trained, write_bundle
from .checkpoint import start_network
from .fit import FitSettings, fit, identity_of
from .table import Participant, TableSamples, folds, prepare, read_participants


@dataclass(frozen=True)
class OutOfFold:
    """Cross-validated predictions: each scan classified by a network that had not seen its subject."""

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    temperature: float

    def metrics(self, classes: Sequence[str]) -> dict[str, Estimate]:
        """AUC of each class against the first, accuracy and calibration error, for the classes that occur."""
        found = {}
        for index in range(1, len(classes)):
            if {0, index} <= set(self.labels.tolist()):
                scores = self.logits[:, index] - self.logits[:, 0]
                found[f"AUC {classes[index]} vs {classes[0]}"] = auc_estimate(scores, self.labels, index, 0)
        probabilities = softmax(self.logits, self.temperature)
        right = probabilities.argmax(1) == self.labels
        found["accuracy"] = bootstrap(lambda index: float(right[index].mean()), self.labels)
        found["expected calibration error"] = bootstrap(
            lambda index: expected_calibration_error(probabilities[index], self.labels[index]), self.labels, repeats=500
        )
        return found


def train_on_table(
    table: str | Path,
    output: str | Path,
    settings: FitSettings,
    *,
    folds_number: int = 5,
    init: str | Path | None = None,
    network_name: str = DEFAULT_NETWORK,
    work: str | Path | None = None,
    command: str = "mri-interpret train --table",
    progress: ProgressCallback = silent,
) -> Path:
    """Cross-validate by subject and write a bundle; the same call resumes after a kill.

    Every fold is tested once, by a network that trained on the others but one, which stops it early. The bundle holds
    the first fold's network; its numbers are those of all folds.

    Parameters
    ----------
    table
        See :func:`.table.read_participants`.
    output
        The bundle's folder.
    settings
        How to train each fold.
    folds_number
        At least 3: one to test, one to stop early, the rest to train.
    init
        Bundle to fine-tune.
    network_name
        Of a new network, see :func:`.checkpoint.start_network`.
    work
        For prepared scans and checkpoints; ``<output>.work`` by default.
    command
        For the card.

    Raises
    ------
    UserError
        If the table has an error, is too small for the folds, or a file cannot be written.
    """
    if folds_number < 3:
        raise ValueError("cross-validation with early stopping needs three folds or more")
    output = Path(output)
    work = Path(work) if work is not None else output.with_name(output.name + ".work")
    participants = read_participants(table)
    parts = folds(participants, folds_number, settings.seed)
    prepared = prepare(participants, work / "prepared", progress)
    logits = np.zeros((len(participants), len(GROUPS)))
    first: Any = None
    for number, test in enumerate(parts):
        stop = parts[(number + 1) % folds_number]
        learn = [index for index in range(len(participants)) if index not in set(test) | set(stop)]

        def report(step: str, fraction: float, number: int = number) -> None:
            progress(f"Fold {number + 1} of {folds_number}: {step}", (number + fraction) / folds_number)

        network, fine_tune = start_network(init, settings.seed, network_name)
        trained = fit(
            network,
            _samples(prepared, participants, learn, settings.samples, settings.seed, augment=True),
            _samples(prepared, participants, stop, len(stop), settings.seed, augment=False),
            settings,
            work / f"fold{number + 1}",
            identity=identity_of(network, settings, f"{table}: {len(participants)} scans, fold {number + 1}"),
            fine_tune=fine_tune,
            progress=report,
        )
        logits[test] = _logits(trained, _samples(prepared, participants, test, len(test), 0, augment=False))
        first = first or trained
    labels = np.array([participant.group for participant in participants])
    result = OutOfFold(logits, labels, fit_temperature(logits, labels))
    _write(output, Path(table), first, participants, result, settings, command)
    return output


def _samples(
    prepared: Sequence[Path],
    participants: Sequence[Participant],
    chosen: Sequence[int],
    length: int,
    seed: int,
    *,
    augment: bool,
) -> TableSamples:
    groups = [participants[index].group for index in chosen]
    return TableSamples([prepared[index] for index in chosen], groups, length, seed, len(GROUPS), augment)


@torch.no_grad()
def _logits(network: torch.nn.Module, samples: TableSamples) -> NDArray[np.float64]:
    rows = [network(samples[index]["image"][None])[0].numpy() for index in range(len(samples))]
    return np.array(rows, dtype=float)


def _write(
    output: Path,
    table: Path,
    network: Any,
    participants: Sequence[Participant],
    result: OutOfFold,
    settings: FitSettings,
    command: str,
) -> None:
    metrics = result.metrics(GROUPS)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["subject", "path", "group", *(f"probability_{name}" for name in GROUPS)])
    for participant, row in zip(participants, softmax(result.logits, result.temperature), strict=True):
        name = GROUPS[participant.group]
        writer.writerow([participant.subject, participant.path.name, name, *(f"{p:.4f}" for p in row)])
    write_text(output / "docs" / "cross_validation.csv", stream.getvalue())
    text = replace(
        BundleText(output.name),
        banner=TABLE_BANNER,
        data_source=f"{len(participants)} T1-weighted scans listed in {table.name}",
        licence="not stated",
        authors="not stated",
        intended_use="Research only. Not for diagnosis.",
    )
    trained = Trained(network, result.temperature, {name: found.as_metric() for name, found in metrics.items()})
    table_of_metrics = "\n".join(f"| {name} | {found} |" for name, found in metrics.items())
    called = softmax(result.logits).argmax(1)
    counts = "\n".join(
        f"| {name} | {' | '.join(map(str, row))} |"
        for name, row in zip(GROUPS, confusion(result.labels, called), strict=True)
    )
    card = f"""**Research use only, not for diagnosis.**

# {output.name}

Trained on {len(participants)} scans listed in {table.name}; cross-validated by subject, seed {settings.seed}.

```
{command}
```

| out of fold | value (95 % interval) |
|---|---|
{table_of_metrics}

| truth | {" | ".join(f"called {name}" for name in GROUPS)} |
|---|---|---|---|
{counts}

Each scan was classified by a network that had not seen its subject (`cross_validation.csv`). The weights are those of
the first fold.
"""
    write_bundle(output, trained, text, card)
