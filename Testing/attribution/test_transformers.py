"""Vision transformers: the rules that LRP has for attention, what they conserve, and which programs are followed.

docs/reference/methods.md says the same in words.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import mri_interpret as mi
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.attention import MatrixProduct, Softmax
from mri_interpret.attribution.methods.lrp import LRP

from Testing.attribution.zoo import ZOO, build

LOST = {"ViT": 0.65, "SwinUNETR encoder": 0.81}  # of the score, with the default composite
NAMES = tuple(LOST)


class Policy:
    """What an operation asks of a composite."""

    epsilon = 1e-12
    bias = "absorb"


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_matrix_product_hands_half_to_each_factor_and_loses_nothing(random):
    product = MatrixProduct(torch.matmul)
    product.forward(random(2, 4, 5), random(2, 5, 3))
    relevance = random(2, 4, 3)
    left, right = product.relevance(relevance, Policy())
    half = relevance.sum((1, 2)) / 2
    torch.testing.assert_close(left.sum((1, 2)), half, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(right.sum((1, 2)), half, rtol=1e-6, atol=1e-6)


def test_softmax_is_its_taylor_decomposition(random):
    """AttnLRP, Proposition 3.1: ``R_i = x_i sum_j (ds_j / dx_i) R_j / s_j``; it need not add up to what came in."""
    softmax, x, relevance = Softmax(-1), random(6), random(6)
    output = softmax.forward(x)
    jacobian = torch.autograd.functional.jacobian(lambda value: torch.softmax(value, -1), x)
    (found,) = softmax.relevance(relevance, Policy())
    torch.testing.assert_close(found, x * (jacobian.T @ (relevance / output)))
    assert abs(float(found.sum() - relevance.sum())) > 0.1


def error(name: str, method: LRP) -> float:
    """How far the map's sum is from the explained logit, relative to it."""
    model, x = build(name)
    found = Explainer(model).explain(x, 1, method)
    total = found["lrp"].map.double().sum()
    relative = float((total - found.explained).abs() / found.explained.abs())
    assert bool(torch.isfinite(found["lrp"].map).all())
    assert found["lrp"].details["conservation_error"][0] == pytest.approx(relative, rel=1e-3, abs=1e-6)
    return relative


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_lrp_runs_on_a_transformer_and_keeps_a_part_of_the_score(name):
    """What biases, LayerNorm's shift, constants and softmax keep is lost; the page has these numbers."""
    assert error(name, LRP()) == pytest.approx(LOST[name], abs=0.01)
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "methods.md").read_text("utf-8")
    assert all(f"{100 * share:.0f} %" in page for share in LOST.values())


@pytest.mark.slow
def test_redistributed_biases_conserve_in_convolutional_networks_only():
    """With attention they do not: the page says that they are not to be used there."""
    exact = LRP("epsilon", bias="redistribute")
    assert error("ResNet-10", exact) < 1e-6
    assert error("ViT", exact) > 0.05
    assert error("SwinUNETR encoder", exact) > 1.0


@pytest.mark.slow
def test_torchscript_compiles_no_swin_encoder():
    """It refuses the checkpointing in it, whatever is done here; torch.jit.trace and torch.export do not."""
    model, _ = build("SwinUNETR encoder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(torch.jit.frontend.NotSupportedError, match="variable number of arguments"):
            torch.jit.script(model)


def test_the_networks_are_those_that_the_page_names():
    assert set(NAMES) < set(ZOO)
    assert {"Epsilon", "Pass"} < set(mi.rules())
