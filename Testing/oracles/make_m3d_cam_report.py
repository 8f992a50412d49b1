"""What M3d-Cam does on our small networks, stored so that the tests need it not.

    peers/bin/pip install medcam
    peers/bin/python -m Testing.oracles.make_m3d_cam_report

Writes ``m3d_cam_report.json`` beside this file. Its maps are scaled to 0..1, so ours are scaled alike before they are
compared; a difference is the largest over voxels.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from medcam import medcam
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.cam import GradCam
from torch import Tensor, nn

from Testing.attribution.networks import Spellings, oracle_plain, randomise, volume

HERE = Path(__file__).parent

TARGET = 1
LAYER = "features.8"


def scaled(values: Tensor) -> Tensor:
    """``values`` from 0 to 1, in float64."""
    values = values.detach().double().flatten()
    return (values - values.min()) / (values.max() - values.min())


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference of two maps from 0 to 1."""
    return float((scaled(a) - scaled(b)).abs().max())


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation over voxels."""
    return float(torch.corrcoef(torch.stack([scaled(a), scaled(b)]))[0, 1])


class Theirs:
    """A model with M3d-Cam injected, and its maps."""

    def __init__(self, model: nn.Module, backend: str, layer: str = "auto") -> None:
        self.model = medcam.inject(
            model.float(), backend=backend, layer=layer, label=TARGET, return_attention=True, retain_graph=False
        )

    def __call__(self, x: Tensor) -> Tensor:
        return self.model(x.float().clone())[1]


def guided(x: Tensor) -> dict[str, dict[str, float]]:
    """Guided backpropagation of networks that differ in how they spell their ReLUs."""
    report = {}
    for spelling in ("module", "F.relu", "method"):
        theirs = Theirs(randomise(Spellings(spelling)), "gbp")(x)
        ours = Explainer(randomise(Spellings(spelling)).float()).explain(
            x.float(), TARGET, ["gradient", "guided_backprop"]
        )
        report[spelling] = {
            "difference to the plain gradient": difference(theirs, ours["gradient"].map),
            "difference to guided backpropagation": difference(theirs, ours["guided_backprop"].map),
        }
    return report


def second_calls(x: Tensor) -> dict[str, float]:
    """Correlation of the map of a first call with that of a second one, on the same input."""
    report = {}
    for name, backend in {"guided Grad-CAM": "ggcam", "Grad-CAM": "gcam", "guided backpropagation": "gbp"}.items():
        theirs = Theirs(oracle_plain(), backend, LAYER)
        report[name] = correlation(theirs(x), theirs(x))
    return report


def grad_cam(x: Tensor) -> float:
    """Difference of its Grad-CAM to ours, where the stretched grid is the right place."""
    theirs = Theirs(oracle_plain(), "gcam", LAYER)(x)
    coarse = F.interpolate(theirs, size=x.shape[2:], mode="trilinear", align_corners=False)
    return difference(coarse, Explainer(oracle_plain()).explain(x, TARGET, GradCam(LAYER))["grad_cam"].map)


def traces(x: Tensor) -> dict[str, bool]:
    """What is left in the user's own model after one map."""
    model = oracle_plain().float().train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    Theirs(model, "gbp")(x)
    return {
        "modules left in another mode": any(not module.training for module in model.modules()),
        "gradients of the weights lost": any(
            parameter.grad is None or not bool((parameter.grad == 1).all()) for parameter in model.parameters()
        ),
    }


def main() -> None:
    """Make and store the report."""
    warnings.simplefilter("ignore")
    x = volume((16, 16, 16))
    report = {
        "versions": {package: version(package) for package in ("medcam", "torch")},
        "guided backpropagation": guided(x),
        "correlation of the second call with the first": second_calls(x),
        "Grad-CAM, difference to ours": grad_cam(x),
        "after one map": traces(x),
    }
    text = json.dumps(report, indent=1)
    (HERE / "m3d_cam_report.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
