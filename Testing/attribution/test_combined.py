"""Products of a fine map and a coarse one."""

from __future__ import annotations

import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.cam import HiResCam
from mri_interpret.attribution.methods.combined import Combination
from mri_interpret.attribution.methods.gradient import Gradient

from Testing.attribution.networks import plain, volume


def test_combinations_are_products() -> None:
    x = volume(samples=2)
    named = ["guided_grad_cam", "guided_grad_cam_pp", "lrp_grad_cam_pp", Combination(Gradient(), HiResCam("2"))]
    parts = ["guided_backprop", "lrp", "gradient", "grad_cam", "grad_cam_pp", HiResCam("2")]
    maps = Explainer(plain()).explain(x, 2, [*named, *parts])
    for product, fine, coarse in (
        ("guided_grad_cam", "guided_backprop", "grad_cam"),
        ("guided_grad_cam_pp", "guided_backprop", "grad_cam_pp"),
        ("lrp_grad_cam_pp", "lrp", "grad_cam_pp"),
        ("combination", "gradient", "hires_cam"),
    ):
        largest = maps[coarse].map.amax((1, 2, 3), keepdim=True)
        assert float(largest.max()) > 0
        weight = maps[coarse].map / torch.where(largest > 0, largest, 1)
        torch.testing.assert_close(maps[product].map, maps[fine].map * weight, rtol=1e-5, atol=1e-9, msg=product)
