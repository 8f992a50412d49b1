"""Prediction and explained contrast for networks whose outputs are not one logit per class."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer, available_methods
from mri_interpret.checks.conservation import explained_values
from mri_interpret.checks.run_checks import explain_function
from mri_interpret.errors import UserError
from mri_interpret.explanation.scan_attribution import attribute, contrast_of
from mri_interpret.images.grid import Grid
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
    mask = SimpleNamespace(array=np.ones(SHAPE, np.uint8))
    return SimpleNamespace(channels=channels, model_mask=mask, grid=Grid(SHAPE, np.eye(4)))


def bundle_of(folder: Path, network: Ending, **metadata: Any) -> ModelBundle:
    changes = {f"mri_interpret.{key}": value for key, value in metadata.items()} | {"network_data_format": None}
    return ModelBundle(folder, read_metadata(write_small_bundle(folder, changes)), "0" * 64, network.eval())


def explained(folder: Path, network: Ending, target: str, **metadata: Any) -> Any:
    bundle = bundle_of(folder, network, **metadata)
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


AGE = {"kind": "regression", "name": "age", "unit": "years", "range": [-500, 500]}


@pytest.mark.parametrize("end", [None, torch.sigmoid, lambda y: 100 * y.squeeze(1)])
@pytest.mark.parametrize("reference", [None, 65.0])
def test_a_quantity_is_explained_as_it_is_returned(tmp_path: Path, end: Any, reference: float | None) -> None:
    """Even where the network ends in a sigmoid: what is before it is not the quantity."""
    network = Ending(1, end)
    target = "predicted" if reference is None else f"value-{reference:g}"
    prediction, explained_target, found = explained(tmp_path / "m", network, target, output=AGE)
    x = torch.from_numpy(scan().channels)[None].requires_grad_()
    value = network(x).sum()
    (wanted,) = torch.autograd.grad(value, x)
    assert prediction.logits == pytest.approx({"age": float(value)}, rel=1e-4)
    assert prediction.probabilities == {}
    assert prediction.predicted == f"age {float(value):.0f} years"
    assert explained_target.value == pytest.approx(float(value) - (reference or 0.0), rel=1e-4, abs=1e-4)
    assert explained_target.reference == reference
    torch.testing.assert_close(found["gradient"].map, wanted[:, 0])
    assert {one.units for one in found.values()} == {"years per intensity", "years"}
    assert not found.notices


# What a counterfactual leads to is the value itself, so that its map is another one.
@pytest.mark.parametrize("method", sorted(set(available_methods()) - {"volume_counterfactual"}))
def test_a_reference_changes_no_map(tmp_path: Path, method: str) -> None:
    """The maps of value-65 are those of a network whose last bias is lower by 65: the independent answer."""
    network, lower = Ending(1).eval(), Ending(1).eval()
    with torch.no_grad():
        lower.head.bias -= 65 / 30
    labels = torch.from_numpy(np.arange(np.prod(SHAPE)).reshape(SHAPE) // 240 + 1)
    given = torch.from_numpy(scan().channels)[None]
    maps = [
        Explainer(one, undo_activation=False).explain(given, [1.0], [method], regions=labels)[method].map
        for one in (network, lower)
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-3, atol=1e-4 * float(maps[0].abs().max()))


@pytest.mark.parametrize("target", ["AD", "value-600", "value-x"])
def test_a_target_that_a_quantity_has_not_is_refused_before_anything_runs(tmp_path: Path, target: str) -> None:
    with pytest.raises(UserError) as caught:
        contrast_of(target, bundle_of(tmp_path / "m", Ending(1), output=AGE))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["predicted", "MCI", "AD-CN", "value"])
@pytest.mark.parametrize("end", [None, torch.sigmoid])
def test_ordered_classes(tmp_path: Path, target: str, end: Any) -> None:
    network = Ending(2, end)
    classes = ["CN", "MCI", "AD"]
    prediction, explained_target, found = explained(
        tmp_path / "m", network, target, classes=classes, output="ordinal", temperature=1
    )
    first, second = first_logits(network)
    above = 1 / (1 + math.exp(-first)), 1 / (1 + math.exp(-second))
    assert prediction.predicted == classes[(above[0] > 0.5) + (min(above) > 0.5)]
    wanted = {"MCI": [1.0, -1.0], "AD-CN": [1.0, 1.0], "value": [1.0, 1.0]}
    wanted["predicted"] = {"CN": [-1.0, 0.0], "MCI": [1.0, -1.0], "AD": [0.0, 1.0]}[prediction.predicted]
    torch.testing.assert_close(found["gradient"].map, gradient(network, wanted[target]))
    assert explained_target.value == pytest.approx(wanted[target][0] * first + wanted[target][1] * second, rel=1e-4)


@pytest.mark.parametrize("shift", [-60.0, 60.0])
def test_one_probability_whose_logit_cannot_be_reached(tmp_path: Path, shift: float) -> None:
    """A probability is never negative, so its sign tells nothing: the explained class is the likelier one."""
    network = Ending(1, lambda y: y.sigmoid().clone() * 1.0 + 0.0)
    with torch.no_grad():
        network.head.bias += shift / 30
    metadata = {"classes": ["AD"], "output": "sigmoid", "temperature": 1}
    prediction, target, found = explained(tmp_path / "m", network, "predicted", **metadata)
    x = torch.from_numpy(scan().channels)[None].requires_grad_()
    (towards,) = torch.autograd.grad(network(x).sum(), x)
    sign = 1.0 if shift > 0 else -1.0
    assert prediction.predicted == ("AD" if shift > 0 else "not AD")
    assert target.name.startswith(prediction.predicted)
    torch.testing.assert_close(found["gradient"].map, sign * towards[:, 0])


def test_the_checks_compute_maps_of_the_quantity_again() -> None:
    network, image = Ending(1, torch.sigmoid).eval(), torch.rand(1, 1, *SHAPE)
    ones = np.ones(SHAPE, np.uint8)
    again = explain_function(["gradient"], ones, ones, undo_activation=False)
    found = again(network, image, [1.0], ["gradient"])["gradient"]
    leaf = image.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(network(leaf).sum(), leaf)
    np.testing.assert_allclose(found, wanted[0, 0].numpy(), rtol=1e-4, atol=1e-9)


def test_the_checks_ask_for_what_was_explained() -> None:
    from mri_interpret.attribution import Explainer

    network, image = Ending(3, lambda y: (y.softmax(1), y.mean(1))).eval(), torch.rand(2, 1, *SHAPE)
    output = Explainer(network, classes=3).explain(image[:1], 0, "gradient").output
    found = explained_values(network, image, [0.0, -1.0, 1.0], output)
    wanted = network.logits(image)
    assert found == pytest.approx((wanted[:, 2] - wanted[:, 1]).tolist(), rel=1e-4)
