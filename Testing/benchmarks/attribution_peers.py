"""The peers, set up as well as they can be, for the attribution benchmarks. Run with an environment that has them:

python -m venv peers && peers/bin/pip install torch torchvision captum zennit monai autolrp
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, LayerGradCam
from monai.visualize import GradCAMpp
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
from zennit.composites import EpsilonPlus
from zennit.layer import Sum

from Testing.benchmarks.attribution_networks import TARGET

#: The last layer with spatial axes, before pooling.
LAYERS = {"A": "features.18", "B": "blocks.7.relu2"}


def _residual(_name: str, module: nn.Module) -> dict | None:
    """zennit has a rule for a module that adds, not for the addition in our network's blocks."""
    if type(module).__name__ != "BasicBlock":
        return None

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.canonizer_sum(torch.stack([y, self.shortcut(x)], -1)))

    return {"forward": forward.__get__(module), "canonizer_sum": Sum()}


def relevance(model: nn.Module, x: Tensor, start: float) -> Tensor:
    """zennit's EpsilonPlus with merged batch normalisation, beginning with ``start`` at the class's output."""
    canonizer = CompositeCanonizer([SequentialMergeBatchNorm(), AttributeCanonizer(_residual)])
    weights = torch.zeros(1, 3, dtype=x.dtype)
    weights[0, TARGET] = start
    with Gradient(model=model, composite=EpsilonPlus(canonizers=[canonizer])) as attributor:
        return attributor(x.clone().requires_grad_(), weights)[1].detach()


def grad_cam(model: nn.Module, x: Tensor, name: str) -> Tensor:
    """captum's LayerGradCam on the feature grid."""
    layer = model.get_submodule(LAYERS[name])
    return LayerGradCam(model, layer).attribute(x, target=TARGET, relu_attributions=True).detach()


def grad_cam_pp(model: nn.Module, x: Tensor, name: str, register_backward: bool = True) -> Tensor:
    """MONAI's Grad-CAM++, not rescaled, on the input's grid."""
    model = copy.deepcopy(model)  # MONAI leaves its hooks behind
    cam = GradCAMpp(
        model, target_layers=LAYERS[name], postprocessing=lambda value: value, register_backward=register_backward
    )
    return cam(x, class_idx=TARGET)


def same_methods(model: nn.Module, x: Tensor, name: str) -> None:
    """The six maps from the best combination of peers."""
    fine = relevance(model, x, 1.0)
    leaf = x.clone().requires_grad_()
    guided = GuidedBackprop(model).attribute(leaf, target=TARGET)
    F.interpolate(grad_cam(model, leaf, name), size=x.shape[2:], mode="trilinear")
    plus = grad_cam_pp(model, leaf, name)
    _ = guided * plus, fine * plus
