"""Which regions' volumes a classifier's last features hold, on brains over anatomies that it never saw.

    python -m Testing.benchmarks.volume_reading MODEL --known BANK --test BANK [--known-brains N]

A ridge regression learns to read the volumes of :data:`.published.VOLUMES` from the pooled features of scans of known
brains, and reads those of the test brains. Volumes of one brain go together (age, disease, what tissue has in common),
so the correlation with a region's volume says little of that region: beside it stands the correlation that is left
when the five leading components of all *other* volumes are taken out of both. Printed as Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from mri_interpret.metrics.classification import auc
from mri_interpret.metrics.similarity import correlation
from mri_interpret.models.evidence_sum import EvidenceSum
from mri_interpret.models.registry import find_model
from mri_interpret.simulation.anatomy import PUBLISHED
from mri_interpret.simulation.fill_bank import bank_items
from mri_interpret.simulation.groups import GROUPS
from mri_interpret.simulation.published import (
    VOLUMES,
    YOUNGEST_PATIENT,
    draw_published,
    volumes_of,
    volumes_of_both_sides,
)
from mri_interpret.training.conditions import conditions_for
from mri_interpret.training.samples import BankSamples
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

_COMMON = 5  # components of the other volumes
_DRAWN = 3000
_SEED = 6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--known", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--known-brains", type=int, default=330)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    network = find_model(options.model).network
    if not isinstance(network, EvidenceSum):
        parser.error(f"{options.model} holds a {type(network).__name__}, which has no features at places to pool")
    known = features_of(network, options.known, options.known_brains, options.workers)
    test = features_of(network, options.test, len(bank_items(options.test)), options.workers)
    reader = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
    read = reader.fit(known["features"], known["volumes"]).predict(test["features"])[test["old"]]
    true, groups = test["volumes"][test["old"]], test["groups"][test["old"]]
    print(f"{len(true)} brains of {YOUNGEST_PATIENT:.0f} years or more; read from {len(known['volumes'])} others.\n")
    print("| region | r | r without what the others tell |\n|---|---|---|")
    for index, name in enumerate(VOLUMES):
        rest = without(np.delete(true, index, axis=1))
        own = correlation(rest(read[:, index]), rest(true[:, index]))
        print(f"| {name} | {correlation(read[:, index], true[:, index]):.2f} | {own:.2f} |")
    said = [f"{areas(test['logits'][test['old']], groups)} by the network's answer"]
    odds = volumetry()
    said += [
        f"{areas(odds(values), groups)} by the {name} volumes" for name, values in (("read", read), ("true", true))
    ]
    print(f"\nAUC of AD and of MCI against CN: {'; '.join(said)} of both sides together.")


def features_of(network: EvidenceSum, bank: Path, number: int, workers: int) -> dict[str, NDArray[np.float64]]:
    """Of a bank's first brains: logs of pooled features, volumes, groups, who is of the patients' ages, logits."""
    samples = BankSamples(bank, number, number, _SEED, conditions_for(PUBLISHED)["plain"], in_order=True)
    loader = DataLoader(samples, batch_size=None, num_workers=workers)
    features, volumes, groups, logits = [], [], [], []
    for sample in loader:
        with torch.no_grad():
            pooled = network.features(sample["image"][None]).mean((0, 2, 3, 4))
            features.append(pooled.clamp(min=1e-9).log().numpy())
            logits.append(network.evidence(pooled).numpy())
        volumes.append(sample["volumes"].numpy())
        groups.append(int(sample["label"]))
    old = np.array([float(samples.facts(index)["age"]) >= YOUNGEST_PATIENT for index in range(number)])
    return {
        "features": np.array(features),
        "volumes": np.array(volumes),
        "groups": np.array(groups),
        "old": old,
        "logits": np.array(logits),
    }


def without(others: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A function that takes the leading components of (N, V) out of N values."""
    left, size, _ = np.linalg.svd(others - others.mean(0), full_matrices=False)
    basis = np.column_stack((np.ones(len(others)), left[:, :_COMMON] * size[:_COMMON]))
    return lambda values: np.asarray(values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0])


def volumetry() -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From volumes of both sides together, (N, V), to log probabilities of the groups; learnt from drawn subjects."""
    rng = np.random.default_rng(_SEED)
    drawn = [draw_published(rng, GROUPS[index % 3]) for index in range(_DRAWN)]
    volumes = np.stack([volumes_of_both_sides(volumes_of(subject)) for subject in drawn])
    model = LogisticRegression(max_iter=500).fit(volumes, np.arange(_DRAWN) % 3)
    return lambda values: np.asarray(model.predict_log_proba(values))


def areas(scores: NDArray[np.float64], groups: NDArray[np.int64]) -> str:
    """Areas under the curve of AD and of MCI against CN, by the differences of (N, 3) scores."""
    found = []
    for group in (2, 1):
        chosen = (groups == group) | (groups == 0)
        found.append(f"{auc((scores[:, group] - scores[:, 0])[chosen], groups[chosen] == group):.3f}")
    return " and ".join(found)


if __name__ == "__main__":
    main()
