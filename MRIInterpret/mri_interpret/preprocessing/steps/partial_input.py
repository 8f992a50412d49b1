"""What the steps hand on: an image on its way to the network, with the brain in it and the way back to the scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...images.smoothing import FWHM_PER_SIGMA, smooth_inside
from ...images.volume import Affine, Array, Grid, Volume, resample
from ...progress import ProgressCallback, silent

Floats = NDArray[np.float32]
Inside = NDArray[np.bool_]


@dataclass(frozen=True)
class ScanInTemplate:
    """What steps may ask for about the scan; what takes time is found when it is asked for first.

    Attributes
    ----------
    brain
        Brain mask on the scan's grid, shape (I, J, K), above 0 inside.
    to_template
        ``to_template(kind)``: 4 x 4, RAS mm of the scan to RAS mm of the template; kind is "affine" or "rigid".
    progress
        Told by steps that take long, and may raise to cancel.
    """

    brain: Volume
    to_template: Callable[[str], Affine]
    progress: ProgressCallback = silent


@dataclass(frozen=True)
class PartialInput:
    """An image between two steps.

    Attributes
    ----------
    image
        float32, shape (I, J, K).
    inside
        True in the brain, same shape.
    to_scan
        4 x 4, voxel indices of ``image`` to RAS mm of the scan.
    fill
        What lies outside the brain once a mask step has run; None before it.
    scaled
        Whether an intensity step has run.
    channels
        The network's channels, once a channel step has named them: "image" or "mask".
    """

    image: Floats
    inside: Inside
    to_scan: Affine
    fill: float | None = None
    scaled: bool = False
    channels: tuple[str, ...] = ("image",)

    @property
    def grid(self) -> Grid:
        """The image's grid in the scan's world (RAS mm)."""
        i, j, k = self.image.shape
        return Grid((i, j, k), self.to_scan)

    def with_image(self, image: Array) -> PartialInput:
        """The same with other intensities; outside the brain they are the fill, if a mask step has run."""
        values = np.asarray(image, dtype=np.float32)
        if self.fill is not None:
            values = np.where(self.inside, values, np.float32(self.fill))
        return replace(self, image=values)

    def moved_to(self, grid: Grid, coarsening: Array | None = None) -> PartialInput:
        """Sampled on another grid in the scan's world, trilinear; beyond the image lies the fill, or 0.

        ``coarsening``, the new voxel size over the old one along each axis, smooths an image that is finer than the
        grid to the grid's voxel size first. Once a mask step has run, only the brain is smoothed, so that what lies
        outside does not darken its edge; where nothing is smoothed, voxels at the edge mix with the fill, half at most.
        """
        sigma = np.zeros(3) if coarsening is None else _antialias_sigma(np.asarray(coarsening))
        inside = self.inside.astype(np.float32)
        if self.fill is not None:
            smooth, weight = smooth_inside(self.image, inside, sigma, mode="reflect")
        else:
            smooth = ndimage.gaussian_filter(self.image, sigma.tolist(), mode="nearest") if sigma.any() else self.image
            weight = ndimage.gaussian_filter(inside, sigma.tolist()) if sigma.any() else inside
        image = resample(Volume(smooth, self.to_scan), grid).array
        within = resample(Volume(weight, self.to_scan), grid).array > 0.5
        moved = replace(self, image=image, inside=np.asarray(within), to_scan=np.asarray(grid.affine, dtype=np.float64))
        return moved.with_image(image)


def _antialias_sigma(coarsening: Array) -> NDArray[np.float64]:
    """Standard deviations in voxels of the finer image; 0 along axes on which it is as coarse as the grid."""
    return np.sqrt(np.maximum(coarsening**2 - 1.0, 0.0)) / FWHM_PER_SIGMA
