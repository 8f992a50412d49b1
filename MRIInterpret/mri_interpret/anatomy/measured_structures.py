"""What the network's answer says of each structure: its volume, how unsure the network is, and what to warn of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Affine, Volume, resample
from ..thresholds import SEGMENTED_BRAIN_OVERLAP, UNSURE_ENTROPY
from . import freesurfer
from .segmentation import Structure
from .segmentation_bundle import SegmentationBundle
from .structure_volumes import structure_volumes

_CORTEX = ((freesurfer.LEFT_CORTEX, 1000), (freesurfer.RIGHT_CORTEX, 2000))
_LISTED = 6


def measured_structures(
    labels: Volume, probabilities: NDArray[np.float32], bundle: SegmentationBundle, to_template: Affine
) -> tuple[tuple[Structure, ...], float]:
    """Every structure by ascending label, and the intracranial volume in ml.

    A volume is what :func:`.structure_volumes.structure_volumes` adds up; a parcel's is its share of its side's cortex.
    The intracranial volume is everything that is no background.

    Parameters
    ----------
    labels
        On the scan's grid, with parcels.
    probabilities
        (classes, I, J, K) on the bundle's grid.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    """
    voxel_ml = bundle.grid.voxel_volume / abs(float(np.linalg.det(to_template[:3, :3]))) / 1000
    sums = structure_volumes(probabilities) * voxel_ml
    ml = {label: float(volume) for label, volume in zip(bundle.labels, sums, strict=True) if label}
    intracranial = intracranial_ml(probabilities, bundle, to_template)
    entropy = normalised_entropy(probabilities)
    winner = np.array(bundle.labels)[probabilities.argmax(0)]
    unsure = _means(winner, entropy)
    ml |= _parcel_volumes(labels, ml)
    unsure |= {
        label: mean
        for label, mean in _means(
            resample(labels, bundle.grid, np.linalg.inv(to_template), order=0).array, entropy
        ).items()
        if freesurfer.is_parcel(label)
    }
    structures = (_structure(label, ml[label], intracranial, unsure.get(label), bundle) for label in sorted(ml))
    return tuple(structures), intracranial


def intracranial_ml(probabilities: NDArray[np.float32], bundle: SegmentationBundle, to_template: Affine) -> float:
    """Everything that is no background, in ml of the scan's own space.

    Parameters
    ----------
    probabilities
        (classes, I, J, K) on the bundle's grid, the background first.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    """
    voxel_ml = bundle.grid.voxel_volume / abs(float(np.linalg.det(to_template[:3, :3]))) / 1000
    return float(probabilities[1:].sum(dtype=np.float64)) * voxel_ml


def normalised_entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of the class probabilities at each voxel over the logarithm of their number, 0 to 1."""
    total = np.zeros(probabilities.shape[1:], dtype=np.float32)
    for one in probabilities:  # one class at a time: no second array of the size of all
        total -= one * np.log(np.maximum(one, np.float32(1e-12)))
    return total / np.float32(np.log(len(probabilities)))


def _means(labels: NDArray[np.integer], values: NDArray[np.float32]) -> dict[int, float]:
    """The mean of ``values`` in each label that occurs."""
    flat = labels.ravel()
    count = np.bincount(flat)
    total = np.bincount(flat, weights=values.ravel())
    return {int(label): float(total[label] / count[label]) for label in np.flatnonzero(count)}


def _parcel_volumes(labels: Volume, ml: dict[int, float]) -> dict[int, float]:
    volumes: dict[int, float] = {}
    count = np.bincount(labels.array.ravel(), minlength=3000)
    for cortex, base in _CORTEX:
        parcels = [label for label in freesurfer.LABELS if base < label < base + 1000]
        whole = count[parcels].sum()
        if cortex in ml and whole:
            volumes |= {label: ml[cortex] * float(count[label] / whole) for label in parcels}
    return volumes


def _structure(
    label: int, ml: float, intracranial: float, entropy: float | None, bundle: SegmentationBundle
) -> Structure:
    name = freesurfer.name_of(label)
    known = bundle.held_out.get(name)
    return Structure(
        label=label,
        name=name,
        reader_name=freesurfer.reader_name(name),
        ml=ml,
        share=ml / intracranial if intracranial > 0 else 0.0,
        entropy=float("nan") if entropy is None else entropy,
        sure=entropy is not None and entropy < bundle.unsure_entropy.get(name, UNSURE_ENTROPY),
        dice=known.dice if known else None,
        volume_error=known.volume_error if known else None,
    )


def segmentation_warnings(
    structures: tuple[Structure, ...], labels: Volume, brain_mask: Volume | None
) -> tuple[str, ...]:
    """What every output must say: what the network is unsure of, and that the brain is not where the mask is."""
    sentences = []
    unsure = [one.reader_name for one in structures if not one.sure and not freesurfer.is_parcel(one.label)]
    if unsure:
        listed = ", ".join(unsure[:_LISTED])
        more = f" and {len(unsure) - _LISTED} more structures" if len(unsure) > _LISTED else ""
        sentences.append(
            f"The segmentation is unsure of {listed}{more}: look at it over the scan before you use volumes or regions."
        )
    overlap = None if brain_mask is None else _overlap(labels, brain_mask)
    if overlap is not None and overlap < SEGMENTED_BRAIN_OVERLAP:
        sentences.append(
            f"The segmented brain and the brain mask overlap by {overlap:.2f} only (Dice): one of them is wrong, so "
            "look at both over the scan."
        )
    return tuple(sentences)


def _overlap(labels: Volume, brain_mask: Volume) -> float:
    """Dice of what was segmented, without the fluid around the brain, with the brain mask."""
    brain = (labels.array > 0) & (labels.array != freesurfer.CSF)
    mask = np.asarray(brain_mask.array) > 0
    both = np.count_nonzero(brain) + np.count_nonzero(mask)
    return 2 * np.count_nonzero(brain & mask) / both if both else 0.0
