"""What the panel offers: targets, presets of methods, models; and what each choice means for the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..attribution.registry import STUDY_METHODS
from ..explanation.options import DEFAULTS

# What the user calls the scan -> how the job is told: mask, space.
SCAN_KINDS = {
    "auto": (DEFAULTS.mask, DEFAULTS.space),
    "head": ("auto", "native"),
    "brain": ("none", "native"),
    "mni": ("auto", "mni"),
}
FAST = ("guided_backprop", "grad_cam", "grad_cam_pp")
CUSTOM = "custom"
# Yardsticks, which explain nothing of the model: listed last, and no part of "All".
BASELINES = ("random", "intensity", "edges", "randomised_model")
# Named here, because the module that defines them needs PyTorch; a test compares.
COMPOSITES = (
    "epsilon-plus-flat-foreground",
    "epsilon-plus-flat",
    "epsilon-plus",
    "epsilon-alpha1beta0",
    "epsilon-alpha2beta1",
    "epsilon-alpha2beta1-flat",
    "epsilon-gamma-box",
    "epsilon",
    "zero",
)


def presets(default: Sequence[str], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Named selections of methods, limited to those there are."""
    return {
        "default": tuple(name for name in default if name in known),
        "study": tuple(name for name in STUDY_METHODS if name in known),
        "fast": tuple(name for name in FAST if name in known),
        "all": tuple(name for name in known if name not in BASELINES),
    }


def preset_of(methods: Sequence[str], offered: dict[str, tuple[str, ...]]) -> str:
    """The preset that a selection is, or "custom"."""
    for name, members in offered.items():
        if set(members) == set(methods):
            return name
    return CUSTOM


def targets(classes: Sequence[str]) -> list[str]:
    """Predicted, each class, and each difference of two, later classes minus earlier ones."""
    differences = [f"{b}-{a}" for i, a in enumerate(classes) for b in classes[i + 1 :]]
    return ["predicted", *classes, *sorted(differences, key=lambda d: d != f"{classes[-1]}-{classes[0]}")]


def job_wishes(parameters: Any, takes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The job's fields from the panel's parameter node.

    Parameters
    ----------
    parameters
        MRIInterpretParameterNode.
    takes
        Method to the names of the parameters that it takes.
    """
    mask, space = SCAN_KINDS.get(parameters.scanKind, SCAN_KINDS["auto"])
    methods = method_list(parameters.methods)
    settings: dict[str, dict[str, Any]] = {}
    layer = parameters.layer.strip()
    for name, value in (("composite", parameters.composite), ("layers_named", (layer,) if layer else ())):
        for method in methods:
            if value and name in takes.get(method, ()):
                settings.setdefault(method, {})[name] = value
    return {
        "model": parameters.model or None,
        "methods": methods or None,
        "target": parameters.target,
        "device": parameters.device,
        "mask": mask,
        "space": space,
        "trust": parameters.trust,
        "parameters": settings,
    }


def cohort_wishes(parameters: Any, methods: Sequence[str]) -> dict[str, Any]:
    """The cohort's options from the panel's parameter node; its own default target, if none was chosen."""
    mask, space = SCAN_KINDS.get(parameters.scanKind, SCAN_KINDS["auto"])
    return {
        "model": parameters.model or None,
        "methods": list(methods),
        "target": "" if parameters.target == "predicted" else parameters.target,
        "device": parameters.device,
        "mask": mask,
        "space": space,
    }


def method_list(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def time_left(seconds: float | None) -> str:
    """For people; empty if it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
