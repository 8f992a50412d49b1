"""Attribution maps of any 3D classifier, many methods from one forward pass.

:func:`attribute` gives the maps. Every method, composite and rule can be imported from here by its name, and is loaded
on first use: listing the methods (:func:`available_methods`) loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .method import Method, MethodInfo
from .registry import DEFAULT_METHODS, available_methods, create_method
from .result import Attribution, Attributions

if TYPE_CHECKING:
    from .attribute import attribute
    from .composites import Composite, composite_named, composites
    from .engine.calls import UnsupportedOperation
    from .explainer import Explainer
    from .methods.baselines import Edges, Intensity, RandomisedModel, RandomMap
    from .methods.cam import GradCam, GradCamPlusPlus, HiResCam
    from .methods.combined import Combination, GuidedGradCam, GuidedGradCamPlusPlus, LrpGradCamPlusPlus
    from .methods.gradient import Gradient, GradientTimesInput, GuidedBackpropagation, IntegratedGradients, SmoothGrad
    from .methods.lrp import LRP
    from .methods.perturbation import Occlusion, RegionOcclusion
    from .methods.volume_counterfactual import VolumeCounterfactual
    from .methods.volume_gradient import VolumeGradient
    from .rules import AlphaBeta, Epsilon, Flat, FlatForeground, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus

# What is imported on first use: name -> module of this package.
_LAZY = {
    "attribute": "attribute",
    "Explainer": "explainer",
    "UnsupportedOperation": "engine.calls",
    **dict.fromkeys(("RandomMap", "Intensity", "Edges", "RandomisedModel"), "methods.baselines"),
    **dict.fromkeys(("GradCam", "HiResCam", "GradCamPlusPlus"), "methods.cam"),
    **dict.fromkeys(
        ("Combination", "GuidedGradCam", "GuidedGradCamPlusPlus", "LrpGradCamPlusPlus"), "methods.combined"
    ),
    **dict.fromkeys(
        ("Gradient", "GradientTimesInput", "GuidedBackpropagation", "SmoothGrad", "IntegratedGradients"),
        "methods.gradient",
    ),
    "LRP": "methods.lrp",
    **dict.fromkeys(("Occlusion", "RegionOcclusion"), "methods.perturbation"),
    "VolumeGradient": "methods.volume_gradient",
    "VolumeCounterfactual": "methods.volume_counterfactual",
    **dict.fromkeys(("Composite", "composite_named", "composites"), "composites"),
    **dict.fromkeys(
        (
            *("Rule", "Epsilon", "Zero", "ZPlus", "AlphaBeta", "Gamma", "Flat", "FlatForeground", "WSquare"),
            *("ZBox", "Pass"),
        ),
        "rules",
    ),
}

__all__ = [
    "DEFAULT_METHODS",
    "LRP",
    "AlphaBeta",
    "Attribution",
    "Attributions",
    "Combination",
    "Composite",
    "Edges",
    "Epsilon",
    "Explainer",
    "Flat",
    "FlatForeground",
    "Gamma",
    "GradCam",
    "GradCamPlusPlus",
    "Gradient",
    "GradientTimesInput",
    "GuidedBackpropagation",
    "GuidedGradCam",
    "GuidedGradCamPlusPlus",
    "HiResCam",
    "IntegratedGradients",
    "Intensity",
    "LrpGradCamPlusPlus",
    "Method",
    "MethodInfo",
    "Occlusion",
    "Pass",
    "RandomMap",
    "RandomisedModel",
    "RegionOcclusion",
    "Rule",
    "SmoothGrad",
    "UnsupportedOperation",
    "VolumeCounterfactual",
    "VolumeGradient",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "attribute",
    "available_methods",
    "composite_named",
    "composites",
    "create_method",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
