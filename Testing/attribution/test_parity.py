"""Our maps against those of captum, zennit and MONAI where these are right, and what they do where they are not.

The peers' maps are stored (made by ``Testing/oracles/make_attribution_references.py``), so none of them is needed here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.cam import GradCam, GradCamPlusPlus
from mri_interpret.attribution.methods.gradient import IntegratedGradients
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.methods.perturbation import Occlusion
from safetensors import safe_open
from torch import Tensor, nn

from Testing.attribution.networks import SPELLINGS, Spellings, oracle_plain, oracle_residual, randomise, volume

FILE = Path(__file__).parents[1] / "oracles" / "attribution_references.safetensors"
NETWORKS = {"plain": (oracle_plain, "features.8"), "residual": (oracle_residual, "block2.relu2")}


def _references() -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(FILE, "pt") as stored:
        return {key: stored.get_tensor(key) for key in stored.keys()}, stored.metadata()  # noqa: SIM118


TENSORS, METADATA = _references()


def _model(name: str) -> nn.Module:
    model = NETWORKS[name][0]()
    prefix = f"{name}.state."
    model.load_state_dict({key[len(prefix) :]: value for key, value in TENSORS.items() if key.startswith(prefix)})
    return model


def _ours(name: str, method: object) -> Tensor:
    maps = Explainer(_model(name)).explain(TENSORS["x"], int(METADATA["target"]), [method])
    return next(iter(maps.values())).map.double()


def _assert_close(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    difference = (found - wanted.reshape(found.shape)).abs().max() / wanted.abs().max()
    assert float(difference) < tolerance, float(difference)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("key", "method", "tolerance"),
    [
        ("saliency", "gradient", 1e-6),
        ("guided", "guided_backprop", 1e-6),
        ("integrated", IntegratedGradients(steps=32), 1e-6),
        ("occlusion", Occlusion(patch=6, stride=5), 1e-6),
    ],
)
def test_captum(network: str, key: str, method: object, tolerance: float) -> None:
    _assert_close(_ours(network, method), TENSORS[f"{network}.{key}"], tolerance)


@pytest.mark.parametrize("network", NETWORKS)
def test_grad_cam_of_captum(network: str) -> None:
    # Both networks step down by windows of two that start at the first voxel: here interpolate does not shift.
    _assert_close(_ours(network, GradCam(NETWORKS[network][1])), TENSORS[f"{network}.grad_cam"], 1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_grad_cam_pp_of_monai(network: str) -> None:
    method = GradCamPlusPlus(NETWORKS[network][1], denominator="pointwise")
    # MONAI keeps the factor exp(S) of the paper's score, which is the same everywhere.
    wanted = TENSORS[f"{network}.grad_cam_pp_monai_scaled"]
    model = _model(network)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_({"plain": 128, "residual": 64}[network])
    found = Explainer(model).explain(TENSORS["x"], 1, method)["grad_cam_pp"].map.double()
    _assert_close(found / found.max(), wanted / wanted.max(), 1e-5)
    # At the score's own scale MONAI's map hangs on the 1e-7 that it adds to the denominator.
    wanted, found = TENSORS[f"{network}.grad_cam_pp_monai"], _ours(network, method)
    with pytest.raises(AssertionError):
        _assert_close(found / found.max(), wanted / wanted.max(), 1e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_lrp_of_zennit(network: str) -> None:
    found, wanted = _ours(network, LRP(composite="epsilon-plus")).flatten(), TENSORS[f"{network}.lrp_zennit"].flatten()
    assert float((found - wanted).norm() / wanted.norm()) < 1e-3
    assert float(torch.corrcoef(torch.stack([found, wanted]))[0, 1]) > 0.9999
    top = max(1, found.numel() // 100)
    ours, theirs = (set(part.abs().topk(top).indices.tolist()) for part in (found, wanted))
    assert len(ours & theirs) / top > 0.97


def test_where_the_peers_are_wrong() -> None:
    wrong = json.loads(METADATA["wrong"])
    for peer in ("captum", "MONAI", "zennit"):
        for spelling in ("F.relu", "method"):
            assert wrong[f"{peer} guided, {spelling}"] == "the plain gradient"
    assert "no rule defined" in wrong["captum LRP, Conv3d"]
    assert "modified inplace" in wrong["MONAI Grad-CAM, in-place ReLU after the layer"]


def test_where_m3d_cam_is_right_and_where_not() -> None:
    """As stored by ``make_m3d_cam_report.py``; that we differ there is what the tests below and of spellings say."""
    report = json.loads(FILE.with_name("m3d_cam_report.json").read_text(encoding="utf-8"))
    guided = report["guided backpropagation"]
    assert guided["module"]["difference to guided backpropagation"] < 1e-6
    assert report["Grad-CAM, difference to ours"] < 1e-5
    for spelling in ("F.relu", "method"):
        assert guided[spelling]["difference to the plain gradient"] < 1e-6
        assert guided[spelling]["difference to guided backpropagation"] > 0.1
    second = report["correlation of the second call with the first"]
    assert second["guided Grad-CAM"] < 0.75
    assert second["Grad-CAM"] > 1 - 1e-9
    assert report["after one map"] == {"modules left in another mode": True, "gradients of the weights lost": True}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_where_the_peers_are_wrong_we_are_not(spelling: str) -> None:
    x = volume((16, 16, 16))
    explainer = Explainer(randomise(Spellings(spelling)))
    first = explainer.explain(x, 1, ["gradient", "guided_backprop", "guided_grad_cam", GradCam("bn2")])
    second = explainer.explain(x, 1, ["gradient", "guided_backprop", "guided_grad_cam", GradCam("bn2")])
    assert not torch.allclose(first["gradient"].map, first["guided_backprop"].map)
    for name, found in first.items():
        assert torch.equal(found.map, second[name].map)
    # The layer before the in-place ReLU: its own output, negative values and all, not what the ReLU left of it.
    plain = Explainer(randomise(Spellings("module"))).explain(x, 1, GradCam("bn2"))["grad_cam"]
    torch.testing.assert_close(first["grad_cam"].map, plain.map, rtol=1e-5, atol=1e-8)
