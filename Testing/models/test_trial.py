"""Programs that can never be explained are refused when they are added; those that can are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.attribution.outputs import as_scores
from mri_interpret.errors import UserError
from mri_interpret.models.adding import add_model
from mri_interpret.models.answers import Answers
from mri_interpret.models.trial import scores_of_one
from torch import Tensor, nn

X = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(4))
STEPS = ({"step": "registration", "shape": [8, 8, 8], "spacing": [24, 24, 24], "origin": [-90, -126, -72]},)
Returned = Callable[[Tensor, Tensor], Any]  # of three scores and an image


class Net(nn.Module):
    def __init__(self, returned: Returned) -> None:
        super().__init__()
        self.first, self.last, self.returned = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 3), returned

    def forward(self, x: Tensor) -> Any:
        features = self.first(x)
        return self.returned(self.last(features.mean((2, 3, 4))), features)


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def write(network: nn.Module, path: Path) -> Path:
    torch.export.save(torch.export.export(network.eval(), (X,)), path)
    return path


REFUSED: dict[str, tuple[Returned, int, str]] = {
    "an image": (lambda y, image: image, 3, r"returns an array of shape \(1, 4, 8, 8, 8\) instead of a number"),
    "an image and scores of another width": (lambda y, image: (image, y), 2, "returns 3 values, and 2 outputs"),
    "no head of that width": (lambda y, image: (y, y[:, :2]), 4, "returns 3 or 2 values, and 4 outputs"),
    "axes of length one": (lambda y, image: y[:, :, None, None, None], 2, "returns 3 values, and 2 outputs"),
    "one number": (lambda y, image: y[:, 0].squeeze(), 2, "returns 1 value, and 2 outputs"),
    "a class's number": (lambda y, image: y.argmax(1), 3, r"of shape \(1,\) and type int64 instead of a number"),
    "images alone": (lambda y, image: (image, image), 3, "returns a tuple of 2 tensors instead of a number"),
    "not a number": (lambda y, image: y / (y - y), 3, "returns NaN or infinite values"),
    "chance": (lambda y, image: y + torch.rand_like(y), 3, r"at random .*: call \.eval\(\) on it"),
}
TAKEN: dict[str, tuple[Returned, int]] = {
    "scores": (lambda y, image: y, 3),
    "scores without an axis of samples": (lambda y, image: y[0], 3),
    "axes of length one": (lambda y, image: y[:, :, None, None, None], 3),
    "one head of two": (lambda y, image: (y[:, :2], y), 3),
    "scores beside an image": (lambda y, image: {"image": image, "scores": y}, 3),
    "chance beside them": (lambda y, image: (torch.rand_like(image), y), 3),
}


def answers(count: int) -> Answers:
    return Answers(tuple("abcdef"[:count]), STEPS)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str, tmp_path: Path, models_folder: Path) -> None:
    returned, count, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence) as caught:
        add_model(write(Net(returned), tmp_path / "net.pt2"), answers=answers(count))
    assert "\n" not in str(caught.value)
    assert list(models_folder.iterdir()) == []


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_taken(name: str, tmp_path: Path) -> None:
    returned, count = TAKEN[name]
    assert add_model(write(Net(returned), tmp_path / "net.pt2"), answers=answers(count)).path.is_dir()


@pytest.mark.parametrize("suffix", ["pt2", "ts"])
def test_weights_that_are_not_finite(suffix: str, tmp_path: Path) -> None:
    network = Net(lambda y, image: y)
    with torch.no_grad():
        network.last.weight[0, 0] = float("nan")
    file = write(network, tmp_path / "net.pt2")
    if suffix == "ts":
        file = tmp_path / "net.ts"
        torch.jit.trace(network, X, check_trace=False).save(str(file))
    with pytest.raises(UserError, match=rf"^net\.{suffix} holds NaN or infinite weights"):
        add_model(file, answers=answers(3))


def test_a_mask_may_be_infinite(tmp_path: Path) -> None:
    network = Net(lambda y, image: y)
    network.register_buffer("mask", torch.tensor([0.0, float("-inf"), 0.0]))
    network.returned = lambda y, image: y * torch.softmax(network.mask, 0)  # type: ignore[arg-type]
    assert add_model(write(network, tmp_path / "net.pt2"), answers=answers(3)).path.is_dir()


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (3, 1), (1, 3, 1, 1, 1), (1, 3, 2), (1, 1, 1), (2, 3), (0,)])
def test_scores_are_what_the_explainer_takes_for_scores(shape: tuple[int, ...]) -> None:
    found, expected = scores_of_one(torch.ones(shape)), as_scores(torch.ones(shape), 1)
    assert (found is None) == (expected is None)
    assert found is None or expected is None or found.shape == expected.shape
