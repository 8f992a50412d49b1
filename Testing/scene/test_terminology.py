"""Codes of structures: Slicer reads them, its list has them, and no two structures share one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import slicer
from mri_interpret.explanation.explanation import Region
from mri_interpret.images.volume import Volume
from mri_interpret.scene.atlas import add_atlas
from mri_interpret.scene.geometry import fill_volume_node, volume_of
from mri_interpret.scene.nodes import NodeMaker
from mri_interpret.scene_content.terminology import CONTEXT, PRIVATE_SCHEME, terminology_of
from mri_interpret.scene_content.vtk_images import finished
from vtkmodules.vtkCommonCore import vtkIntArray

# The types of context group 7153 (CNS segmentation types) in the list that ships with Slicer.
LIST = Path(__file__).with_name("references") / "slicer_terminology.tsv"
CODED = [
    *("Cerebral-White-Matter", "Cerebral-Cortex", "Lateral-Ventricle", "Cerebellum-White-Matter", "Thalamus"),
    *("Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala", "Accumbens-area"),
]
NAMES = [
    *(f"{side}-{name}" for side in ("Left", "Right") for name in CODED),
    *("ctx-lh-entorhinal", "ctx-rh-entorhinal", "ctx-lh-insula", "ctx-rh-insula"),
    *("3rd-Ventricle", "4th-Ventricle", "Brain-Stem", "CSF", "Optic-Chiasm", "Corpus_Callosum"),
]


def entry_of(name, label=17):
    """A structure's code, as Slicer's own logic reads it."""
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(terminology_of(name, label), entry)
    return entry


def test_slicer_reads_the_code_of_the_right_hippocampus():
    entry = entry_of("Right-Hippocampus")
    assert entry.GetTerminologyContextName() == CONTEXT
    assert entry.GetCategoryObject().GetCodeMeaning() == "Anatomical Structure"
    kind, side = entry.GetTypeObject(), entry.GetTypeModifierObject()
    assert (kind.GetCodingSchemeDesignator(), kind.GetCodeValue()) == ("SCT", "5366008")
    assert (side.GetCodeValue(), side.GetCodeMeaning()) == ("24028007", "Right")
    assert entry.GetRegionContextName() in (None, "")
    again = slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(entry)
    assert again == terminology_of("Right-Hippocampus", 17)


@pytest.mark.parametrize("name", NAMES)
def test_slicers_list_has_every_code_with_that_meaning(name):
    with LIST.open(encoding="utf-8", newline="") as file:
        listed = {row["code"]: row for row in csv.DictReader(file, delimiter="\t")}
    kind = entry_of(name).GetTypeObject()
    row = listed[kind.GetCodeValue()]
    assert (row["scheme"], row["meaning"]) == (kind.GetCodingSchemeDesignator(), kind.GetCodeMeaning())


def test_the_side_is_that_of_the_name():
    for name in NAMES:
        side = entry_of(name).GetTypeModifierObject().GetCodeMeaning() or ""
        expected = (
            "Left" if name.startswith(("Left", "ctx-lh")) else "Right" if "-rh-" in name or "Right" in name else ""
        )
        assert side == expected


def test_no_two_structures_share_a_code():
    codes = [terminology_of(name, 17) for name in NAMES]
    assert len(set(codes)) == len(codes) == 32


@pytest.mark.parametrize("name", ["ctx-lh-precuneus", "Left-VentralDC", "CC_Anterior", "Hippocampus_L", "a~b^c"])
def test_what_the_list_lacks_has_its_label_as_a_private_code(name):
    kind = entry_of(name, 1025).GetTypeObject()
    assert (kind.GetCodingSchemeDesignator(), kind.GetCodeValue()) == (PRIVATE_SCHEME, "1025")
    assert kind.GetCodeMeaning() == name.replace("~", " ").replace("^", " ")
    assert len(PRIVATE_SCHEME) <= 16  # DICOM's short string
    assert PRIVATE_SCHEME.startswith("99")  # DICOM's prefix of private schemes


def test_slicer_exports_structures_with_and_without_code_as_the_labels_that_they_were(headless):
    """Segments that share a code, such as the "Tissue" that Slicer gives every new segment, would all become one."""
    names = {17: "Left-Hippocampus", 28: "Left-VentralDC", 1025: "ctx-lh-precuneus", 1028: "ctx-lh-superiorfrontal"}
    labels = np.array(list(names), np.int16)[np.arange(12**3).reshape(12, 12, 12) % 4]
    scan = headless.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    fill_volume_node(scan, Volume(labels, np.eye(4)))
    regions = [Region(label, name, (1.0, 0.0, 0.0)) for label, name in names.items()]
    make = NodeMaker(headless.scene, "run", "")
    node = finished(add_atlas(make, Volume(labels, np.eye(4)), regions, "regions", scan))
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(number) for number in range(4)]
    values = vtkIntArray()
    for one in ids:
        values.InsertNextValue(segmentation.GetSegment(one).GetLabelValue())
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    table = logic.AddColorTableNodeForSegmentation(node)
    assert logic.ExportSegmentsToColorTableNode(node, ids, table, values)
    exported = headless.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "exported")
    whole = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    assert logic.ExportSegmentsToLabelmapNode(node, ids, exported, scan, whole, table)
    np.testing.assert_array_equal(volume_of(exported).array, labels)
