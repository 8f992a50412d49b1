"""A segmentation that the user brings: put onto the scan's grid, its labels named, its volumes counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ..errors import UserError
from ..images.volume import Affine, Array, Volume, resample
from . import freesurfer
from .segmentation import Segmentation, Structure

_MOST_LABELS = 2000  # aparc.a2009s+aseg has about 200; more than this is an image, not a segmentation
_LISTED = 8
_AROUND_MM = 5.0
_LEAST_INSIDE, _MOSTLY_INSIDE = 0.5, 0.85
_OTHER_SIDE = 1 / 3


def read_user_labels(
    labels: Volume, scan: Volume, intracranial_ml: float | None, names: Mapping[int, str]
) -> Segmentation:
    """See :func:`.segmentation.segmentation_of_user`."""
    title = labels.name or "The segmentation"
    values = _whole_numbers(np.asarray(labels.array), title)
    kind = np.int16 if values.size == 0 or values.max() <= np.iinfo(np.int16).max else np.int32
    given = Volume(values.astype(kind), labels.affine, labels.name)
    same = given.grid.same_as(scan.grid)
    placed = given.array if same else resample(given, scan.grid, order=0).array
    found, counts = np.unique(placed[placed > 0], return_counts=True)
    if not found.size:
        raise UserError(
            f"{title} holds no label within {scan.name or 'the scan'}: give one that was made from this scan.",
            option="segmentation",
        )
    ml = {int(label): int(count) * scan.grid.voxel_volume / 1000 for label, count in zip(found, counts, strict=True)}
    whole = sum(ml.values())
    intracranial = whole if intracranial_ml is None else max(float(intracranial_ml), whole)
    unknown = [label for label in ml if label not in names and not freesurfer.is_known(label)]
    structures = [_structure(label, volume, intracranial, names) for label, volume in ml.items()]
    structures += _whole_cortices(ml, intracranial)
    return Segmentation(
        labels=Volume(placed, scan.affine, title),
        structures=tuple(sorted(structures, key=lambda structure: structure.label)),
        intracranial_ml=intracranial,
        source="user",
        warnings=_warnings(title, given, placed, scan, unknown, names),
        made_by=title,
    )


def _whole_numbers(values: Array, title: str) -> Array:
    if not np.isfinite(values).all() or not np.array_equal(values, np.round(values)) or (values < 0).any():
        raise UserError(
            f"{title} is no segmentation: its voxels must be whole numbers from 0 up, such as FreeSurfer's.",
            option="segmentation",
        )
    if values.size and values.max() > np.iinfo(np.int32).max:
        raise UserError(f"{title} holds labels above {np.iinfo(np.int32).max}.", option="segmentation")
    whole = values.astype(np.int32)
    count = len(np.unique(whole))
    if count > _MOST_LABELS:
        raise UserError(
            f"{title} holds {count} different values, so it seems to be an image: give a segmentation, such as "
            "FreeSurfer's aseg.mgz.",
            option="segmentation",
        )
    return whole


def _structure(label: int, ml: float, intracranial: float, names: Mapping[int, str]) -> Structure:
    name = names.get(label) or (freesurfer.name_of(label) if freesurfer.is_known(label) else f"Label-{label}")
    return Structure(label, name, freesurfer.reader_name(name), ml, ml / intracranial, float("nan"), True)


def _whole_cortices(ml: Mapping[int, float], intracranial: float) -> list[Structure]:
    """The cortex of each side, where it is given by parcels alone."""
    whole = []
    for cortex, base in ((freesurfer.LEFT_CORTEX, 1000), (freesurfer.RIGHT_CORTEX, 2000)):
        parcels = sum(volume for label, volume in ml.items() if base < label < base + 1000)
        if parcels and cortex not in ml:
            whole.append(_structure(cortex, parcels, intracranial, {}))
    return whole


def _warnings(
    title: str, given: Volume, placed: Array, scan: Volume, unknown: list[int], names: Mapping[int, str]
) -> tuple[str, ...]:
    sentences = []
    if unknown:
        listed = ", ".join(map(str, unknown[:_LISTED])) + (" and others" if len(unknown) > _LISTED else "")
        one = len(unknown) == 1
        sentences.append(
            f"{title} has {'a label' if one else 'labels'} that FreeSurfer's table does not name ({listed}): "
            f"{'it is' if one else 'they are'} called by {'its number' if one else 'their numbers'}."
        )
    swapped = _on_the_wrong_side(placed, scan, set(names))
    if swapped:
        sentences.append(
            f"{title} has {swapped} to the right of its counterpart, and most other pairs too: check that it was not "
            "mirrored, and that its values are FreeSurfer's."
        )
    kept = np.count_nonzero(placed) * scan.grid.voxel_volume
    whole = np.count_nonzero(given.array) * given.grid.voxel_volume
    if kept < 0.9 * whole:
        sentences.append(
            f"Only {kept / whole:.0%} of {title} lies within the scan: check that it was made from this scan."
        )
    return tuple(sentences)


def check_place(found: Segmentation, mask: Volume, to_template: Affine) -> tuple[str, ...]:
    """What seems wrong with where a user's labels lie in this brain, as sentences.

    Parameters
    ----------
    found
        On the scan's grid.
    mask
        The brain, on the same grid.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.

    Raises
    ------
    UserError
        If most of them lie outside of the brain: they are another scan's.
    """
    labels = np.asarray(found.labels.array)
    # A segmentation may hold the fluid around the brain, which a mask does not.
    outside = ndimage.distance_transform_edt(np.asarray(mask.array) == 0, sampling=mask.grid.spacing) > _AROUND_MM
    labelled = labels > 0
    share = 1 - float(outside[labelled].mean()) if labelled.any() else 0.0
    title = found.made_by
    if share < _LEAST_INSIDE:
        raise UserError(
            f"Only {share:.0%} of {title} lies in this scan's brain: give the segmentation of this scan.",
            option="segmentation",
        )
    sentences = []
    if share < _MOSTLY_INSIDE:
        sentences.append(
            f"Only {share:.0%} of {title} lies in this scan's brain: check that it was made from this scan."
        )
    both = _on_both_sides(found, to_template)
    if both:
        sentences.append(f"{both} of {title} lies on both sides of the brain: check that its values are FreeSurfer's.")
    return tuple(sentences)


def _on_both_sides(found: Segmentation, to_template: Affine) -> str:
    """The first structure of one side that lies to a third or more on the other side of the template's midplane."""
    labels = np.asarray(found.labels.array)[::2, ::2, ::2]
    right = (to_template @ found.labels.affine)[0]
    along = [2 * right[axis] * np.arange(size) for axis, size in enumerate(labels.shape)]
    place = along[0][:, None, None] + along[1][:, None] + along[2] + right[3]
    for one in found.structures:
        side = freesurfer.side_of(one.label)
        if not side or not freesurfer.is_known(one.label) or one.name != freesurfer.name_of(one.label):
            continue
        there = place[labels == one.label]
        wrong = there > 0 if side == "left" else there < 0
        if there.size and wrong.mean() > _OTHER_SIDE:
            return one.name
    return ""


def _on_the_wrong_side(placed: Array, scan: Volume, named_by_user: set[int]) -> str:
    """The first left structure that lies to the right of its counterpart, if most do; "" if they do not.

    Labels that the user names mean something else than FreeSurfer's.
    """
    thin = placed[::2, ::2, ::2]
    size = int(thin.max(initial=0)) + 1
    if size > 3000:  # parcels end below it; more would only take memory
        thin, size = np.where(thin < 3000, thin, 0), 3000
    flat = thin.ravel()
    count = np.bincount(flat, minlength=size)
    # R mm of each voxel; what is common to all does not matter.
    along = [np.arange(n) * scan.affine[0, axis] for axis, n in enumerate(thin.shape)]
    right = (along[0][:, None, None] + along[1][:, None] + along[2]).ravel()
    middle = np.bincount(flat, weights=right, minlength=size) / np.maximum(count, 1)
    pairs = [
        (int(label), other)
        for label in np.flatnonzero(count)
        if freesurfer.side_of(int(label)) == "left"
        and (other := freesurfer.opposite_of(int(label))) is not None
        and other < size
        and count[other]
        and not {int(label), other} & named_by_user
    ]
    wrong = [left for left, other in pairs if middle[left] > middle[other]]
    return freesurfer.name_of(wrong[0]) if len(wrong) > len(pairs) / 2 else ""
