"""Prediction and explained contrast for networks whose outputs are not one logit per class."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.checks.conservation import explained_values
from mri_interpret.errors import UserError
from mri_interpret.explanation.scan_attribution import attribute, contrast_of
from mri_interpret.models.bundle import ModelBundle
from mri_interpret.models.metadata import read_metadata
from torch import Tensor, nn

from Testing.models.bundles import write_small_bundle

SHAPE = (9, 10, 8)


class Ending(nn.Module):
    """Convolution, ReLU, mean, linear layer, and what a test puts behind it."""

    def __init__(self, outputs: int, end: Any = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.head = nn.Conv3d(1, 4, 3), nn.Linear(4, outputs)
        self.end = end or (lambda y: y)

    def logits(self, x: Tensor) -> Tensor:
        return 30 * self.head(torch.relu(self.conv(x)).mean((2, 3, 4)))

    def forward(self, x: Tensor) -> Any:
        return self.end(self.logits(x))


def scan() -> Any:
    generator = np.random.default_rng(0)
    channels = generator.random((1, *SHAPE)).astype(np.float32)
    return SimpleNamespace(channels=channels, model_mask=SimpleNamespace(array=np.ones(SHAPE, np.uint8)))


def explained(folder: Path, network: Ending, target: str, **metadata: Any) -> Any:
    changes = {f"mri_interpret.{key}": value for key, value in metadata.items()} | {"network_data_format": None}
    bundle = ModelBundle(folder, read_metadata(write_small_bundle(folder, changes)), "0" * 64, network.eval())
    labels = SimpleNamespace(array=np.ones(SHAPE, np.int64))
    contrast = contrast_of(target, bundle)
    return attribute(bundle, scan(), labels, ["gradient", "lrp"], target, contrast, "cpu", lambda *_: None)


def gradient(network: Ending, weights: list[float]) -> Tensor:
    x = torch.from_numpy(scan().channels)[None].requires_grad_()
    (found,) = torch.autograd.grad((network.logits(x) * torch.tensor(weights)).sum(), x)
    return found[:, 0]


def first_logits(network: Ending) -> list[float]:
    with torch.no_grad():
        found: list[float] = network.logits(torch.from_numpy(scan().channels)[None])[0].tolist()
    return found


@pytest.mark.parametrize("end", [None, lambda y: y.softmax(1), lambda y: y.log_softmax(1), lambda y: (y.softmax(1), y)])
def test_a_softmax_is_not_squashed_twice(tmp_path: Path, end: Any) -> None:
    network = Ending(3, end)
    prediction, target, found = explained(tmp_path / "m", network, "AD-CN")
    logits = first_logits(network)
    powers = [math.exp(value / 2) for value in logits]  # the metadata's temperature is 2
    assert prediction.logits == pytest.approx(dict(zip(("CN", "MCI", "AD"), logits, strict=True)), rel=1e-4)
    assert list(prediction.probabilities.values()) == pytest.approx([p / sum(powers) for p in powers], rel=1e-4)
    assert target.value == pytest.approx(logits[2] - logits[0], rel=1e-4)
    torch.testing.assert_close(found["gradient"].map, gradient(network, [-1.0, 0.0, 1.0]))
    assert any("ends in a" in notice for notice in found.notices) == (end is not None)


@pytest.mark.parametrize("classes", [["AD"], ["CN", "AD"]])
@pytest.mark.parametrize("end", [None, torch.sigmoid, lambda y: y.sigmoid().squeeze(1)])
@pytest.mark.parametrize("shift", [-60.0, 60.0])
def test_one_logit_is_a_sigmoid(tmp_path: Path, classes: list[str], end: Any, shift: float) -> None:
    network = Ending(1, end)
    with torch.no_grad():
        network.head.bias += shift / 30
    kind = "logit" if len(classes) == 2 else "logits"
    prediction, target, found = explained(tmp_path / "m", network, "predicted", classes=classes, output=kind)
    (logit,) = first_logits(network)
    other = "CN" if len(classes) == 2 else "not AD"
    share = 1 / (1 + math.exp(-logit / 2))
    assert prediction.probabilities == pytest.approx({other: 1 - share, "AD": share}, abs=1e-6)
    assert prediction.predicted == ("AD" if shift > 0 else other)
    assert target.name == (f"AD - {other}" if shift > 0 else f"{other} - AD")
    assert target.value == pytest.approx(abs(logit), rel=1e-4)
    torch.testing.assert_close(found["gradient"].map, gradient(network, [1.0 if shift > 0 else -1.0]))
    assert float(found.explained[0]) == pytest.approx(target.value, rel=1e-4)


def test_one_logit_for_three_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"returned 1 value, but its metadata names 3 classes"):
        explained(tmp_path / "m", Ending(1), "predicted")


def test_independent_classes(tmp_path: Path) -> None:
    network = Ending(2, torch.sigmoid)
    prediction, _, found = explained(tmp_path / "m", network, "B", classes=["A", "B"], output="sigmoid", temperature=1)
    wanted = [1 / (1 + math.exp(-value)) for value in first_logits(network)]
    assert list(prediction.probabilities.values()) == pytest.approx(wanted, abs=1e-6)
    torch.testing.assert_close(found["gradient"].map, gradient(network, [0.0, 1.0]))


def test_a_quantity_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"returns a quantity \(age\)"):
        explained(tmp_path / "m", Ending(1), "predicted", output={"kind": "regression", "name": "age"})


def test_the_checks_ask_for_what_was_explained() -> None:
    from mri_interpret.attribution import Explainer

    network, image = Ending(3, lambda y: (y.softmax(1), y.mean(1))).eval(), torch.rand(2, 1, *SHAPE)
    output = Explainer(network, classes=3).explain(image[:1], 0, "gradient").output
    found = explained_values(network, image, [0.0, -1.0, 1.0], output)
    wanted = network.logits(image)
    assert found == pytest.approx((wanted[:, 2] - wanted[:, 1]).tolist(), rel=1e-4)
