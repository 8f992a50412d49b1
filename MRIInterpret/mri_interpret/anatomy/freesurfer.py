"""FreeSurfer's structures: label values, names and colours of its lookup table (aseg and the Desikan-Killiany parcels).

The values are FreeSurfer's (Fischl et al. 2002, doi:10.1016/S0896-6273(02)00569-X; Desikan et al. 2006,
doi:10.1016/j.neuroimage.2006.01.021), so that what is written here opens with the right names in every other program.
"""

from __future__ import annotations

import re

Colour = tuple[float, float, float]  # red, green, blue from 0 to 1

#: Label: name, red, green, blue (0 to 255).
_ASEG: dict[int, tuple[str, int, int, int]] = {
    14: ("3rd-Ventricle", 204, 182, 142),
    15: ("4th-Ventricle", 42, 204, 164),
    16: ("Brain-Stem", 119, 159, 176),
    24: ("CSF", 60, 60, 60),
    72: ("5th-Ventricle", 120, 190, 150),
    77: ("WM-hypointensities", 200, 70, 255),
    78: ("Left-WM-hypointensities", 255, 148, 10),
    79: ("Right-WM-hypointensities", 255, 148, 10),
    80: ("non-WM-hypointensities", 164, 108, 226),
    81: ("Left-non-WM-hypointensities", 164, 108, 226),
    82: ("Right-non-WM-hypointensities", 164, 108, 226),
    85: ("Optic-Chiasm", 234, 169, 30),
    192: ("Corpus_Callosum", 250, 255, 50),
    251: ("CC_Posterior", 0, 0, 64),
    252: ("CC_Mid_Posterior", 0, 0, 112),
    253: ("CC_Central", 0, 0, 160),
    254: ("CC_Mid_Anterior", 0, 0, 208),
    255: ("CC_Anterior", 0, 0, 255),
}
#: Name without side: left label, right label, red, green, blue.
_PAIRS: dict[str, tuple[int, int, int, int, int]] = {
    "Cerebral-White-Matter": (2, 41, 245, 245, 245),
    "Cerebral-Cortex": (3, 42, 205, 62, 78),
    "Lateral-Ventricle": (4, 43, 120, 18, 134),
    "Inf-Lat-Vent": (5, 44, 196, 58, 250),
    "Cerebellum-White-Matter": (7, 46, 220, 248, 164),
    "Cerebellum-Cortex": (8, 47, 230, 148, 34),
    "Thalamus": (10, 49, 0, 118, 14),
    "Caudate": (11, 50, 122, 186, 220),
    "Putamen": (12, 51, 236, 13, 176),
    "Pallidum": (13, 52, 12, 48, 255),
    "Hippocampus": (17, 53, 220, 216, 20),
    "Amygdala": (18, 54, 103, 255, 255),
    "Lesion": (25, 57, 255, 165, 0),
    "Accumbens-area": (26, 58, 255, 165, 0),
    "VentralDC": (28, 60, 165, 42, 42),
    "vessel": (30, 62, 160, 32, 240),
    "choroid-plexus": (31, 63, 0, 200, 200),
}
_COLOUR_EXCEPTIONS = {41: (0, 225, 0), 63: (0, 200, 221)}
#: Number of a Desikan-Killiany parcel (its label is that plus 1000 left, plus 2000 right): name, red, green, blue.
_PARCELS: dict[int, tuple[str, int, int, int]] = {
    1: ("bankssts", 25, 100, 40),
    2: ("caudalanteriorcingulate", 125, 100, 160),
    3: ("caudalmiddlefrontal", 100, 25, 0),
    5: ("cuneus", 220, 20, 100),
    6: ("entorhinal", 220, 20, 10),
    7: ("fusiform", 180, 220, 140),
    8: ("inferiorparietal", 220, 60, 220),
    9: ("inferiortemporal", 180, 40, 120),
    10: ("isthmuscingulate", 140, 20, 140),
    11: ("lateraloccipital", 20, 30, 140),
    12: ("lateralorbitofrontal", 35, 75, 50),
    13: ("lingual", 225, 140, 140),
    14: ("medialorbitofrontal", 200, 35, 75),
    15: ("middletemporal", 160, 100, 50),
    16: ("parahippocampal", 20, 220, 60),
    17: ("paracentral", 60, 220, 60),
    18: ("parsopercularis", 220, 180, 140),
    19: ("parsorbitalis", 20, 100, 50),
    20: ("parstriangularis", 220, 60, 20),
    21: ("pericalcarine", 120, 100, 60),
    22: ("postcentral", 220, 20, 20),
    23: ("posteriorcingulate", 220, 180, 220),
    24: ("precentral", 60, 20, 220),
    25: ("precuneus", 160, 140, 180),
    26: ("rostralanteriorcingulate", 80, 20, 140),
    27: ("rostralmiddlefrontal", 75, 50, 125),
    28: ("superiorfrontal", 20, 220, 160),
    29: ("superiorparietal", 20, 180, 140),
    30: ("superiortemporal", 140, 220, 220),
    31: ("supramarginal", 80, 160, 20),
    32: ("frontalpole", 100, 0, 100),
    33: ("temporalpole", 70, 70, 70),
    34: ("transversetemporal", 150, 150, 200),
    35: ("insula", 255, 192, 32),
}
_READER_PARCELS = {
    "bankssts": "banks of the superior temporal sulcus",
    "transversetemporal": "transverse temporal cortex",
    "parahippocampal": "parahippocampal cortex",
    "entorhinal": "entorhinal cortex",
    "insula": "insula",
    "isthmuscingulate": "isthmus of the cingulate cortex",
    "frontalpole": "frontal pole",
    "temporalpole": "temporal pole",
    "cuneus": "cuneus",
    "precuneus": "precuneus",
    "fusiform": "fusiform gyrus",
    "lingual": "lingual gyrus",
    "precentral": "precentral gyrus",
    "postcentral": "postcentral gyrus",
    "supramarginal": "supramarginal gyrus",
    "paracentral": "paracentral lobule",
    "pericalcarine": "pericalcarine cortex",
    "parsopercularis": "pars opercularis",
    "parsorbitalis": "pars orbitalis",
    "parstriangularis": "pars triangularis",
}
_READER_WORDS = (
    *("caudal", "rostral", "isthmus", "lateral", "medial", "superior", "inferior", "middle", "posterior", "anterior"),
    *("orbitofrontal", "cingulate", "frontal", "parietal", "temporal", "occipital"),
)
_READER_STRUCTURES = {
    "Inf-Lat-Vent": "inferior lateral ventricle",
    "VentralDC": "ventral diencephalon",
    "Accumbens-area": "accumbens",
    "Cerebellum-White-Matter": "cerebellar white matter",
    "Cerebellum-Cortex": "cerebellar cortex",
    "vessel": "vessel",
    "3rd-Ventricle": "third ventricle",
    "4th-Ventricle": "fourth ventricle",
    "5th-Ventricle": "fifth ventricle",
    "CSF": "CSF outside the ventricles",
    "WM-hypointensities": "white matter hypointensities",
    "non-WM-hypointensities": "hypointensities outside the white matter",
    "Corpus_Callosum": "corpus callosum",
    "CC_Posterior": "corpus callosum, posterior",
    "CC_Mid_Posterior": "corpus callosum, mid-posterior",
    "CC_Central": "corpus callosum, central",
    "CC_Mid_Anterior": "corpus callosum, mid-anterior",
    "CC_Anterior": "corpus callosum, anterior",
}

LEFT_CORTEX, RIGHT_CORTEX = 3, 42
CSF = 24


def _table() -> dict[int, tuple[str, Colour]]:
    table = {label: (name, (red / 255, green / 255, blue / 255)) for label, (name, red, green, blue) in _ASEG.items()}
    for name, (left, right, *rgb) in _PAIRS.items():
        for side, label in (("Left", left), ("Right", right)):
            red, green, blue = _COLOUR_EXCEPTIONS.get(label, tuple(rgb))
            table[label] = f"{side}-{name}", (red / 255, green / 255, blue / 255)
    for number, (name, red, green, blue) in _PARCELS.items():
        for side, base in (("lh", 1000), ("rh", 2000)):
            table[base + number] = f"ctx-{side}-{name}", (red / 255, green / 255, blue / 255)
    return dict(sorted(table.items()))


_TABLE = _table()
_BY_NAME = {name: label for label, (name, _) in _TABLE.items()}
_OPPOSITE = {
    label: _BY_NAME[other]
    for label, (name, _) in _TABLE.items()
    for here, there in (("Left-", "Right-"), ("Right-", "Left-"), ("ctx-lh-", "ctx-rh-"), ("ctx-rh-", "ctx-lh-"))
    if name.startswith(here) and (other := there + name.removeprefix(here)) in _BY_NAME
}
LABELS = tuple(_TABLE)  # every value that has a name, ascending; 0 is no structure


def is_known(label: int) -> bool:
    """Whether FreeSurfer's table, as far as it is kept here, names a label."""
    return label in _TABLE


def name_of(label: int) -> str:
    """FreeSurfer's name of a label, for instance "Left-Hippocampus" or "ctx-rh-entorhinal".

    Raises
    ------
    KeyError
        If the label is not known (:func:`is_known`).
    """
    return _TABLE[label][0]


def colour_of(label: int) -> Colour:
    """FreeSurfer's colour of a label: red, green, blue from 0 to 1."""
    return _TABLE[label][1]


def label_of(name: str) -> int:
    """The label of a FreeSurfer name.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    return _BY_NAME[name]


def reader_name(name: str) -> str:
    """A FreeSurfer name in words: "Left-Hippocampus" is "Left hippocampus", "ctx-rh-precuneus" is "Right precuneus"."""
    parcel = re.fullmatch(r"ctx-([lr])h-(.+)", name)
    if parcel is not None:
        side, what = {"l": "Left", "r": "Right"}[parcel.group(1)], parcel.group(2)
        return f"{side} {_READER_PARCELS.get(what) or _spaced(what)}"
    side_match = re.fullmatch(r"(Left|Right)-(.+)", name)
    side, what = side_match.groups() if side_match else ("", name)
    words = _READER_STRUCTURES.get(what) or what.replace("-", " ").replace("_", " ").lower()
    return f"{side} {words}" if side else words[0].upper() + words[1:]


def _spaced(name: str) -> str:
    """A parcel's name, whose words FreeSurfer writes together, with spaces; an adjective is followed by "cortex"."""
    words = re.findall("|".join(_READER_WORDS), name)
    spaced = " ".join(words) if "".join(words) == name else name
    return f"{spaced} cortex"


def side_of(label: int) -> str:
    """ "left", "right" or "" (midline or unknown) by the label's name."""
    name = _TABLE[label][0] if label in _TABLE else ""
    if name.startswith(("Left-", "ctx-lh-")):
        return "left"
    return "right" if name.startswith(("Right-", "ctx-rh-")) else ""


def opposite_of(label: int) -> int | None:
    """The label of the same structure on the other side, None for structures of the midline."""
    return _OPPOSITE.get(label)


def is_parcel(label: int) -> bool:
    """Whether a label is one of the Desikan-Killiany parcels of the cortex."""
    return 1000 < label < 3000 and label in _TABLE
