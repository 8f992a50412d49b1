"""How the classifier that ships was trained: side by side on a GPU, then one network further on the CPU, twice.

    python -m Testing.benchmarks.train_shipped fill WORK/train --label-maps DIR [--first K --step N]
    python -m Testing.benchmarks.train_shipped side-by-side WORK --device cuda --seconds 400
    python -m Testing.benchmarks.train_shipped further WORK --banks BANK ... --known BANK
    python -m Testing.benchmarks.train_shipped further WORK --banks BANK ... --known BANK --widen NETWORK.pt
    python -m Testing.benchmarks.train_shipped further WORK --banks BANK ... --known BANK --begin NETWORK.pt
    python -m Testing.benchmarks.train_shipped bundle WORK OUT --banks BANK ... --notes NOTES.md --hours H --version V

Anatomies are dealt to five folds; side by side, eight networks learn from one stream of scans, one without each fold
and three on all. The network of fold 2 goes on, with the scales of its layers held constant, on more brains of the
anatomies that it knows, and is judged on the brains of its own fold (:data:`HELD_OUT`): that was version 0.4.0. For
0.5.0 it was widened (:func:`widened`) and went on with brains of the mended simulator. Further training with brains
that have the volumes that were drawn (``--begin``) was no better on the whole and does not ship, nor does a committee
for 0.5.0 (last_layers.py). train_shipped.md has the numbers. A growing bank and many workers do not give the same
weights again; ``further`` alone does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_committee import EvidenceCommittee3d
from mri_interpret.simulation.anatomy import PUBLISHED, list_label_maps
from mri_interpret.simulation.bank import load_item
from mri_interpret.simulation.fill_bank import bank_items, fill_bank, item_path
from mri_interpret.simulation.structures import TARGETS
from mri_interpret.training.anatomies import cached_anatomy
from mri_interpret.training.anatomy_folds import deal
from mri_interpret.training.bundle_writer import BundleText, Trained
from mri_interpret.training.card import TrainingStory
from mri_interpret.training.command import write_evaluated
from mri_interpret.training.conditions import conditions_for, score
from mri_interpret.training.evaluation import EVALUATION_SEED, assess
from mri_interpret.training.fit import FitSettings, fit, identity_of, settings_to_go_on
from mri_interpret.training.new_network import new_network
from mri_interpret.training.regional_gains import plan
from mri_interpret.training.samples import BankSamples
from mri_interpret.training.side_by_side import SideBySide, Stream, train_side_by_side
from torch import Tensor
from torch.nn import functional

from .last_layers import FURTHER

EXCLUDED = ("labels_07",)  # much of its left hippocampus is missing
ANATOMIES, FOLDS, FINALS, CHOSEN_FOLD = 14, 5, 3, 2
HELD_OUT = ("labels_08", "labels_15", "labels_17")  # fold 2 of deal(14, 5, 1)
_BANK_SEED, _FIT_SEED, _WIDEN_SEED = 43, 5, 7
_OLD_GAIN_SHAPE = (12, 14, 12)
_UNLIKE = ("accumbens and basal forebrain", "thalamus", "caudate", "putamen", "third ventricle")  # no tissue's feature


def fill(options: argparse.Namespace) -> None:
    """Simulate brains for the first part; several processes may share a bank by --first and --step."""
    paths = [path for path in list_label_maps(options.label_maps) if path.name.split(".")[0] not in EXCLUDED]
    anatomies = [cached_anatomy(path, options.bank.parent / "anatomies", disease=PUBLISHED) for path in paths]
    fill_bank(
        options.bank, anatomies, options.brains, _BANK_SEED,
        disease=PUBLISHED, any_age_share=0.35, first=options.first, step=options.step,
    )  # fmt: skip


def side_by_side(options: argparse.Namespace) -> None:
    """The first part: eight networks, kept in WORK/side_by_side.pt."""
    networks = []
    for number in range(FOLDS + FINALS):
        torch.manual_seed(100 + number)
        network = new_network("EvidenceCNN3d")
        assert isinstance(network, EvidenceCNN3d)
        networks.append(network)
    bank = options.work / "train"
    some = BankSamples(bank, 28, 28, 98, in_order=True, targets_mm=4)
    whole = torch.stack([some[index]["image"] for index in range(len(some))])
    log: list[dict[str, float]] = []
    torch.backends.cudnn.benchmark = True
    trained = train_side_by_side(
        networks,
        Stream(bank, deal(ANATOMIES, FOLDS, 1)),
        SideBySide(FINALS, options.steps, options.seconds, workers=options.workers, device=options.device),
        whole,
        every=100,
        log=log,
        progress=lambda text, done: print(f"{done:4.0%} {text}", flush=True),
    )
    torch.save([network.state_dict() for network in trained], options.work / "side_by_side.pt")
    (options.work / "side_by_side.json").write_text(json.dumps(log), encoding="utf-8")


def further(options: argparse.Namespace) -> None:
    """One network on all brains of the banks that are not of the held-out anatomies: fold 2's, or one given."""
    joined = options.work / "joined"
    brains = join(options.banks, joined, lambda base: base not in HELD_OUT)
    validation = options.work / "validation"
    known = join([options.known], validation, lambda base: base not in HELD_OUT)
    seed = _FIT_SEED + bool(options.begin)
    torch.manual_seed(seed)
    network = new_network("EvidenceCNN3d")
    assert isinstance(network, EvidenceCNN3d)
    if options.begin:
        network.load_state_dict(torch.load(options.begin))
    elif options.widen:
        few = BankSamples(validation, known, known, 99, in_order=True)
        old = EvidenceCNN3d(joint_channels=network.width, gain_shape=_OLD_GAIN_SHAPE)
        old.load_state_dict(torch.load(options.widen))
        widened(old, network, torch.stack([few[index]["image"] for index in range(3)]))
    else:
        network.load_state_dict(torch.load(options.work / "side_by_side.pt")[CHOSEN_FOLD - 1])
    settings = FitSettings(
        samples=options.samples, seed=seed, rate=1e-3 if options.widen else 8e-4, decay=0.65 if options.begin else 0.6,
        every=1000, margin=8, whole_from=0.95 if options.widen or options.begin else 0.94,
        constant_scales=True,
    )  # fmt: skip
    begun = "goes on" if options.begin else "widened" if options.widen else f"from fold {CHOSEN_FOLD}"
    identity = identity_of(network, settings, f"{brains} brains, {begun}")
    settings = settings_to_go_on(settings, options.work / "fit", identity)
    trained = fit(
        network,
        BankSamples(joined, brains, settings.samples, seed, margin_at=settings.margin_at, targets_mm=4),
        BankSamples(validation, known, known, 99, in_order=True),
        settings,
        options.work / "fit",
        identity=identity,
        fine_tune=True,
        progress=lambda text, done: print(f"{done:4.0%} {text}", flush=True),
    )
    torch.save(trained.state_dict(), options.work / "network.pt")


@torch.no_grad()
def widened(before: EvidenceCNN3d, new: EvidenceCNN3d, images: Tensor) -> None:
    """Give a new network what an old one without a hidden layer and regional gains has learnt, in place.

    The hidden layer passes on all features of the old network and adds random ones. The new features that are about a
    region (:func:`.regional_gains.plan`) begin as copies of the old feature for their tissue; behind them, the old
    features that counted most go on as they were.

    Parameters
    ----------
    before
        The old network.
    new
        Fresh, with regional gains, a hidden layer and as many joint features.
    images
        (N, 1, I, J, K): a few scans, on which the random hidden features are scaled.
    """
    assert new.hidden is not None
    assert new.gain is not None
    old, own = before.state_dict(), new.state_dict()  # shares its tensors with the network
    for name, weight in old.items():
        if name.startswith(("fine", "wide")) or name == "gain.inside":
            own[name].copy_(weight)
    generator = torch.Generator().manual_seed(_WIDEN_SEED)
    seen, hidden = old["joint.0.weight"].shape[1], new.hidden[0].out_channels
    own["hidden.0.weight"][:seen, :, 0, 0, 0] = torch.eye(seen)
    random = torch.randn(hidden - seen, seen, 1, 1, 1, generator=generator)
    own["hidden.0.weight"][seen:] = random * (2 / seen) ** 0.5
    fine = new.eval().fine(images)
    wide = functional.interpolate(new.wide(fine), size=fine.shape[2:], mode="trilinear")
    square = new.hidden[0](torch.cat((fine, wide), 1)).square().mean((0, 2, 3, 4))
    own["hidden.1.running_square"].copy_(torch.where(torch.arange(hidden) < seen, torch.ones(hidden), square))

    tissues, planned = list(TARGETS), plan()
    strength = old["evidence.weight"].abs().sum(0) * before.eval().features(images).mean((0, 2, 3, 4))
    strength[: len(tissues)] = -1.0
    kept = strength.argsort(descending=True)[: new.width - len(planned)].tolist()
    source = [tissues.index(tissue) for tissue, _ in planned] + kept
    rows = old["joint.0.weight"][source]
    spread = rows.std()
    for index, (_, regions) in enumerate(planned):
        if index >= len(tissues) and regions[0] in _UNLIKE:
            rows[index] += torch.randn(seen, 1, 1, 1, generator=generator) * spread
    own["joint.0.weight"].zero_()
    own["joint.0.weight"][:, :seen] = rows
    for name in ("joint.1.weight", "joint.1.running_square"):
        own[name].copy_(old[name][source])
    gains = functional.interpolate(old["gain.log_gain"], size=new.gain.log_gain.shape[2:], mode="trilinear")[0]
    for index in (*range(len(tissues)), *range(len(planned), new.width)):
        begun = own["gain.log_gain"][0, index] if index < len(tissues) else 0.0
        own["gain.log_gain"][0, index] = begun + gains[source[index]]
    own["evidence.weight"].zero_()
    goes_on = [*range(len(tissues)), *range(len(planned), new.width)]
    own["evidence.weight"][:, goes_on] = old["evidence.weight"][:, [source[index] for index in goes_on]]


def bundle(options: argparse.Namespace) -> None:
    """Judge the network on the held-out anatomies, and write the bundle with its card."""
    first = new_network("EvidenceCNN3d")
    assert isinstance(first, EvidenceCNN3d)
    with_committee = (options.work / "committee.pt").exists()
    network = EvidenceCommittee3d(FURTHER, **first.arguments()) if with_committee else first
    network.load_state_dict(torch.load(options.work / ("committee.pt" if with_committee else "network.pt")))
    network.eval()
    test, known = options.work / "test", options.work / "validation"
    number = join(options.banks, test, lambda base: base in HELD_OUT)
    conditions = conditions_for(PUBLISHED)

    def scored(name: str, folder: Path, count: int, seed: int) -> object:
        samples = BankSamples(folder, count, count, seed, conditions[name], True)
        return score(network, samples, flipped=name == "plain", workers=options.workers)

    before = scored("plain", known, len(bank_items(known)), EVALUATION_SEED)
    scores = {name: scored(name, test, number, EVALUATION_SEED + 1) for name in conditions}
    evaluation = assess(scores, before)  # type: ignore[arg-type]
    story = TrainingStory(
        command=f"python -m Testing.benchmarks.train_shipped further WORK --samples {options.samples}",
        seed=_FIT_SEED,
        samples=options.samples,
        hours=options.hours,
        hardware="2 CPU cores (x86_64), after 30,000 scans on a GPU",
        training_anatomies="11 of 14: all but labels_08, labels_15 and labels_17",
        test_anatomies=", ".join(HELD_OUT),
        notes=tuple(options.notes.read_text(encoding="utf-8").strip().removeprefix("- ").split("\n- ")),
        disease=PUBLISHED,
        network=type(network).__name__,
        further=FURTHER if with_committee else 0,
    )
    write_evaluated(
        options.output,
        Trained(network),
        BundleText("atrophy_cnn", version=options.version),
        evaluation,
        story,
        log=options.work / "fit" / "log.csv",
        real_scans=options.real_scans.read_text(encoding="utf-8") if options.real_scans else "",
    )


def join(banks: Sequence[Path], folder: Path, wanted: Callable[[str], bool]) -> int:
    """Links to those brains of several banks whose anatomy is wanted, numbered anew; how many they are."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for path in (path for bank in banks for path in bank_items(bank)):
        if wanted(str(load_item(path).facts["base"]).split(".")[0]):
            link = item_path(folder, number)
            if not link.exists():
                link.symlink_to(path.resolve())
            number += 1
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("fill")
    part.add_argument("bank", type=Path)
    part.add_argument("--label-maps", type=Path, required=True)
    part.add_argument("--brains", type=int, default=1400)
    part.add_argument("--first", type=int, default=0)
    part.add_argument("--step", type=int, default=1)
    part.set_defaults(run=fill)
    part = parts.add_parser("side-by-side")
    part.add_argument("work", type=Path)
    part.add_argument("--device", default="cuda")
    part.add_argument("--seconds", type=float, default=float("inf"))
    part.add_argument("--steps", type=int, default=3000)
    part.add_argument("--workers", type=int, default=14)
    part.set_defaults(run=side_by_side)
    for name, run in (("further", further), ("bundle", bundle)):
        part = parts.add_parser(name)
        part.add_argument("work", type=Path)
        if run is bundle:
            part.add_argument("output", type=Path)
            part.add_argument("--hours", type=float, required=True)
            part.add_argument("--notes", type=Path, required=True)
            part.add_argument("--real-scans", type=Path)
            part.add_argument("--version", required=True)
            part.add_argument("--workers", type=int, default=1)
        else:
            part.add_argument("--known", type=Path, required=True)
            begin = part.add_mutually_exclusive_group()
            begin.add_argument("--widen", type=Path)
            begin.add_argument("--begin", type=Path)
        part.add_argument("--banks", type=Path, nargs="+", required=True)
        part.add_argument("--samples", type=int, default=11500)
        part.set_defaults(run=run)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
