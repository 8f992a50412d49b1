"""From packed brains to numbers: samples, conditions, calibration, evaluation; with brains that are boxes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.simulation.bank import BankItem, save_item
from mri_interpret.simulation.fill_bank import bank_items, item_path
from mri_interpret.simulation.published import VOLUMES, draw_published, volumes_of
from mri_interpret.simulation.structures import NAMES, TARGETS
from mri_interpret.training import samples as samples_module
from mri_interpret.training.conditions import CONDITIONS, PLAIN, score
from mri_interpret.training.evaluation import evaluate_bank
from mri_interpret.training.samples import BankSamples, labels_of
from torch import Tensor, nn

_WHITE, _CSF = NAMES.index("Left-Cerebral-White-Matter"), NAMES.index("CSF")


def _box_brain(group: str, reached: float) -> BankItem:
    """White matter with a block of CSF that grows as the fraction falls."""
    inside = np.zeros((96, 112, 96), dtype=bool)
    inside[24:72, 30:80, 24:72] = True
    labels = np.full(inside.shape, _WHITE, dtype=np.uint8)
    half = round(3 * (7 - reached))
    labels[48 - half : 48 + half, 55 - half : 55 + half, 48 - half : 48 + half] = _CSF
    return BankItem(
        inside=inside,
        codes=np.repeat(labels[inside][:, None], 8, 1),
        envelope=np.full(int(inside.sum()), 255, dtype=np.uint8),
        targets=np.zeros((len(TARGETS), 48, 56, 48), dtype=np.uint8),
        facts={"group": group, "reached": reached, "base": "box", "seed": 0},
    )


class DarkVoxels(nn.Module):
    """AD - CN grows with the share of dark voxels in the brain."""

    def forward(self, image: Tensor) -> Tensor:
        inside = image > 0
        dark = ((image < 0.5) & inside).flatten(1).sum(1) / inside.flatten(1).sum(1)
        return torch.stack((-20 * dark, torch.zeros_like(dark), 20 * dark), 1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    fractions = {"CN": (5.4, 5.1), "MCI": (4.6, 4.3), "AD": (3.4, 3.0)}
    brains = [(group, value) for turn in (0, 1) for group, values in fractions.items() for value in (values[turn],)]
    for index, (group, reached) in enumerate(brains):
        save_item(_box_brain(group, reached), item_path(folder, index))
    return folder


def test_samples_depend_on_number_and_seed_alone(bank: Path) -> None:
    one, two = (BankSamples(bank, 6, 10, seed) for seed in (1, 2))
    assert torch.equal(one[3]["image"], one[3]["image"])
    assert not torch.equal(one[3]["image"], two[3]["image"])
    assert float(one[3]["classes"].sum()) == pytest.approx(1.0)


def test_of_the_published_disease_all_volumes_decide_the_label_of_the_elderly() -> None:
    subject = draw_published(np.random.default_rng(3), "MCI")
    volumes = volumes_of(subject)
    facts = {**asdict(subject), "reached": 4.4, "chances": [0.2, 0.5, 0.3], "volumes": volumes}
    old, young = labels_of({**facts, "age": 70.0}), labels_of({**facts, "age": 30.0, "group": "CN"})
    assert old["classes"].tolist() == pytest.approx([0.2, 0.5, 0.3])
    assert young["classes"].tolist() == pytest.approx([0.6, 0.25, 0.15])  # nobody as young was among the patients
    assert old["volumes"].shape == (len(VOLUMES),)
    hippocampus = VOLUMES.index("hippocampus")
    # What the brain has counts, whatever was drawn for it.
    less = labels_of({**facts, "effects": {}})["volumes"] - old["volumes"]
    assert float(less.abs().max()) == 0.0
    shrunk = {name: value - (0.5 if name == "left hippocampus" else 0.0) for name, value in volumes.items()}
    less = labels_of({**facts, "volumes": shrunk})["volumes"] - old["volumes"]
    assert float(less[hippocampus]) < -0.5
    assert float(less.abs().sum() - less[hippocampus].abs()) == 0.0


def test_in_order_every_item_comes_once(bank: Path) -> None:
    samples = BankSamples(bank, 6, 6, 1, in_order=True)
    assert [float(samples[index]["fraction"]) for index in range(6)] == pytest.approx([5.4, 4.6, 3.4, 5.1, 4.3, 3.0])
    assert len(bank_items(bank)) == 6


def test_a_growing_bank_serves_what_it_had_at_that_sample(bank: Path) -> None:
    samples = BankSamples(bank, 6, 100, 1, first=2)
    early = [round(float(samples[index]["fraction"]), 3) for index in range(8)]
    assert set(early) == {5.4, 4.6}


def test_an_item_that_never_comes_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_module, "PATIENCE_S", 0)
    with pytest.raises(UserError, match="is missing"):
        BankSamples(tmp_path, 3, 3, 1)[0]


def test_cropping_stops_where_it_is_told(bank: Path) -> None:
    samples = BankSamples(bank, 6, 10, 1, margin_at=lambda index: 8 if index < 5 else 0)
    assert samples[4]["image"].shape == (1, 80, 96, 80)
    assert samples[5]["image"].shape == (1, 96, 112, 96)


def test_scores_keep_order_and_mirror(bank: Path) -> None:
    found = score(DarkVoxels(), BankSamples(bank, 6, 6, 1, PLAIN, in_order=True), flipped=True)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_allclose(found.logits, found.flipped, atol=1e-5)  # counting does not see a mirror
    assert found.logits.shape == (6, 3)
    apart = score(DarkVoxels(), BankSamples(bank, 6, 6, 1, PLAIN, in_order=True), workers=1)
    np.testing.assert_array_equal(apart.logits, found.logits)


@pytest.mark.slow
def test_evaluation_of_a_network_that_counts_dark_voxels(bank: Path) -> None:
    steps: set[str] = set()
    found = evaluate_bank(DarkVoxels(), (bank, 6), (bank, 6), progress=lambda step, _: steps.add(step))
    assert set(found.aucs) == {"volume alone", *CONDITIONS}
    assert found.aucs["volume alone"]["AD"].value == 1.0
    assert found.aucs["plain"]["AD"].value == 1.0
    assert found.correlation.value < -0.5
    assert found.confusion.sum() == 6
    assert steps == {"Calibrating", *(f"Evaluating: {name}" for name in CONDITIONS)}
