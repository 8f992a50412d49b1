"""The options of the main job with the only defaults: Python, command line, panel, worker and cohort share them.

Slicer imports this when it starts, so nothing heavy may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..attribution.registry import DEFAULT_METHODS
from ..errors import UserError
from ..models import DEFAULT_MODEL

TRUST_LEVELS = ("off", "fast", "full")
DEVICES = ("auto", "cpu", "cuda")
REGIONS = ("brain", "atlas")


@dataclass(frozen=True)
class ExplainOptions:
    """How a scan is explained.

    Attributes
    ----------
    model
        Name of an installed model, or the path of a bundle's folder.
    methods
        Names of attribution methods.
    target
        "predicted", a class or label, or a difference such as "AD-CN"; of a quantity, "value" or "value-65".
    goal
        Where a volume counterfactual takes the answer: "boundary", a class, a value, or a probability.
    device
        "auto" (CUDA if there is one), "cpu" or "cuda".
    mask
        Brain mask: "auto" (extracted), "none" (the scan is skull-stripped), or a file.
    space
        "native" (the scan is registered), "mni" (it lies in template space already), or "auto".
    atlas
        Files of a label image in template space and of its names; Desikan-Killiany if None.
    regions
        What the regions of the scan are: "brain" (the structures of this brain, segmented) or "atlas" (the atlas, laid
        over it by the registration). An atlas of one's own is always laid over it.
    segmentation
        File of one's own segmentation of the scan, such as FreeSurfer's aseg.mgz; "" to let the network segment it.
    trust
        Which checks judge the maps: "off", "fast" or "full". Methods that fail the randomisation check do not count in
        the summary score, so the level can change the score.
    reference
        Files of maps in MNI152 space, such as a meta-analysis, that the maps are compared with.
    cache
        Keep and reuse brain masks and transforms.
    """

    model: str = DEFAULT_MODEL
    methods: tuple[str, ...] = DEFAULT_METHODS
    target: str = "predicted"
    goal: str = "boundary"
    device: str = "auto"
    mask: str = "auto"
    space: str = "auto"
    atlas: tuple[str, str] | None = None
    regions: str = "brain"
    segmentation: str = ""
    trust: str = "fast"
    reference: tuple[str, ...] = ()
    cache: bool = True


DEFAULTS = ExplainOptions()


def check_trust(level: str) -> None:
    """Raise a UserError unless ``level`` is one of ``TRUST_LEVELS``."""
    if level not in TRUST_LEVELS:
        raise UserError(
            f"The trust level '{level}' is not known: give one of {', '.join(TRUST_LEVELS)}.", option="trust"
        )


def check_regions(regions: str, atlas: object, segmentation: object) -> None:
    """Raise a UserError unless the choice of regions is known and makes sense with the atlas and the segmentation.

    Parameters
    ----------
    regions
        One of ``REGIONS``.
    atlas, segmentation
        The user's own atlas and segmentation; None or "" without one.
    """
    if regions not in REGIONS:
        raise UserError(f"Regions '{regions}' are not known: give one of {', '.join(REGIONS)}.", option="regions")
    if segmentation and (atlas or regions == "atlas"):
        raise UserError(
            "A segmentation of your own and an atlas are both given, but regions come from one of them: give one only.",
            option="segmentation",
        )


def choose_device(device: str) -> str:
    """ "cpu" or "cuda" for what the user asked for.

    Raises
    ------
    UserError
        For an unknown name, or for CUDA where there is none.
    """
    import torch

    if device not in DEVICES:
        raise UserError(f"The device '{device}' is not known: give one of {', '.join(DEVICES)}.", option="device")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError("There is no CUDA device that PyTorch can use here: choose cpu or auto.", option="device")
    return "cuda" if available and device != "cpu" else "cpu"
