"""MONAI's 3D classifiers, unmodified: methods run (in the deepest, those of one pass), gradient and sums are exact."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import Explainer, available_methods
from mri_interpret.attribution.methods.lrp import LRP

from Testing.attribution.zoo import MANY_PASSES, ZOO, build, every_method

pytestmark = pytest.mark.slow

#: Networks of ReLUs, sums, gates and poolings only, where relevance can be conserved to the last digit.
RELU_ONLY = (
    "ResNet-10",
    "ResNet-18",
    "ResNet-50",
    "SE-ResNet-50",
    "SE-ResNeXt-50",
    "DenseNet-121",
    "HighResNet, averaged",
)


#: Many layers in float64: only methods of one pass.
SLOW = ("ResNet-50", "SE-ResNet-50", "SE-ResNeXt-50", "HighResNet, averaged")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ZOO])
def test_zoo(name: str) -> None:
    model, x = build(name)
    explainer = Explainer(model)
    run = explainer.record(x, 1, {"lrp": LRP()})
    leaf = x.clone().requires_grad_()
    output = model(leaf)
    output = output[0] if isinstance(output, tuple) else output
    (wanted,) = torch.autograd.grad(output[:, 1].sum(), leaf)
    torch.testing.assert_close(run.logits.detach(), output.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(run.input_gradient(), wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max()))
    if name in RELU_ONLY:
        composite = LRP("epsilon", bias="redistribute").chosen()
        total = run.relevance(composite).sum()
        assert abs(float(total - run.explained)) < 1e-6 * max(1.0, abs(float(run.explained)))
    left_out = MANY_PASSES if name in SLOW else ()
    maps = every_method(model, x, left_out)
    assert set(maps) == set(available_methods()) - set(left_out)
    for key, found in maps.items():
        assert found.map.shape == (1, *x.shape[2:])
        assert bool(torch.isfinite(found.map).all()), key
