"""Standard codes of structures, as Slicer stores them with a segment: SNOMED CT where Slicer's list has the structure.

That list is "Segmentation category and type - DICOM master list" (context groups CNS segmentation types, CID 7153, and
laterality, CID 244, of DICOM PS3.16). Structures that it lacks, such as most parcels of the cortex, have a private code
(DICOM PS3.3, 8.2), which is their label. No two segments may share a code, not even the "Tissue" that Slicer gives to
segments without one: Slicer matches segments with labels by code when it exports them, and would merge them all.
"""

from __future__ import annotations

import re

CONTEXT = "Segmentation category and type - DICOM master list"
PRIVATE_CONTEXT, PRIVATE_SCHEME = "MRIInterpret regions", "99MRIINTERPRET"
_CATEGORY = ("123037004", "Anatomical Structure")
_SIDES = {"Left": ("7771000", "Left"), "Right": ("24028007", "Right")}
#: Name without its side: code, meaning.
_PAIRED = {
    "Cerebral-White-Matter": ("68523003", "Cerebral White Matter"),
    "Cerebral-Cortex": ("40146001", "Cerebral cortex"),
    "Lateral-Ventricle": ("66720007", "Lateral ventricle"),
    "Cerebellum-White-Matter": ("33060004", "Cerebellar white matter"),
    "Thalamus": ("42695009", "Thalamus"),
    "Thalamus-Proper": ("42695009", "Thalamus"),  # its name in older tables
    "Caudate": ("11000004", "Caudate nucleus"),
    "Putamen": ("89278009", "Putamen"),
    "Pallidum": ("14738005", "Globus pallidus"),
    "Hippocampus": ("5366008", "Hippocampus"),
    "Amygdala": ("4958002", "Amygdala"),
    "Accumbens-area": ("427667007", "Nucleus accumbens"),
    "entorhinal": ("3937002", "Entorhinal Cortex"),
    "insula": ("36169008", "Insula"),
}
_MIDLINE = {
    "3rd-Ventricle": ("49841001", "Third ventricle"),
    "4th-Ventricle": ("35918002", "Fourth ventricle"),
    "Brain-Stem": ("119238007", "Brain stem"),
    "CSF": ("65216001", "Cerebrospinal Fluid"),
    "Optic-Chiasm": ("244453006", "Optic chiasm"),
    "Corpus_Callosum": ("88442005", "Corpus callosum"),
}


def terminology_of(name: str, label: int) -> str:
    """What Slicer stores with a segment: the structure's code as one text.

    The format is that of ``vtkSlicerTerminologiesModuleLogic::SerializeTerminologyEntry``: context, category, type,
    modifier, then the region's context, the region and its modifier, which are empty for structures that are a region
    by themselves.

    Parameters
    ----------
    name
        FreeSurfer's name, for instance "Left-Hippocampus" or "ctx-rh-entorhinal", or any other.
    label
        The region's label.
    """
    match = re.fullmatch(r"(?:(Left|Right)-|ctx-([lr])h-)(.+)", name)
    if match is None:
        found, modifier = _MIDLINE.get(name), "^^"
    else:
        found = _PAIRED.get(match.group(3))
        modifier = _snomed(*_SIDES[match.group(1) or {"l": "Left", "r": "Right"}[match.group(2)]])
    if found is not None:
        return "~".join([CONTEXT, _snomed(*_CATEGORY), _snomed(*found), modifier, "", "^^", "^^"])
    own = f"{PRIVATE_SCHEME}^{label}^{re.sub('[~^]', ' ', name)}"
    return "~".join([PRIVATE_CONTEXT, _snomed(*_CATEGORY), own, "^^", "", "^^", "^^"])


def _snomed(value: str, meaning: str) -> str:
    return f"SCT^{value}^{meaning}"


def name_of_code(terminology: str) -> str:
    """The FreeSurfer name of a structure by what Slicer stores with a segment; "" if the code is none of FreeSurfer's.

    The context is ignored: Slicer's lists agree on the codes, but for the thalamus, which has either of two.
    """
    return _NAMES.get(_codes(terminology.replace("SCT^119406000^", "SCT^42695009^")), "")


def _codes(terminology: str) -> tuple[str, ...]:
    """Scheme and value of type and modifier."""
    parts = terminology.split("~")
    return tuple("^".join(part.split("^")[:2]) for part in parts[2:4]) if len(parts) == 7 else ()


_NAMES = {
    _codes(terminology_of(name, 0)): name
    for name in (
        *(f"{side}-{name}" for side in _SIDES for name in _PAIRED if name[0].isupper() and name != "Thalamus-Proper"),
        *(f"ctx-{side}h-{name}" for side in "lr" for name in ("entorhinal", "insula")),
        *_MIDLINE,
    )
}
