"""What a map predicts for a replacement: how far the explained value falls if voxels get other intensities.

A replacement speaks about the *difference* to what takes a voxel's place, and relevance about the tissue that is there:
where healthy tissue speaks against a disease and the template's speaks against it too, much relevance goes with no
change at all. So the map is read as what it says of this replacement: a slope times the change of intensity, or a share
times the relative change. Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition
2.1, where I = x - x' is the perturbation. Maps without such a reading are compared by size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .imputation import blurred_brain

if TYPE_CHECKING:
    from .explained_image import ExplainedImage

BLUR_SIGMA_MM = 12.0
# An intensity below this share of the brain's largest one counts as none: a share divided by it would be noise.
_NO_INTENSITY = 1e-3


@dataclass(frozen=True)
class PredictedChange:
    """What one map predicts for the replacement of each voxel.

    Attributes
    ----------
    drop
        (I, J, K): how far the explained value falls if this voxel is replaced, in the map's units. For a map that is
        read by size, its absolute values: a place's weight, of unknown direction.
    by_size
        Whether the map says neither how much nor in which direction.
    unread
        Part of the map's absolute relevance in the brain, 0 to 1, on voxels without intensity, whose share cannot be
        scaled; nothing is predicted there.
    """

    drop: NDArray[np.float64]
    by_size: bool
    unread: float = 0.0


def imputed_image(explained: ExplainedImage) -> NDArray[np.float32]:
    """What takes the place of removed voxels: (I, J, K), or (C, I, J, K) for the blurred brain."""
    if explained.imputed is not None:
        return np.asarray(explained.imputed, dtype=np.float32)
    sigma = BLUR_SIGMA_MM / float(np.mean(explained.spacing))
    channels = explained.image[0].detach().cpu().numpy()
    return np.stack([blurred_brain(channel, explained.inside, sigma) for channel in channels])


def predicted_change(explained: ExplainedImage, method: str, imputed: NDArray[np.float32]) -> PredictedChange:
    """Read one map as a prediction.

    Parameters
    ----------
    explained
        What was explained; :meth:`ExplainedImage.reading_of` says how the map is read.
    method
        The map's name.
    imputed
        From :func:`imputed_image`.
    """
    relevance = np.asarray(explained.maps[method], dtype=np.float64)
    reading = explained.reading_of(method)
    if reading == "size":
        return PredictedChange(np.abs(relevance), by_size=True)
    image = explained.intensity.astype(np.float64)
    change = image - imputed.reshape((-1, *image.shape))[0]
    if reading == "slope":
        return PredictedChange(relevance * change, by_size=False)
    scale = image - explained.baseline_of(method)
    inside = explained.inside
    readable = np.abs(scale) > _NO_INTENSITY * np.abs(scale[inside]).max()
    relative = np.divide(change, scale, out=np.zeros_like(change), where=readable)
    magnitude = np.abs(relevance[inside])
    lost = float(magnitude[~readable[inside]].sum() / magnitude.sum()) if magnitude.any() else 0.0
    return PredictedChange(relevance * relative, by_size=False, unread=lost)
