"""Which regions' volumes a classifier's last features hold, on brains over anatomies that it never saw.

    python -m Testing.benchmarks.volume_reading MODEL --known BANK --test BANK [--known-brains N]

A ridge regression learns to read the volumes of :data:`.published.VOLUMES` from the pooled features of scans of known
brains, and reads those of the test brains. Volumes of one brain go together (age, disease, what tissue has in common),
so the correlation with a region's volume says little of that region: beside it stands the correlation that is left
when the five leading components of all *other* volumes are taken out of both. Printed as Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mri_interpret.metrics.classification import auc
from mri_interpret.metrics.similarity import correlation
from mri_interpret.models.bundle import find_model
from mri_interpret.models.evidence_sum import EvidenceSum
from mri_interpret.simulation.anatomy import PUBLISHED
from mri_interpret.simulation.fill_bank import bank_items
from mri_interpret.simulation.groups import GROUPS
from mri_interpret.simulation.published import VOLUMES, YOUNGEST_PATIENT, draw_published, volumes_of_both_sides
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
    print(f"\nAUC AD against CN, MCI against CN: {separation(true, read, groups)}")


def features_of(network: EvidenceSum, bank: Path, number: int, workers: int) -> dict[str, NDArray[np.float64]]:
    """Logarithms of pooled features, volumes, groups, and who is of the patients' ages, of a bank's first brains."""
    samples = BankSamples(bank, number, number, _SEED, conditions_for(PUBLISHED)["plain"], in_order=True)
    loader = DataLoader(samples, batch_size=None, num_workers=workers)
    features, volumes, groups = [], [], []
    for sample in loader:
        with torch.no_grad():
            features.append(network.features(sample["image"][None]).mean((0, 2, 3, 4)).clamp(min=1e-9).log().numpy())
        volumes.append(sample["volumes"].numpy())
        groups.append(int(sample["label"]))
    old = np.array([float(samples.facts(index)["age"]) >= YOUNGEST_PATIENT for index in range(number)])
    return {"features": np.array(features), "volumes": np.array(volumes), "groups": np.array(groups), "old": old}


def without(others: NDArray[np.float64]):  # type: ignore[no-untyped-def]
    """A function that takes the leading components of (N, V) out of N values."""
    left, size, _ = np.linalg.svd(others - others.mean(0), full_matrices=False)
    basis = np.column_stack((np.ones(len(others)), left[:, :_COMMON] * size[:_COMMON]))
    return lambda values: values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]


def separation(true: NDArray[np.float64], read: NDArray[np.float64], groups: NDArray[np.int64]) -> str:
    """What a logistic regression on drawn subjects' volumes reaches with the volumes that were read, and the true."""
    rng = np.random.default_rng(_SEED)
    drawn = [draw_published(rng, GROUPS[index % 3]) for index in range(_DRAWN)]
    volumes = np.stack([volumes_of_both_sides(subject.variation, subject.effects) for subject in drawn])
    model = LogisticRegression(max_iter=500).fit(volumes, np.arange(_DRAWN) % 3)
    said = []
    for name, values in (("read", read), ("true", true)):
        odds = model.predict_log_proba(values)
        areas = []
        for group in (2, 1):
            chosen = (groups == group) | (groups == 0)
            areas.append(f"{auc((odds[:, group] - odds[:, 0])[chosen], groups[chosen] == group):.3f}")
        said.append(f"{' and '.join(areas)} with the {name} volumes of both sides together")
    return "; ".join(said)


if __name__ == "__main__":
    main()
