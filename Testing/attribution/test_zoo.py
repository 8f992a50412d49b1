"""MONAI's 3D classifiers, unmodified: every method runs, the gradient is exact, relevance is conserved."""

from __future__ import annotations

import pytest
import torch
from MRIInterpretLib.attribution import Explainer, available_methods, create_method
from MRIInterpretLib.attribution.methods.lrp import LRP
from zoo import ZOO, build

#: Networks of ReLUs, sums, gates and poolings only, where relevance can be conserved to the last digit.
RELU_ONLY = ("ResNet-10", "ResNet-18", "ResNet-50", "SE-ResNet-50", "SE-ResNeXt-50", "DenseNet-121")


@pytest.mark.parametrize("name", ZOO)
def test_zoo(name: str) -> None:
    model, x = build(name)
    explainer = Explainer(model)
    run = explainer._record(x, 1, {"lrp": LRP()})
    leaf = x.clone().requires_grad_()
    output = model(leaf)
    output = output[0] if isinstance(output, tuple) else output
    (wanted,) = torch.autograd.grad(output[:, 1].sum(), leaf)
    torch.testing.assert_close(run.logits.detach(), output.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(run.input_gradient(), wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max()))
    if name in RELU_ONLY:
        composite = LRP("epsilon", bias="redistribute").chosen()
        total = run.relevance(composite).sum()
        assert abs(float(total - run.values)) < 1e-6 * max(1.0, abs(float(run.values)))
    with torch.no_grad():
        model.float()
    regions = torch.zeros(x.shape[2:], dtype=torch.int64)
    regions[4:12, 8:16, 8:16] = 1
    quick = {
        "smoothgrad": {"samples": 2},
        "integrated_gradients": {"steps": 2},
        "occlusion": {"patch": 24, "stride": 24},
    }
    methods = [create_method(method, **quick.get(method, {})) for method in available_methods()]
    maps = explainer.explain(x.float(), "predicted", methods, regions=regions)
    for key, found in maps.items():
        assert found.map.shape == (1, *x.shape[2:])
        assert bool(torch.isfinite(found.map).all()), key
