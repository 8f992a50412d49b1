"""From a scan through the segmentation network to labels with parcels on the scan's grid, and their volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..gpu_memory import on_device_or_cpu
from ..images.volume import Affine, Grid, Volume, resample
from ..progress import ProgressCallback
from . import freesurfer
from .labels_on_scan import labels_on_scan
from .measured_structures import measured_structures, segmentation_warnings
from .parcels import with_parcels
from .segmentation import Segmentation
from .segmentation_bundle import SegmentationBundle, load_segmentation_bundle

STEP = "Segmenting the brain"
#: How far from the brain mask the network is shown the scan. What lies around the brain it calls fluid, skull or not:
#: the intracranial volume grows with it (Testing/benchmarks/intracranial.md).
AROUND_MM = 2.0


def segment_by_network(
    scan: Volume,
    to_template: Affine,
    brain_mask: Volume | None,
    bundle: str | Path | SegmentationBundle,
    device: str,
    progress: ProgressCallback,
) -> Segmentation:
    """See :func:`.segmentation.segment`."""
    progress(STEP, 0.0)
    network = load_segmentation_bundle(bundle)
    image = network_input(scan, to_template, network, brain_mask)
    progress(STEP, 0.1)
    probabilities = on_device_or_cpu(
        lambda place: class_probabilities(network, image, place, progress), device, progress
    )
    progress(STEP, 0.6)
    labels = labels_on_scan(probabilities, network, scan.grid, to_template)
    progress(STEP, 0.8)
    labels = with_parcels(labels, to_template)
    progress(STEP, 0.95)
    structures, intracranial = measured_structures(labels, probabilities, network, to_template)
    made_by = " ".join(filter(None, (network.name, network.version, f"({network.hash[:12]})")))
    return Segmentation(
        labels=labels,
        structures=structures,
        intracranial_ml=intracranial,
        source="network",
        warnings=segmentation_warnings(structures, labels, brain_mask),
        made_by=made_by,
    )


def network_input(
    scan: Volume,
    to_template: Affine,
    bundle: SegmentationBundle,
    brain_mask: Volume | None = None,
    *,
    around_mm: float = AROUND_MM,
) -> NDArray[np.float32]:
    """The scan on the network's grid, shape (I, J, K): percentiles of the voxels above 0 become 0 and 1.

    Farther than ``around_mm`` from ``brain_mask``, if one is given, the input is 0: the network needs the fluid around
    the brain, and neither skin nor neck.

    Raises
    ------
    UserError
        If nothing of the scan lies on the grid, or it is constant there.
    """
    near = _near_grid(scan, bundle.grid, to_template)
    placed = resample(_antialiased(near, bundle.grid, to_template), bundle.grid, np.linalg.inv(to_template)).array
    if brain_mask is not None:
        inside = resample(brain_mask, bundle.grid, np.linalg.inv(to_template), order=0).array > 0
        voxels = max(1, round(around_mm / float(bundle.grid.spacing.mean())))
        placed = placed * ndimage.binary_dilation(inside, iterations=voxels)
    bright = placed[placed > 0]
    if bright.size:
        low, high = np.percentile(bright, bundle.percentiles)
        if high > low:
            return np.clip((placed - low) / (high - low), 0, 1).astype(np.float32)
    raise UserError(
        f"{scan.name or 'The scan'} cannot be segmented: it is empty or constant where the brain should be."
    )


def _near_grid(scan: Volume, grid: Grid, to_template: Affine) -> Volume:
    """The part of a scan that the grid sees, with some voxels of margin: no time is spent on neck and air."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1)
    to_scan = np.linalg.inv(to_template @ scan.affine) @ grid.affine
    index = to_scan[:3, :3] @ corners + to_scan[:3, 3:]
    first = np.clip(np.floor(index.min(1)).astype(int) - 4, 0, np.array(scan.shape) - 1)
    last = np.clip(np.ceil(index.max(1)).astype(int) + 5, first + 1, scan.shape)
    affine = scan.affine.copy()
    affine[:3, 3] += scan.affine[:3, :3] @ first
    part = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return Volume(scan.array[part], affine, scan.name)


def _antialiased(scan: Volume, grid: Grid, to_template: Affine) -> Volume:
    """The scan, smoothed as far as its voxels are smaller than the grid's, so that none is skipped by interpolation."""
    own = np.linalg.norm((to_template @ scan.affine)[:3, :3], axis=0)
    # A voxel of the grid should see the mean over its own width: variances of box profiles, less the scan's own.
    wanted = np.sqrt(np.maximum(float(grid.spacing.mean()) ** 2 - own**2, 0) / 12) / own
    array = np.asarray(scan.array, dtype=np.float32)
    return scan.with_array(ndimage.gaussian_filter(array, wanted, truncate=3.0) if wanted.max() > 0.2 else array)


def class_probabilities(
    bundle: SegmentationBundle, image: NDArray[np.float32], device: str, progress: ProgressCallback
) -> NDArray[np.float32]:
    """Probabilities (classes, I, J, K) on the network's grid: the mean of the image's and of its mirror image's."""
    import torch

    network = bundle.network.to(device)
    try:
        with torch.inference_mode():
            given = torch.from_numpy(image)[None, None].to(device)
            found = torch.softmax(network(given)[0].float(), 0)
            progress(STEP, 0.35)
            if is_symmetric(bundle.grid):
                mirrored = torch.softmax(network(given.flip(2))[0].float(), 0)
                found = (found + mirrored.flip(1)[mirrored_classes(bundle.labels)]) / 2
            result: NDArray[np.float32] = found.cpu().numpy()
    finally:
        bundle.network.to("cpu")
    return result


def is_symmetric(grid: Grid) -> bool:
    """Whether mirroring the grid's first axis maps the left half of template space onto the right half."""
    first, last = grid.affine[0, 3], grid.affine[0, 3] + (grid.shape[0] - 1) * grid.affine[0, 0]
    return bool(abs(first + last) < 0.01 and np.allclose(grid.affine[:3, :3], np.diag(np.diag(grid.affine[:3, :3]))))


def mirrored_classes(labels: tuple[int, ...]) -> list[int]:
    """For each class, the index of the same structure's class on the other side."""
    index = {label: number for number, label in enumerate(labels)}
    return [index.get(freesurfer.opposite_of(label) or label, number) for number, label in enumerate(labels)]
