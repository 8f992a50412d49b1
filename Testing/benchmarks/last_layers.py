"""Further last layers for the classifier of ``train_shipped``: how much its answer depends on the anatomies it saw.

    python -m Testing.benchmarks.last_layers WORK

WORK is that of ``train_shipped``; it gets committee.pt, which ``train_shipped bundle`` takes. The layers are fitted to
the brains of the bank ``test`` over the anatomies that the network was trained on: it has seen these, not the brains,
and its own answer stays as it is.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_committee import EvidenceCommittee3d
from mri_interpret.simulation.anatomy import PUBLISHED
from mri_interpret.simulation.fill_bank import bank_items
from mri_interpret.training.conditions import conditions_for
from mri_interpret.training.fold_scores import deal, items_of
from mri_interpret.training.new_network import new_network
from mri_interpret.training.samples import BankSamples
from torch import Tensor
from torch.utils.data import DataLoader

ANATOMIES, FOLDS, SHIPPED_FOLD = 14, 5, 2  # of train_shipped
FURTHER = 4
_RIDGES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
_COMMITTEE_SEED = 30


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    committee(options.work, options.workers)


def committee(work: Path, workers: int) -> None:
    """Further last layers for the trained network, a bootstrap over the anatomies: WORK/committee.pt.

    Each is fitted anew on the features of brains over anatomies that are drawn with replacement. How far it may be from
    the trained layer (a ridge on the difference) is chosen by leaving out one anatomy at a time: as far as is no worse,
    within its standard error over the anatomies, than the best (Breiman et al. 1984, section 3.4.3, the other way
    round). All such layers might have been found.
    """
    first = new_network("EvidenceCNN3d")
    assert isinstance(first, EvidenceCNN3d)
    first.load_state_dict(torch.load(work / f"fold{SHIPPED_FOLD}" / "network.pt"))
    first.eval().requires_grad_(False)
    bank, plain = work / "test", conditions_for(PUBLISHED)["plain"]
    number = len(bank_items(bank))
    known = items_of(deal(ANATOMIES, FOLDS, 1), SHIPPED_FOLD, number, inside=False)
    samples = BankSamples(bank, number, len(known), _COMMITTEE_SEED, plain, in_order=True, chosen=known)
    pooled, classes = [], []
    for sample in DataLoader(samples, batch_size=None, num_workers=workers):
        pooled.append(first.features(sample["image"][None]).mean((2, 3, 4))[0].double())
        classes.append(sample["classes"].double())
    bases = np.array([samples.facts(index)["base"] for index in range(len(samples))])
    names = sorted(set(bases))
    last = _LastLayer(first.evidence.weight.double(), torch.stack(pooled), torch.stack(classes))

    def times(chosen: Sequence[str]) -> Tensor:
        return torch.tensor([float(list(chosen).count(base)) for base in bases], dtype=torch.float64)

    missed = {
        ridge: np.array([last.entropy(last.fitted(1 - times([name]), ridge), times([name])) for name in names])
        for ridge in _RIDGES
    }
    best = min(missed.values(), key=lambda values: float(values.mean()))
    error = best.std(ddof=1) / len(best) ** 0.5
    ridge = min(ridge for ridge, values in missed.items() if values.mean() <= best.mean() + error)
    print(
        f"cross-entropy on an anatomy left out: trained {last.entropy(last.trained, times(names)):.3f}, fitted anew by"
    )
    print(", ".join(f"ridge {one:g} {values.mean():.3f}" for one, values in missed.items()))
    print(f"standard error of the best {error:.3f}: ridge {ridge:g}", flush=True)
    others = []
    for number in range(FURTHER):
        drawn = np.random.default_rng([_COMMITTEE_SEED, number]).choice(names, len(names)).tolist()
        other = copy.deepcopy(first)
        other.evidence.weight.copy_(last.fitted(times(drawn), ridge))
        others.append(other)
    torch.save(EvidenceCommittee3d.of(first, others).state_dict(), work / "committee.pt")
    spread = [torch.softmax(last.pooled @ one.evidence.weight.double().T, 1)[:, -1] for one in (first, *others)]
    print(f"SD of the AD probability over the networks: {torch.stack(spread).std(0).mean():.3f} (mean of the brains)")


class _LastLayer:
    """Fits of (classes, width) weights to class probabilities (N, classes), given pooled features (N, width)."""

    def __init__(self, trained: Tensor, pooled: Tensor, classes: Tensor) -> None:
        self.trained, self.pooled, self.classes = trained, pooled, classes
        spread = pooled.std(0)
        self.spread = torch.where(spread > 0, spread, torch.ones_like(spread))

    def entropy(self, weight: Tensor, counts: Tensor) -> Tensor:
        """Mean cross-entropy, each brain counted so often."""
        surprise = -(torch.log_softmax(self.pooled @ weight.T, 1) * self.classes).sum(1)
        return surprise @ counts / counts.sum()

    def fitted(self, counts: Tensor, ridge: float) -> Tensor:
        """The weights that fit best."""
        change = torch.zeros_like(self.trained, requires_grad=True)
        optimiser = torch.optim.LBFGS([change], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-7)

        def loss() -> Tensor:
            optimiser.zero_grad()
            found = self.entropy(self.trained + change / self.spread, counts) + ridge * change.square().sum()
            found.backward()
            return found

        optimiser.step(loss)  # type: ignore[arg-type]
        return self.trained + change.detach() / self.spread


if __name__ == "__main__":
    main()
