"""How the classifier that ships was trained: side by side on a GPU, one network without each fold and one on all.

    python -m Testing.benchmarks.train_shipped fill WORK train --label-maps DIR [--first K --step N]
    python -m Testing.benchmarks.train_shipped side-by-side WORK --device cuda --seconds 630 --workers 4
    python -m Testing.benchmarks.train_shipped fill WORK test --label-maps DIR
    python -m Testing.benchmarks.train_shipped judge WORK [--folds K ...]
    python -m Testing.benchmarks.last_layers WORK
    python -m Testing.benchmarks.train_shipped bundle WORK OUT --notes NOTES.md --version V

Six networks learn from one stream of scans while several processes fill the bank: one without the anatomies of each
fold, and one on all. The one without 08, 15 and 17 ships: features were asked for the simulator's truth in each voxel,
so the anatomies on which the benchmark reports must have had no part. The numbers of its card are on these anatomies;
train_shipped.md has those of all five, and what was tried before. A growing bank and many workers do not give the same
weights again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_committee import EvidenceCommittee3d
from mri_interpret.simulation.anatomy import PUBLISHED, list_label_maps
from mri_interpret.simulation.fill_bank import bank_items, fill_bank
from mri_interpret.training.anatomies import cached_anatomy
from mri_interpret.training.bundle_writer import BundleText, Trained
from mri_interpret.training.card import TrainingStory
from mri_interpret.training.command import write_evaluated
from mri_interpret.training.conditions import Scores, conditions_for
from mri_interpret.training.evaluation import assess
from mri_interpret.training.fold_scores import all_scores, deal, judge
from mri_interpret.training.new_network import new_network
from mri_interpret.training.samples import BankSamples
from mri_interpret.training.side_by_side import SideBySide, Stream, train_side_by_side

from .last_layers import ANATOMIES, FOLDS, FURTHER, SHIPPED_FOLD

EXCLUDED = ("labels_07",)  # much of its left hippocampus is missing
_SEED = 100  # of the first network; they follow each other
_SCANS_A_STEP = 10
#: Of each bank: seed, share of the healthy of any age, and strengths of the random deformation. In training brains
#: differ more in shape than people do, so that a region has to be found by more than its place.
_BANKS: dict[str, tuple[int, float, tuple[float, float] | None]] = {
    "train": (43, 0.35, (0.5, 1.7)),
    "test": (23, 0.3, None),
}


def fill(options: argparse.Namespace) -> None:
    """Simulate brains; several processes may share a bank by --first and --step."""
    paths = [path for path in list_label_maps(options.label_maps) if path.name.split(".")[0] not in EXCLUDED]
    anatomies = [cached_anatomy(path, options.work / "anatomies", disease=PUBLISHED) for path in paths]
    seed, any_age, strengths = _BANKS[options.bank]
    fill_bank(
        options.work / options.bank, anatomies, options.brains, seed,
        disease=PUBLISHED, any_age_share=any_age, strengths=strengths, first=options.first, step=options.step,
    )  # fmt: skip


def side_by_side(options: argparse.Namespace) -> None:
    """Train the six: WORK/fold1/network.pt to fold5, WORK/network.pt, and WORK/side_by_side.json."""
    networks = []
    for number in range(FOLDS + 1):
        torch.manual_seed(_SEED + number)
        network = new_network("EvidenceCNN3d")
        assert isinstance(network, EvidenceCNN3d)
        networks.append(network)
    bank = options.work / "train"
    some = BankSamples(bank, ANATOMIES, ANATOMIES, 98, in_order=True, targets_mm=4)
    whole = torch.stack([some[index]["image"] for index in range(len(some))])
    log: list[dict[str, float]] = []
    torch.backends.cudnn.benchmark = True
    trained = train_side_by_side(
        networks,
        Stream(bank, deal(ANATOMIES, FOLDS, 1), device=options.device),
        SideBySide(1, options.steps, options.seconds, workers=options.workers, device=options.device),
        whole,
        every=100,
        log=log,
        progress=lambda text, done: print(f"{done:4.0%} {text}", flush=True),
    )
    for number, network in enumerate(trained, start=1):
        path = _network_path(options.work, number)
        path.parent.mkdir(exist_ok=True)
        torch.save(network.state_dict(), path)
    (options.work / "side_by_side.json").write_text(json.dumps(log), encoding="utf-8")


def _network_path(work: Path, number: int) -> Path:
    return (work / f"fold{number}" if number <= FOLDS else work) / "network.pt"


def _trained(path: Path) -> EvidenceCNN3d:
    network = new_network("EvidenceCNN3d")
    assert isinstance(network, EvidenceCNN3d)
    network.load_state_dict(torch.load(path))
    return network.eval()


def judge_folds(options: argparse.Namespace) -> None:
    """The answers of each fold's network on the anatomies that it had not seen."""
    torch.set_num_threads(1)
    brains = len(bank_items(options.work / "test"))
    for fold in options.folds:
        path = _network_path(options.work, fold)
        judge(options.work, fold, _trained(path), deal(ANATOMIES, FOLDS, 1), brains, PUBLISHED, path)


def bundle(options: argparse.Namespace) -> None:
    """Write the bundle of the network that ships with its numbers on its own fold; WORK/committee.pt if there."""
    network = _trained(_network_path(options.work, SHIPPED_FOLD))
    kept = options.work / "committee.pt"
    if kept.exists():
        network = EvidenceCommittee3d(FURTHER, **network.arguments())
        network.load_state_dict(torch.load(kept))
        network.eval()
    log = json.loads((options.work / "side_by_side.json").read_text(encoding="utf-8"))
    curve = options.work / "training_log.csv"
    _write_curve(log, curve)
    everybody = {name: all_scores(options.work, FOLDS, name) for name in conditions_for(PUBLISHED)}
    fold_of = dict(zip(sorted(set(everybody["plain"].bases.tolist())), deal(ANATOMIES, FOLDS, 1), strict=True))
    held_out = sorted(name for name, fold in fold_of.items() if fold == SHIPPED_FOLD)
    scores = {name: found.chosen(np.isin(found.bases, held_out)) for name, found in everybody.items()}
    seconds, steps = log[-1]["seconds"], int(log[-1]["step"])
    story = TrainingStory(
        command=f"python -m Testing.benchmarks.train_shipped side-by-side WORK --device cuda --seconds {seconds:.0f}",
        seed=_SEED + SHIPPED_FOLD - 1,
        samples=_SCANS_A_STEP * steps * (FOLDS - 1) // FOLDS,
        hours=seconds / 3600,
        hardware=options.hardware,
        training_anatomies=", ".join(name for name in fold_of if name not in held_out),
        test_anatomies=", ".join(held_out),
        notes=tuple(options.notes.read_text(encoding="utf-8").strip().removeprefix("- ").split("\n- ")),
        disease=PUBLISHED,
        network=type(network).__name__,
        resumes=False,
        further=FURTHER if kept.exists() else 0,
    )
    none = Scores(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), np.zeros(0))
    text = BundleText("atrophy_cnn", version=options.version)
    real = options.real_scans.read_text(encoding="utf-8") if options.real_scans else ""
    write_evaluated(options.output, Trained(network), text, assess(scores, none), story, log=curve, real_scans=real)


def _write_curve(log: Sequence[dict[str, float]], path: Path) -> None:
    """The losses of the network that ships, as a training's log has them; a fold's sees four scans in five."""
    parts = [name.rpartition(" ")[0] for name in log[0] if name.endswith(f" {SHIPPED_FOLD}")]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sample", "seconds", "rate", *parts])
        for row in log:
            values = [row["rate"], *(row[f"{part} {SHIPPED_FOLD}"] for part in parts)]
            scans = int(_SCANS_A_STEP * row["step"] * (FOLDS - 1) / FOLDS)
            writer.writerow([scans, f"{row['seconds']:.1f}", *(f"{value:.5g}" for value in values)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("fill")
    part.add_argument("work", type=Path)
    part.add_argument("bank", choices=sorted(_BANKS))
    part.add_argument("--label-maps", type=Path, required=True)
    part.add_argument("--brains", type=int, default=700)
    part.add_argument("--first", type=int, default=0)
    part.add_argument("--step", type=int, default=1)
    part.set_defaults(run=fill)
    part = parts.add_parser("side-by-side")
    part.add_argument("work", type=Path)
    part.add_argument("--device", default="cuda")
    part.add_argument("--seconds", type=float, default=float("inf"))
    part.add_argument("--steps", type=int, default=8000)
    part.add_argument("--workers", type=int, default=4)
    part.set_defaults(run=side_by_side)
    part = parts.add_parser("judge")
    part.add_argument("work", type=Path)
    part.add_argument("--folds", type=int, nargs="+", default=list(range(1, FOLDS + 1)))
    part.set_defaults(run=judge_folds)
    part = parts.add_parser("bundle")
    part.add_argument("work", type=Path)
    part.add_argument("output", type=Path)
    part.add_argument("--notes", type=Path, required=True)
    part.add_argument("--real-scans", type=Path)
    part.add_argument("--version", required=True)
    part.add_argument("--hardware", default="one NVIDIA H200 and 16 processors")
    part.set_defaults(run=bundle)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
