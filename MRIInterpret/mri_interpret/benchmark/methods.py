"""The methods that the benchmark compares: every composite of LRP, fast methods, and slow ones on a few subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..attribution import Method

# Composites of LRP. Left out: "zero" (gradient x input on ReLU networks), alpha-1 beta-0 (z+ there), and alpha-2 beta-1
# without its flat first layer.
COMPOSITES = (
    "epsilon",
    "epsilon-plus",
    "epsilon-plus-flat",
    "epsilon-plus-flat-foreground",
    "epsilon-alpha2beta1-flat",
    "epsilon-gamma-box",
)
FAST = (
    "lrp",
    "guided_backprop",
    "grad_cam",
    "grad_cam_pp",
    "guided_grad_cam_pp",
    "lrp_grad_cam_pp",
    "gradient",
    "gradient_x_input",
    "volume_gradient",
    "hires_cam",
    "guided_grad_cam",
)
# Many passes through the network each: explained for a few subjects, with these settings.
SLOW: dict[str, dict[str, Any]] = {
    "smoothgrad": {"samples": 8},
    "integrated_gradients": {"steps": 16},
    "occlusion": {"patch": 16, "stride": 16},
    "region_occlusion": {},
    "volume_counterfactual": {"starts": 0},
}


def lrp_key(composite: str) -> str:
    return f"lrp {composite}"


def fast_methods(names: Sequence[str] = FAST) -> dict[str, Method]:
    """Configured methods by key: those named, and every composite of LRP if LRP is among them."""
    from ..attribution.methods.combined import LrpGradCamPlusPlus
    from ..attribution.methods.lrp import LRP
    from ..attribution.registry import create_method

    found: dict[str, Method] = {name: create_method(name) for name in names if name not in SLOW}
    if "lrp" in found:
        usual = found.pop("lrp")
        composites = {lrp_key(name): LRP(composite=name) for name in COMPOSITES}
        found = {**composites, **found}
        if usual not in composites.values():  # a default that is not among them is measured too
            found["lrp"] = usual
    if "lrp_grad_cam_pp" in found and "lrp epsilon-plus" in found:
        found["lrp_grad_cam_pp"] = LrpGradCamPlusPlus(fine=LRP(composite="epsilon-plus"))
        found["lrp_grad_cam_pp flat"] = LrpGradCamPlusPlus(fine=LRP(composite="epsilon-plus-flat-foreground"))
    return found


def slow_methods(names: Sequence[str] = tuple(SLOW)) -> dict[str, Method]:
    """Methods of many passes, with the settings of :data:`SLOW`."""
    from ..attribution.registry import create_method

    return {name: create_method(name, **settings) for name, settings in SLOW.items() if name in names}


def titles() -> dict[str, str]:
    """Names for people, by key."""
    from ..attribution import available_methods

    found = {name: info.title for name, info in available_methods().items()}
    found |= {lrp_key(name): f"LRP ({name})" for name in COMPOSITES}
    found |= {
        "lrp_grad_cam_pp": "LRP (epsilon-plus) x Grad-CAM++",
        "lrp_grad_cam_pp flat": "LRP (epsilon-plus-flat-foreground) x Grad-CAM++",
        "uniform": "*every voxel the same*",
        "brightness": "*brightness of the scan*",
        "edges": "*edges of the scan*",
        "effect": "*the true effect itself*",
        "summary": "**Summary score**",
    }
    return found | {name: f"{found[name]} ({_settings(values)})" for name, values in SLOW.items() if values}


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
