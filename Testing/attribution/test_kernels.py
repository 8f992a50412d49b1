"""Convolutions and their adjoints in float32 against torch's in float64, for kernels and strides of all kinds."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution.engine.kernels import convolve, convolve_back
from mri_interpret.attribution.engine.layout import channels_last, is_channels_last
from mri_interpret.attribution.engine.uniform import is_uniform, ones_of
from mri_interpret.attribution.engine.window import Window
from torch import Tensor


def _case(seed: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """An input, weights and a window at random, each kernel no larger than the padded input."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    groups = draw.choice([1, 1, 1, 2, 4])
    into, out = draw.choice([1, 2, 3, 5, 32]) * groups, draw.choice([1, 3, 8]) * groups
    if draw.random() < 0.3:
        groups = into = out = draw.choice([4, 16])  # by channel
    kernel = [draw.choice([1, 2, 3, 4, 5, 7]) for _ in range(3)]
    stride = [draw.choice([1, 1, 2, 3]) for _ in range(3)] if draw.random() < 0.6 else [1] * 3
    dilation = [draw.choice([1, 1, 2]) for _ in range(3)] if draw.random() < 0.3 else [1] * 3
    padding = [draw.randint(0, k) for k in kernel]
    size = [max(d * (k - 1) + 1, draw.randint(6, 14)) for k, d in zip(kernel, dilation, strict=True)]
    x = torch.randn(draw.choice([1, 2]), into, *size)
    weight = torch.randn(out, into // groups, *kernel)
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_convolution_and_adjoint(seed: int, uniform: bool, channels_last: bool) -> None:
    x, weight, about = _case(seed)
    weight = ones_of(weight) if uniform else weight
    window = Window(
        *(tuple(about[name]) for name in ("stride", "padding", "dilation")),
        groups=about["groups"],
        channels_last=channels_last,
    )
    right = F.conv3d(x.double(), weight.double().contiguous(), **about)
    found = convolve(x, weight, None, window)
    _close(found.expand_as(right), right)
    grad = torch.randn(right.shape)
    back = convolve_back(grad, weight, x.shape, window)
    assert back.shape == x.shape
    _close(back, torch.nn.grad.conv3d_input(x.shape, weight.double().contiguous(), grad.double(), **about))


def _close(found: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(found.double(), right, rtol=0, atol=3e-6 * max(float(right.abs().max()), 1e-9))


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("channels", [1, 5])
def test_convolution_voxel_by_voxel(with_bias: bool, channels: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    x, weight = torch.randn(2, channels, 3, 4, 5, generator=generator), torch.randn(7, channels, 1, 1, 1)
    bias = torch.randn(7, generator=generator) if with_bias else None
    found = convolve(x, weight, bias, Window((1, 1, 1), (0, 0, 0), (1, 1, 1)))
    wanted = torch.einsum("ncijk,oc->noijk", x.double(), weight.double()[..., 0, 0, 0])
    _close(found, wanted if bias is None else wanted + bias.double().reshape(1, 7, 1, 1, 1))
    assert is_channels_last(found)


def test_the_layout_stays_the_same_from_layer_to_layer() -> None:
    window = Window((1, 1, 1), (1, 1, 1), (1, 1, 1))
    first = convolve(torch.randn(1, 1, 6, 7, 8), torch.randn(4, 1, 3, 3, 3), None, window)
    assert is_channels_last(first)
    second = convolve(first, torch.randn(5, 4, 3, 3, 3), None, window)
    assert is_channels_last(second)
    assert is_channels_last(convolve_back(second, torch.randn(5, 4, 3, 3, 3), first.shape, window))


@pytest.mark.parametrize("shape", [(1, 1, 3, 4, 5), (2, 3, 3, 4, 5), (2, 3, 1, 1, 1), (4, 1, 1, 1, 1)])
def test_the_layout_keeps_the_values(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert torch.equal(channels_last(x), x)
    assert channels_last(x).stride(1) == 1
    assert channels_last(channels_last(x)).data_ptr() == channels_last(x).data_ptr() or shape[1] > 1


def test_ones_need_no_memory() -> None:
    ones = ones_of(torch.randn(4, 3, 3, 3, 3))
    assert is_uniform(ones)
    assert ones.untyped_storage().nbytes() == 4
    assert not is_uniform(torch.ones(4, 3, 3, 3, 3))
