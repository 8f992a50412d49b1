"""The atlas bent onto a brain: a smooth displacement that lays its structures over those that were segmented.

Demons over several channels at once (Thirion 1998, doi:10.1016/S1361-8415(98)80022-4; the update and the composition
as in Vercauteren et al. 2009, doi:10.1016/j.neuroimage.2008.10.040, eq. 5): a channel for each group of structures and
side, so that neither intensities nor the other hemisphere can mislead it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Grid, Volume, resample
from . import freesurfer
from .atlas import load_default_atlas

if TYPE_CHECKING:
    from torch import Tensor

# Of both sides; each side is a channel. Structures that are small or whose borders are drawn differently by different
# tools are in one group.
_GROUPS = (
    ("Cerebral-Cortex",),
    ("Cerebral-White-Matter",),
    ("Lateral-Ventricle", "Inf-Lat-Vent", "choroid-plexus"),
    ("Thalamus", "Caudate", "Putamen", "Pallidum", "Accumbens-area", "VentralDC"),
    ("Hippocampus", "Amygdala"),
    ("Cerebellum-Cortex", "Cerebellum-White-Matter"),
)
_MIDLINE = (("3rd-Ventricle", "4th-Ventricle"), ("Brain-Stem",))
_CALLOSUM = (251, 252, 253, 254, 255)  # white matter of both sides; counted as the left's nearest neighbour would be
_SHAPE, _SPACING = (48, 56, 48), 4.0  # the box that the deformation room works in, at 4 mm
GRID = Grid(
    _SHAPE,
    np.array([[_SPACING, 0, 0, -94], [0, _SPACING, 0, -127], [0, 0, _SPACING, -87], [0, 0, 0, 1]]),
)
_BLUR_MM = 3.0  # of the channels: twice the width of what one voxel sees
_FLUID_MM = 4.0  # of each update
# Smoothing of the whole displacement in mm, and how many updates it is kept at.
_LEVELS = ((8.0, 15), (5.0, 15))
_LARGEST_STEP_MM = 2.0


def atlas_to_brain(groups: NDArray[np.float32]) -> NDArray[np.float32]:
    """The displacement from a place in this brain to the same place in the atlas.

    Parameters
    ----------
    groups
        (channels, 48, 56, 48) on :data:`GRID`: how much of each voxel belongs to each of :func:`group_labels`.

    Returns
    -------
    (3, 48, 56, 48) in mm along R, A, S: what this brain has at x lies in the atlas at x + u(x).
    """
    import torch

    from ..deformation.construction import smooth
    from ..deformation.displacement import compose, warp

    wanted = smooth(torch.from_numpy(groups), _BLUR_MM)
    atlas = smooth(torch.from_numpy(atlas_groups()), _BLUR_MM)
    u = torch.zeros(3, *_SHAPE)
    for elastic, updates in _LEVELS:
        for _ in range(updates):
            step = smooth(_update(wanted, warp(atlas, u)), _FLUID_MM)
            largest = float((step * step).sum(0).max()) ** 0.5
            step = step * min(1.0, _LARGEST_STEP_MM / max(largest, 1e-6))
            u = smooth(compose(u, step), elastic)
    found: NDArray[np.float32] = u.numpy()
    return found


def _update(wanted: Tensor, found: Tensor) -> Tensor:
    """Where each voxel should look next, (3, i, j, k) in mm: the demons' force, summed over the channels."""
    import torch

    force, size = torch.zeros(3, *found.shape[1:]), torch.zeros(found.shape[1:])
    for one, other in zip(wanted, found, strict=True):  # one channel at a time stays in the processor's cache
        difference = one - other
        size.addcmul_(difference, difference, value=1 / _SPACING**2)
        for axis, gradient in enumerate(torch.gradient(other, spacing=_SPACING, dim=(0, 1, 2))):
            force[axis].addcmul_(gradient, difference)
            size.addcmul_(gradient, gradient)
    return force / (size + 1e-6)


def group_labels() -> tuple[tuple[int, ...], ...]:
    """FreeSurfer's labels of each channel, without the parcels, which count as their side's cortex."""

    def labels(names: tuple[str, ...], prefix: str = "") -> tuple[int, ...]:
        return tuple(freesurfer.label_of(prefix + name) for name in names)

    sides = [labels(names, side) for names in _GROUPS for side in ("Left-", "Right-")]
    return (*sides, *(labels(names) for names in _MIDLINE))


def groups_of_labels(labels: Volume, to_template: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
    """The channels of a label volume in the scan's world; shape (channels, 48, 56, 48)."""
    channel = np.zeros(int(max(labels.array.max(), 2999)) + 1, dtype=np.int8)
    for number, group in enumerate(group_labels(), start=1):
        channel[list(group)] = number
    left, right = channel[freesurfer.LEFT_CORTEX], channel[freesurfer.RIGHT_CORTEX]
    channel[1001:2000], channel[2001:3000] = left, right
    fine = Grid(tuple(2 * n for n in _SHAPE), GRID.affine @ _half_voxels())  # type: ignore[arg-type]
    inverse = None if to_template is None else np.linalg.inv(to_template)
    found = channel[resample(labels, fine, inverse, order=0).array]
    counted = found.reshape(_SHAPE[0], 2, _SHAPE[1], 2, _SHAPE[2], 2)
    return np.stack(
        [(counted == number).mean((1, 3, 5), dtype=np.float32) for number in range(1, len(group_labels()) + 1)]
    )


def _half_voxels() -> NDArray[np.float64]:
    """From the indices of a grid twice as fine to those of the coarse one."""
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    matrix[:3, 3] = -0.25
    return matrix


@lru_cache(maxsize=1)
def atlas_groups() -> NDArray[np.float32]:
    """The channels of the Desikan-Killiany atlas."""
    volume = load_default_atlas().volume
    labels = np.asarray(volume.array).astype(np.int16)
    labels[np.isin(labels, _CALLOSUM)] = 0
    return groups_of_labels(volume.with_array(labels))
