"""Silhouette: how much of the answer is there when the network sees nothing but the brain mask?

Two questions to the model about this scan, whatever the maps say. How far does the mask's outline alone move the
explained value, beside what tissue moves? And how far does it move if the mask is a voxel tighter or wider, which is
less than two programs for brain extraction differ by? Source: Tinauer et al. 2025, "Skull-stripping induces shortcut
learning in MRI-based Alzheimer's disease classification" (arXiv 2501.15831), whose networks did as well on binarised
images as on scans: they read volumes off the contours of skull stripping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array
from ..progress import ProgressCallback, silent
from ..thresholds import MASK_EDGE_SHARE, SILHOUETTE_SHARE
from .explained_image import ExplainedImage, explained_values
from .faithfulness_checks import replaced_eighths
from .predicted_change import imputed_image
from .verdict import MODEL, Verdict, not_applicable, pass_or_fail

SILHOUETTE, MASK_EDGE = "silhouette", "mask edge"
STEP = "Checking: silhouette"


@dataclass(frozen=True)
class Silhouette:
    """What moves the explained value, in its own units; NaN where it cannot be asked.

    Attributes
    ----------
    tissue
        The template's tissue in place of this brain's, within the same mask: all of it, or a random eighth, whichever
        moves the value most. Where a brain's answer is the template's anyway, the eighths still tell what tissue does.
    contour
        This brain's silhouette in place of the template's, both at one intensity.
    tighter, wider
        The mask by one voxel.
    """

    tissue: float
    contour: float
    tighter: float
    wider: float

    @property
    def contour_share(self) -> float:
        """The contour's part of contour and tissue, 0 to 1; NaN if neither moves anything."""
        return _share(self.contour, self.tissue)

    @property
    def edge_share(self) -> float:
        """The same of the larger of the mask's two changes."""
        return _share(max(abs(self.tighter), abs(self.wider)), self.tissue)


def _share(one: float, other: float) -> float:
    total = abs(one) + abs(other)
    return abs(one) / total if total > 0 else math.nan


def silhouette(explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent) -> Silhouette:
    """Ask the network about masks.

    The outside keeps the intensity that it has (the median beyond the mask).
    """
    import torch

    inside, image = explained.inside, explained.image
    channels = image[0].detach().cpu().numpy()
    beyond = _outside(channels, inside)
    level = [float(one[inside].mean()) for one in channels]

    def value(make: list[NDArray[np.floating]]) -> float:
        given = torch.as_tensor(np.stack(make)[None].astype(np.float32)).to(image)
        return float(explained_values(explained.network, given, explained.target, explained.output)[0])

    def flat(mask: Array) -> float:
        return value([np.where(mask, one, empty) for one, empty in zip(level, beyond, strict=True)])

    *_, drops = replaced_eighths(explained, seed, progress)
    progress(STEP, 0.0)
    whole = value(list(channels))
    filled = np.broadcast_to(imputed_image(explained), channels.shape)
    all_of_it = value([np.where(inside, fill, one) for fill, one in zip(filled, channels, strict=True)]) - whole
    tissue = max([all_of_it, *(-drops)], key=abs)
    progress(STEP, 0.3)
    reference = explained.template_mask
    contour = math.nan if reference is None or inside.all() else flat(inside) - flat(np.asarray(reference) > 0)
    progress(STEP, 0.6)
    masks = masks_by_a_voxel(explained)
    tighter, wider = (value(one) - whole for one in masks) if masks else (math.nan, math.nan)
    progress(STEP, 1.0)
    return Silhouette(float(tissue), contour, tighter, wider)


def masks_by_a_voxel(
    explained: ExplainedImage,
) -> tuple[list[NDArray[np.floating]], list[NDArray[np.floating]]] | None:
    """The image's channels (I, J, K) with the mask a voxel tighter, and a voxel wider; None if that cannot be.

    What lies beyond the mask is not in the network's input any more, so a wider one continues the nearest brain voxels.
    """
    inside = explained.inside
    core, rim = ndimage.binary_erosion(inside), ndimage.binary_dilation(inside) & ~inside
    if not (core.any() and rim.any()):
        return None
    channels = explained.image[0].detach().cpu().numpy()
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    tight = [
        np.where(inside & ~core, empty, one) for one, empty in zip(channels, _outside(channels, inside), strict=True)
    ]
    return tight, [np.where(rim, one[tuple(nearest)], one) for one in channels]


def _outside(channels: NDArray[np.floating], inside: NDArray[np.bool_]) -> list[float]:
    """The usual intensity beyond the mask, by channel; 0 for a mask of everything."""
    return [0.0 if inside.all() else float(np.median(one[~inside])) for one in channels]


def check_silhouette(explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent) -> list[Verdict]:
    """Two verdicts on the model and this scan: the silhouette, and the mask's edge; none without a method's map."""
    if not explained.methods:
        return []
    found = silhouette(explained, seed, progress)
    return [_of_contour(explained, found), _of_edge(found)]


def _of_contour(explained: ExplainedImage, found: Silhouette) -> Verdict:
    if math.isnan(found.contour):
        reason = (
            "The mask covers the whole volume." if explained.inside.all() else "No template is known to compare with."
        )
        return not_applicable(MODEL, SILHOUETTE, reason)
    share = found.contour_share
    sentence = (
        f"Shown nothing but the brain mask at one intensity, the model's value differs by {found.contour:+.2g} from "
        f"that of the template's mask; the template's tissue in this brain's place moves it by up to "
        f"{abs(found.tissue):.2g}. "
    )
    passed = share < SILHOUETTE_SHARE
    sentence += (
        "The tissue counts for more than the outline."
        if passed
        else "The outline counts for as much as the tissue: the answer may follow the brain extraction."
    )
    if math.isnan(share):
        sentence = "Neither the outline nor the tissue moves the model's value."
    return pass_or_fail(MODEL, SILHOUETTE, share, SILHOUETTE_SHARE, passed, sentence)


def _of_edge(found: Silhouette) -> Verdict:
    if math.isnan(found.tighter):
        return not_applicable(MODEL, MASK_EDGE, "The mask cannot be a voxel tighter and wider.")
    share = found.edge_share
    sentence = (
        f"With a mask one voxel tighter the model's value moves by {found.tighter:+.2g}, one voxel wider by "
        f"{found.wider:+.2g}; the template's tissue in this brain's place moves it by up to {abs(found.tissue):.2g}. "
    )
    passed = share < MASK_EDGE_SHARE
    sentence += (
        "A slightly other mask leaves the answer alone."
        if passed
        else "A slightly other mask counts for as much as the tissue: look at the brain mask."
    )
    if math.isnan(share):
        sentence = "Neither the mask's edge nor the tissue moves the model's value."
    return pass_or_fail(MODEL, MASK_EDGE, share, MASK_EDGE_SHARE, passed, sentence)
