"""From a scan to the segmentation network's class probabilities, and from those to labels and volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..gpu_memory import on_device_or_cpu
from ..images.volume import Affine, Grid, Volume, resample
from ..progress import ProgressCallback
from ..thresholds import UNSURE_ENTROPY
from . import freesurfer
from .labels_on_scan import labels_on_scan
from .segmentation import Segmentation, Structure
from .segmentation_bundle import SegmentationBundle, load_segmentation_bundle

STEP = "Segmenting the brain"
_AROUND_MM = 6.0


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
    progress(STEP, 0.9)
    return _segmentation(scan, labels, probabilities, network, to_template)


def network_input(
    scan: Volume, to_template: Affine, bundle: SegmentationBundle, brain_mask: Volume | None = None
) -> NDArray[np.float32]:
    """The scan on the network's grid, shape (I, J, K): percentiles of the voxels above 0 become 0 and 1.

    Farther than ``_AROUND_MM`` from ``brain_mask``, if one is given, the input is 0: the network needs the fluid around
    the brain, and neither skin nor neck.

    Raises
    ------
    UserError
        If nothing of the scan lies on the grid, or it is constant there.
    """
    placed = resample(_antialiased(scan, bundle.grid, to_template), bundle.grid, np.linalg.inv(to_template)).array
    if brain_mask is not None:
        near = resample(brain_mask, bundle.grid, np.linalg.inv(to_template), order=0).array > 0
        voxels = max(1, round(_AROUND_MM / float(bundle.grid.spacing.mean())))
        placed = placed * ndimage.binary_dilation(near, iterations=voxels)
    bright = placed[placed > 0]
    if bright.size:
        low, high = np.percentile(bright, bundle.percentiles)
        if high > low:
            return np.clip((placed - low) / (high - low), 0, 1).astype(np.float32)
    raise UserError(
        f"{scan.name or 'The scan'} cannot be segmented: it is empty or constant where the brain should be."
    )


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


def _segmentation(
    scan: Volume, labels: Volume, probabilities: NDArray[np.float32], bundle: SegmentationBundle, to_template: Affine
) -> Segmentation:
    voxel_ml = bundle.grid.voxel_volume / abs(float(np.linalg.det(to_template[:3, :3]))) / 1000
    ml = probabilities.reshape(len(probabilities), -1).sum(1, dtype=np.float64) * voxel_ml
    intracranial = float(ml[1:].sum())
    entropies = structure_entropy(probabilities)
    structures = [
        _structure(label, float(volume), intracranial, float(entropy), bundle)
        for label, volume, entropy in zip(bundle.labels, ml, entropies, strict=True)
        if label
    ]
    structures.sort(key=lambda structure: structure.label)
    return Segmentation(labels, tuple(structures), intracranial, "network")


def structure_entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean entropy of the class probabilities over each class's voxels, over its maximum; NaN for an empty class."""
    classes = len(probabilities)
    flat = probabilities.reshape(classes, -1)
    entropy = np.zeros(flat.shape[1], dtype=np.float32)
    for one in flat:  # one class at a time: no second array of the size of all
        entropy -= one * np.log(np.maximum(one, np.float32(1e-12)))
    winner = flat.argmax(0)
    total = np.bincount(winner, weights=entropy / np.log(classes), minlength=classes)
    count = np.bincount(winner, minlength=classes)
    return np.divide(total, count, out=np.full(classes, np.nan), where=count > 0)


def _structure(label: int, ml: float, intracranial: float, entropy: float, bundle: SegmentationBundle) -> Structure:
    name = freesurfer.name_of(label)
    known = bundle.held_out.get(name)
    return Structure(
        label=label,
        name=name,
        reader_name=freesurfer.reader_name(name),
        ml=ml,
        share=ml / intracranial if intracranial > 0 else 0.0,
        entropy=entropy,
        sure=entropy <= UNSURE_ENTROPY,
        dice=known.dice if known else None,
        volume_error=known.volume_error if known else None,
    )
