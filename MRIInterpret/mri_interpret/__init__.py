"""See, inside 3D Slicer, why a 3D CNN decided what it decided about a brain MRI, and whether to believe it.

``import mri_interpret as mi`` is all that a script or a notebook needs. It imports nothing heavy: torch, nibabel
and the rest come with the first use of a name that needs them.

>>> import mri_interpret as mi
>>> sorted(mi.composites())[:2]
['epsilon', 'epsilon-alpha1beta0']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, get_origin

__version__ = "0.1.0"

# Public name -> the module that defines it.
_PUBLIC = {
    **dict.fromkeys(("UserError", "Cancelled"), "errors"),
    **dict.fromkeys(("Grid", "Volume"), "images.volume"),
    "as_volume": "images.conversion",
    "load_bundle": "models.bundle",
    **dict.fromkeys(("save_bundle", "add_model", "remove_model"), "models.adding"),
    "Answers": "models.answers",
    "explain": "explanation.job",
    "Explanation": "explanation.explanation",
    "load": "explanation.saving",
    "export_dicom": "dicom_export.export",
    "attribute": "attribution.attribute",
    "Explainer": "attribution.explainer",
    "create_method": "attribution.registry",
    "composites": "attribution.composites",
    "Composite": "attribution.composites",
    "region_table": "anatomy.region_table",
    "check_map": "checks.check_map",
    "view": "web.notebook",
    "simulate": "simulation.simulate",
    "simulate_cohort": "simulation.command",
    **dict.fromkeys(("RandomMap", "Intensity", "Edges", "RandomisedModel"), "attribution.methods.baselines"),
    **dict.fromkeys(("GradCam", "HiResCam", "GradCamPlusPlus"), "attribution.methods.cam"),
    **dict.fromkeys(
        ("Combination", "GuidedGradCam", "GuidedGradCamPlusPlus", "LrpGradCamPlusPlus"), "attribution.methods.combined"
    ),
    **dict.fromkeys(
        ("Gradient", "GradientTimesInput", "GuidedBackpropagation", "SmoothGrad", "IntegratedGradients"),
        "attribution.methods.gradient",
    ),
    "LRP": "attribution.methods.lrp",
    **dict.fromkeys(("Occlusion", "RegionOcclusion"), "attribution.methods.perturbation"),
    "VolumeGradient": "attribution.methods.volume_gradient",
    "VolumeCounterfactual": "attribution.methods.volume_counterfactual",
    **dict.fromkeys(
        (
            "Rule", "Epsilon", "Zero", "ZPlus", "AlphaBeta", "Gamma",
            "Flat", "FlatForeground", "WSquare", "ZBox", "Pass",
        ),
        "attribution.rules",
    ),
}  # fmt: skip

if TYPE_CHECKING:
    from .attribution.method import MethodInfo
    from .attribution.rules import Rule

__all__ = sorted([*_PUBLIC, "__version__", "methods", "rules"])


def methods() -> dict[str, MethodInfo]:
    """Facts about every attribution method by its name: title, reference, parameters with their defaults."""
    from .attribution.registry import available_methods

    return available_methods()


def rules() -> dict[str, type[Rule]]:
    """The rules of layer-wise relevance propagation by the name of their class."""
    from .attribution import rules as defined

    # In Python 3.10, tuple[int, ...] passes for a type.
    classes = {
        name: value for name, value in vars(defined).items() if isinstance(value, type) and get_origin(value) is None
    }
    return {name: found for name, found in classes.items() if issubclass(found, defined.Rule) and name != "Rule"}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
