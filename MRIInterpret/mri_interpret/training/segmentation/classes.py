"""The structures that the segmentation network tells apart, and how the simulator's codes map to them."""

from __future__ import annotations

import numpy as np

from ...simulation.structures import NAMES

_PAIRED = (
    *("Cerebral-White-Matter", "Cerebral-Cortex", "Lateral-Ventricle", "Inf-Lat-Vent", "Cerebellum-White-Matter"),
    *("Cerebellum-Cortex", "Thalamus", "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala", "Accumbens-area"),
    "VentralDC",
)
_SINGLE = ("3rd-Ventricle", "4th-Ventricle", "Brain-Stem", "CSF")
#: FreeSurfer's names in the order of the network's logits.
CLASSES = ("Background", *(f"{side}-{name}" for name in _PAIRED for side in ("Left", "Right")), *_SINGLE)
# Small details that the network does not name, and the structure that they lie in.
_WITHIN = {"choroid-plexus": "Lateral-Ventricle", "Lesion": "Cerebral-White-Matter", "vessel": "Putamen"}

_OTHER = {"Left": "Right", "Right": "Left"}


def _class_of(name: str) -> int:
    side, _, rest = name.partition("-")
    if rest in _WITHIN:
        name = f"{side}-{_WITHIN[rest]}"
    if name == "Optic-Chiasm":
        name = "CSF"
    return CLASSES.index(name) if name in CLASSES else 0


def _on_the_other_side(name: str) -> str:
    side, _, rest = name.partition("-")
    return f"{_OTHER[side]}-{rest}" if side in _OTHER else name


#: Simulator's code to class.
CLASS_OF_CODE = np.array([_class_of(name) for name in NAMES], dtype=np.uint8)
#: Simulator's code to the same structure's code on the other side.
MIRRORED_CODE = np.array([NAMES.index(_on_the_other_side(name)) for name in NAMES], dtype=np.uint8)
#: Classes whose borders get half of the voxels that a step looks at.
DEEP = np.array([not name.endswith(("Background", "White-Matter", "Cortex", "CSF")) for name in CLASSES])
