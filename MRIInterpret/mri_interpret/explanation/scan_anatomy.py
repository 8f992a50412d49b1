"""The anatomy of the scan that is explained: segmented by the network, kept in the cache, or given by the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.segment_names import with_named_segments
from ..anatomy.segmentation import DEFAULT_BUNDLE, Segmentation, segment, segmentation_of_user
from ..anatomy.segmentation_bundle import load_segmentation_bundle
from ..anatomy.user_segmentation import check_place
from ..anatomy.volumes import structures_in_csv, volume_table
from ..errors import UserError
from ..images.conversion import as_volume
from ..images.nrrd import segment_names
from ..images.volume import Volume
from ..preprocessing.cache import PreprocessingCache, content_hash
from ..preprocessing.pipeline import PreprocessedScan
from ..progress import ProgressCallback

_METHOD = 3  # raise when the same network gives other labels or volumes for the same scan


def read_segmentation(segmentation: Any, scan: Volume) -> Segmentation | None:
    """The user's segmentation, looked at before any work is done; None if there is none.

    Raises
    ------
    UserError
        If it cannot be read, is no segmentation of this scan, or lies on another grid although it is a
        :class:`Segmentation`.
    """
    if segmentation is None or (isinstance(segmentation, str) and not segmentation):
        return None
    if isinstance(segmentation, Segmentation):
        if not segmentation.labels.grid.same_as(scan.grid):
            raise UserError("The segmentation lies on another grid than the scan: give its labels as an image.")
        return segmentation
    labels = as_volume(segmentation, name="segmentation")
    names: dict[int, str] = {}
    if isinstance(segmentation, str | Path) and str(segmentation).lower().endswith(".nrrd"):
        segments = segment_names(Path(segmentation).expanduser())
        if segments:
            labels, names = with_named_segments(labels, segments)
    return segmentation_of_user(labels, scan, names=names)


def anatomy_of(
    prepared: PreprocessedScan,
    given: Segmentation | None,
    device: str,
    cache: PreprocessingCache,
    progress: ProgressCallback,
) -> Segmentation:
    """The segmentation of a scan on its own grid.

    Parameters
    ----------
    given
        The user's, on the scan's grid, with warnings added; the network's if None.
    cache
        Keeps the network's, by the scan, its alignment, its mask and the network's checksum.
    """
    mask = prepared.mask.volume
    # The skull's inside is not in every segmentation; the brain's outline is the nearest thing that is known.
    outline_ml = float(np.count_nonzero(mask.array)) * mask.grid.voxel_volume / 1000
    if given is not None:
        told = check_place(given, mask, prepared.to_template)
        given = replace(given, warnings=(*given.warnings, *told))
        return given if given.intracranial_ml >= outline_ml else with_intracranial(given, outline_ml)
    bundle = load_segmentation_bundle(DEFAULT_BUNDLE)
    affine = np.round(prepared.to_template, 6).tolist()
    known = [bundle.name, bundle.version, bundle.hash, bundle.held_out, bundle.unsure_entropy]
    key = cache.key("anatomy", _METHOD, prepared.scan_hash, content_hash(mask), affine, known)
    stored = cache.load(key)
    if stored is not None and stored["labels"].shape == prepared.scan.shape:
        return _from_arrays(stored, prepared.scan)
    found = segment(
        prepared.scan, prepared.to_template, brain_mask=mask, bundle=bundle, device=device, progress=progress
    )
    cache.store(key, **_as_arrays(found))
    return found


def with_intracranial(found: Segmentation, intracranial_ml: float) -> Segmentation:
    """The same with shares of another intracranial volume."""
    structures = tuple(replace(one, share=one.ml / intracranial_ml) for one in found.structures)
    return replace(found, structures=structures, intracranial_ml=intracranial_ml)


def _as_arrays(found: Segmentation) -> dict[str, np.ndarray]:
    return {
        "labels": found.labels.array,
        "volumes": np.array(volume_table(found).to_csv(index=False)),
        "intracranial_ml": np.array(found.intracranial_ml),
        "made_by": np.array(found.made_by),
        "warnings": np.array(found.warnings, dtype=np.str_),
    }


def _from_arrays(stored: dict[str, np.ndarray], scan: Volume) -> Segmentation:
    return Segmentation(
        labels=Volume(stored["labels"], scan.affine, "anatomy"),
        structures=structures_in_csv(str(stored["volumes"])),
        intracranial_ml=float(stored["intracranial_ml"]),
        source="network",
        warnings=tuple(str(sentence) for sentence in stored["warnings"]),
        made_by=str(stored["made_by"]),
    )
