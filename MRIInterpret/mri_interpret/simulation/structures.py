"""The anatomical structures that the simulator knows: names, FreeSurfer labels, tissue classes, region groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Structure(NamedTuple):
    """One row of the table; a structure's *code* is its row number, which fits a byte."""

    name: str
    labels: tuple[int, ...]  # FreeSurfer values that are read as this structure
    tissue: str  # structures of one tissue share a T1 intensity


def _pair(name: str, left: tuple[int, ...], right: tuple[int, ...], tissue: str) -> tuple[Structure, Structure]:
    return Structure(f"Left-{name}", left, tissue), Structure(f"Right-{name}", right, tissue)


_EXTRA_CEREBRAL = (502, 506, 507, 508, 509, 511, 512, 514, 515, 516, 530)

STRUCTURES: tuple[Structure, ...] = (
    Structure("Background", (0,), "background"),
    *_pair("Cerebral-White-Matter", (2, 251, 252, 253, 254, 255, 77), (41,), "white matter"),
    *_pair("Cerebral-Cortex", (3,), (42,), "grey matter"),
    *_pair("Lateral-Ventricle", (4,), (43,), "CSF"),
    *_pair("Inf-Lat-Vent", (5,), (44,), "CSF"),
    *_pair("Cerebellum-White-Matter", (7,), (46,), "cerebellar white matter"),
    *_pair("Cerebellum-Cortex", (8,), (47,), "cerebellar grey matter"),
    *_pair("Thalamus", (10,), (49,), "thalamus"),
    *_pair("Caudate", (11,), (50,), "grey matter"),
    *_pair("Putamen", (12,), (51,), "putamen"),
    *_pair("Pallidum", (13,), (52,), "pallidum"),
    Structure("3rd-Ventricle", (14, 72), "CSF"),
    Structure("4th-Ventricle", (15,), "CSF"),
    Structure("Brain-Stem", (16,), "brain stem"),
    *_pair("Hippocampus", (17,), (53,), "grey matter"),
    *_pair("Amygdala", (18,), (54,), "grey matter"),
    Structure("CSF", (24,), "CSF"),
    *_pair("Lesion", (25,), (57,), "lesion"),
    *_pair("Accumbens-area", (26,), (58,), "grey matter"),
    *_pair("VentralDC", (28,), (60,), "ventral diencephalon"),
    *_pair("vessel", (30,), (62,), "vessel"),
    Structure("Optic-Chiasm", (85,), "white matter"),
    *_pair("choroid-plexus", (31, 136, 137), (63, 163, 164), "choroid plexus"),
    *(Structure(f"Extra-cerebral-{label}", (label,), f"extra-cerebral {label}") for label in _EXTRA_CEREBRAL),
)
NAMES = tuple(structure.name for structure in STRUCTURES)
TISSUES = tuple(dict.fromkeys(structure.tissue for structure in STRUCTURES))
TISSUE_OF_CODE: NDArray[np.intp] = np.array([TISSUES.index(structure.tissue) for structure in STRUCTURES])

# Both sides of each: the simulator cannot deform or measure an anatomy without them.
_NEEDED = ("Cerebral-White-Matter", "Cerebral-Cortex", "Lateral-Ventricle", "Inf-Lat-Vent", "Hippocampus", "Amygdala")
NEEDED = tuple(f"{side}-{name}" for name in _NEEDED for side in ("Left", "Right"))


def codes(*names: str) -> tuple[int, ...]:
    """Codes of all structures whose name ends with one of ``names`` ("Hippocampus" means both sides)."""
    found = tuple(code for code, name in enumerate(NAMES) if name.endswith(names) and not name.startswith("Extra"))
    if not found:
        raise ValueError(f"no structure is called {names}")
    return found


def member(*names: str) -> NDArray[np.bool_]:
    """Boolean table over codes: which belong to ``names``."""
    table = np.zeros(len(STRUCTURES), dtype=bool)
    table[list(codes(*names))] = True
    return table


# Everything inside the skull; the denominator of the hippocampal fraction.
INTRACRANIAL: NDArray[np.bool_] = np.array(
    [s.tissue != "background" and not s.tissue.startswith("extra") for s in STRUCTURES]
)
# Tissue and ventricles, that is, the skull's inside without the CSF around the brain.
BRAIN: NDArray[np.bool_] = INTRACRANIAL & ~np.isin(np.array(NAMES), ("CSF", "Left-vessel", "Right-vessel"))

# The dense targets that help training (see training/heads.py), as groups of structures.
TARGETS: dict[str, NDArray[np.bool_]] = {
    "hippocampus": member("Hippocampus"),
    "amygdala": member("Amygdala"),
    "inferior lateral ventricle": member("Inf-Lat-Vent"),
    "lateral ventricle": member("Lateral-Ventricle", "choroid-plexus"),
    "cortex": member("Cerebral-Cortex"),
    "white matter": member("Cerebral-White-Matter"),
    "CSF": np.isin(np.array(NAMES), ("CSF", "3rd-Ventricle", "4th-Ventricle")),
}


def code_of_label(maximum: int = 4096) -> NDArray[np.uint8]:
    """Look-up table from FreeSurfer value to code; Desikan-Killiany parcels are cortex; unknown values background."""
    table = np.zeros(maximum, dtype=np.uint8)
    table[1000:2000] = NAMES.index("Left-Cerebral-Cortex")
    table[2000:3000] = NAMES.index("Right-Cerebral-Cortex")
    for code, structure in enumerate(STRUCTURES):
        for label in structure.labels:
            table[label] = code
    return table
