"""Reference maps from captum, zennit and MONAI, stored so that the tests need none of them.

    python -m venv peers && peers/bin/pip install torch torchvision captum zennit monai safetensors
    peers/bin/python -m Testing.oracles.make_attribution_references

Writes ``attribution_references.safetensors`` beside this file: networks' weights, inputs and maps, in float64, and in
its metadata the peers' versions and what they did where they are known to fail.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from captum.attr import LRP, GuidedBackprop, IntegratedGradients, LayerGradCam, Occlusion, Saliency
from monai.visualize import GradCAM, GradCAMpp, GuidedBackpropGrad
from safetensors.torch import save_file
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
from zennit.composites import EpsilonPlus
from zennit.composites import GuidedBackprop as ZennitGuided
from zennit.layer import Sum

from Testing.attribution.networks import Spellings, oracle_plain, oracle_residual, randomise, volume

HERE = Path(__file__).parent

SIZE = (16, 16, 16)
TARGET = 1
#: With a score this many times larger, the constant that MONAI adds to Grad-CAM++'s denominator plays no part.
SCALES = {"plain": 128, "residual": 64}


class ResidualCanonizer(AttributeCanonizer):
    """Replaces the addition of our small residual blocks by a module that zennit has a rule for."""

    def __init__(self) -> None:
        super().__init__(self._attributes)

    @staticmethod
    def _attributes(name: str, module: nn.Module) -> dict | None:
        if type(module).__name__ != "OracleBlock":
            return None

        def forward(self: nn.Module, x: Tensor) -> Tensor:
            return self.relu2(self.canonizer_sum(torch.stack([self.body(x), self.shortcut(x)], -1)))

        return {"forward": forward.__get__(module), "canonizer_sum": Sum()}


def zennit_relevance(model: nn.Module, x: Tensor) -> Tensor:
    """EpsilonPlus with merged batch normalisation, starting with the class's logit."""
    canonizer = CompositeCanonizer([SequentialMergeBatchNorm(), ResidualCanonizer()])
    start = torch.zeros(1, 3, dtype=x.dtype)
    start[0, TARGET] = model(x).detach()[0, TARGET]
    with Gradient(model=model, composite=EpsilonPlus(canonizers=[canonizer])) as attributor:
        _, relevance = attributor(x.clone().requires_grad_(), start)
    return relevance.detach()


def peers_right(name: str, model: nn.Module, x: Tensor, layer: str) -> dict[str, Tensor]:
    """The maps of one network."""
    module = model.get_submodule(layer)
    leaf = x.clone().requires_grad_()
    found = {
        "saliency": Saliency(model).attribute(leaf, target=TARGET, abs=False),
        "guided": GuidedBackprop(model).attribute(leaf, target=TARGET),
        "integrated": IntegratedGradients(model).attribute(
            leaf, target=TARGET, n_steps=32, method="gausslegendre", internal_batch_size=1
        ),
        "occlusion": Occlusion(model).attribute(
            x, sliding_window_shapes=(1, 6, 6, 6), strides=(1, 5, 5, 5), target=TARGET
        ),
    }
    coarse = LayerGradCam(model, module).attribute(leaf, target=TARGET, relu_attributions=True)
    found["grad_cam"] = F.interpolate(coarse, size=x.shape[2:], mode="trilinear", align_corners=False)
    cam = GradCAMpp(model, target_layers=layer, postprocessing=lambda value: value, register_backward=True)
    found["grad_cam_pp_monai"] = cam(x.clone(), class_idx=TARGET)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(SCALES[name])
    cam = GradCAMpp(model, target_layers=layer, postprocessing=lambda value: value, register_backward=True)
    found["grad_cam_pp_monai_scaled"] = cam(x.clone(), class_idx=TARGET)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.div_(SCALES[name])
    found["lrp_zennit"] = zennit_relevance(model, x)
    return {f"{name}.{key}": value.detach().contiguous() for key, value in found.items()}


def peers_wrong(x: Tensor) -> dict[str, str]:
    """What each peer does where it is known to fail: "same as the plain gradient", or the error."""
    report: dict[str, str] = {}

    def same_as_gradient(key: str, model: nn.Module, found: Tensor) -> None:
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf)[0, TARGET], leaf)
        same = torch.allclose(found.detach().reshape(gradient.shape), gradient, rtol=1e-9, atol=0)
        report[key] = "the plain gradient" if same else "guided backpropagation"

    for spelling in ("F.relu", "method"):
        model = randomise(Spellings(spelling))
        leaf = x.clone().requires_grad_()
        same_as_gradient(f"captum guided, {spelling}", model, GuidedBackprop(model).attribute(leaf, target=TARGET))
        same_as_gradient(f"MONAI guided, {spelling}", model, GuidedBackpropGrad(model)(x.clone(), index=TARGET))
        with Gradient(model=model, composite=ZennitGuided()) as attributor:
            one_hot = torch.eye(3, dtype=x.dtype)[[TARGET]]
            same_as_gradient(f"zennit guided, {spelling}", model, attributor(leaf, one_hot)[1])
    model = oracle_plain()
    for key, run in {
        "captum LRP, Conv3d": lambda: LRP(model).attribute(x.clone().requires_grad_(), target=TARGET),
        "MONAI Grad-CAM, in-place ReLU after the layer": lambda: GradCAM(
            randomise(Spellings("in-place module")), target_layers="bn2"
        )(x.clone().float().double(), class_idx=TARGET),
    }.items():
        try:
            run()
            report[key] = "ran"
        except Exception as error:
            report[key] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
    return report


def main() -> None:
    """Make and store the references."""
    x = volume(SIZE)
    tensors: dict[str, Tensor] = {"x": x}
    for name, model, layer in (
        ("plain", oracle_plain(), "features.8"),
        ("residual", oracle_residual(), "block2.relu2"),
    ):
        for key, value in model.state_dict().items():
            tensors[f"{name}.state.{key}"] = value.clone()
        tensors |= peers_right(name, model, x, layer)
    versions = {package: version(package) for package in ("torch", "captum", "zennit", "monai")}
    metadata = {"versions": json.dumps(versions), "wrong": json.dumps(peers_wrong(x)), "target": str(TARGET)}
    save_file(tensors, str(HERE / "attribution_references.safetensors"), metadata)
    print(json.dumps(metadata, indent=1))


if __name__ == "__main__":
    main()
