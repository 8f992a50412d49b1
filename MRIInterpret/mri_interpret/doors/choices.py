"""What a front end offers to choose from, and the options that the choices stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..attribution.registry import BASELINES, STUDY_METHODS
from ..errors import UserError
from ..explanation.options import DEFAULTS
from ..models.outputs import OutputMeaning
from ..models.targets import read_target

# Kind of scan -> the options mask and space.
SCAN_KINDS = {
    "auto": (DEFAULTS.mask, DEFAULTS.space),
    "head": ("auto", "native"),
    "brain": ("none", "native"),
    "mni": ("auto", "mni"),
}
FAST = ("guided_backprop", "grad_cam", "grad_cam_pp")
CUSTOM = "custom"
PRESET_TITLES = {"default": "Default", "study": "Study's six", "fast": "Fast", "all": "All", CUSTOM: "Custom"}
SCAN_KIND_TITLES = {
    "auto": "Automatic",
    "head": "Whole head",
    "brain": "Skull-stripped brain",
    "mni": "Already in MNI space",
}
DEVICE_TITLES = {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU (CUDA)"}
REGION_TITLES = {"brain": "This brain's structures", "atlas": "Atlas laid over it"}
TRUST_TITLES = {"off": "Off", "fast": "Fast", "full": "Full"}
# Repeated here, because the module that defines them imports PyTorch; a test compares the two.
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
    """Named selections of the ``known`` methods."""
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


def targets(output: OutputMeaning | None, chosen: str = "") -> list[str]:
    """What can be explained of a model.

    Parameters
    ----------
    output
        What its network returns; None for no model.
    chosen
        The target that was chosen; of a quantity it is offered too, since any value can be taken off it.

    Returns
    -------
    Predicted, each class, and each difference of two, later classes minus earlier ones. Of a quantity: its value, and
    its differences from the values that have names.
    """
    if output is None:
        return ["predicted"]
    if output.is_quantity:
        known = ["predicted", *(f"value-{at:g}" for at, _ in output.anchors)]
        return [*known, *([chosen] if _is_of_quantity(chosen, output) and chosen not in known else [])]
    classes = output.classes
    differences = [f"{b}-{a}" for i, a in enumerate(classes) for b in classes[i + 1 :]]
    return ["predicted", *classes, *sorted(differences, key=lambda d: d != f"{classes[-1]}-{classes[0]}")]


def method_list(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen_methods(text: str, default: Sequence[str], known: Sequence[str]) -> list[str]:
    """The methods that a parameter node names; the default ones if it names none that is known."""
    return [name for name in method_list(text) if name in known] or list(default)


def order_of_methods(default: Sequence[str], known: Sequence[str]) -> list[str]:
    """The order in which methods are listed: the default ones, the others, the baselines."""
    others = [name for name in known if name not in default]
    return [*default, *sorted(others, key=lambda name: name in BASELINES)]


def target_title(target: str, output: OutputMeaning | None = None) -> str:
    """A target as it is listed."""
    if output is not None and output.is_quantity:
        contrast = read_target(target, output)
        name = dict(output.anchors).get(contrast.reference or 0.0, "") if contrast.reference is not None else ""
        return f"{contrast.name} ({name})" if name else contrast.name
    return "Predicted class" if target == "predicted" else target.replace("-", " - ")


def _is_of_quantity(target: str, output: OutputMeaning) -> bool:
    try:
        return read_target(target, output).reference is not None
    except UserError:
        return False


def explain_options(
    parameters: Any, methods: Sequence[str], takes: Mapping[str, Sequence[str]], *, own_segmentation: bool = False
) -> dict[str, Any]:
    """The options of Explain from what was chosen.

    Parameters
    ----------
    parameters
        MRIInterpretParameterNode, or another object with its attributes.
    methods
        The chosen methods.
    takes
        Method to the names of the parameters that it takes.
    own_segmentation
        Whether regions are those of the user's own segmentation, whatever else was chosen.
    """
    mask, space = SCAN_KINDS.get(parameters.scanKind, SCAN_KINDS["auto"])
    settings: dict[str, dict[str, Any]] = {}
    layer = parameters.layer.strip()
    for name, value in (("composite", parameters.composite), ("layers_named", (layer,) if layer else ())):
        for method in methods:
            if value and name in takes.get(method, ()):
                settings.setdefault(method, {})[name] = value
    return {
        "model": parameters.model or None,
        "methods": tuple(methods),
        "target": parameters.target,
        "goal": parameters.goal.strip() or DEFAULTS.goal,
        "device": parameters.device,
        "mask": mask,
        "space": space,
        "regions": DEFAULTS.regions if own_segmentation else parameters.regions,
        "trust": parameters.trust,
        "parameters": settings,
    }


def cohort_options(parameters: Any, methods: Sequence[str]) -> dict[str, Any]:
    """The options of a cohort from what was chosen; "predicted" stands for the cohort's own default target.

    Raises
    ------
    UserError
        If a composite or a layer was chosen: a cohort explains with the methods' own settings.
    """
    if parameters.composite or parameters.layer.strip():
        raise UserError(
            "A cohort uses each method's default composite and layer: set both back to their defaults, or explain the "
            "scans one by one."
        )
    mask, space = SCAN_KINDS.get(parameters.scanKind, SCAN_KINDS["auto"])
    return {
        "model": parameters.model or None,
        "methods": list(methods),
        "target": "" if parameters.target == "predicted" else parameters.target,
        "goal": parameters.goal.strip() or DEFAULTS.goal,
        "device": parameters.device,
        "mask": mask,
        "space": space,
        "regions": parameters.regions,
        "trust": parameters.trust,
    }
