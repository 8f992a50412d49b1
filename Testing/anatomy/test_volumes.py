"""The table of volumes, and the structures as regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.anatomy.segmentation import Segmentation, Structure, segmentation_of_user
from mri_interpret.anatomy.structures_as_regions import BRAIN, as_regions
from mri_interpret.anatomy.volumes import VOLUME_COLUMNS, structures_in_csv, volume_table
from mri_interpret.images.volume import Volume

NAN = float("nan")


def _segmentation() -> Segmentation:
    structures = (
        Structure(3, "Left-Cerebral-Cortex", "Left cerebral cortex", 240.0, 0.16, 0.05, True, 0.8, 0.04),
        Structure(16, "Brain-Stem", "Brain stem", 20.0, 0.0133, 0.01, True),
        Structure(17, "Left-Hippocampus", "Left hippocampus", 3.0, 0.002, 0.1, True, 0.85, 0.06),
        Structure(53, "Right-Hippocampus", "Right hippocampus", 1.0 / 3, 0.0002, 0.4, False, 0.84, 0.07),
        Structure(1006, "ctx-lh-entorhinal", "Left entorhinal cortex", 0.0, 0.0, NAN, False),
    )
    labels = np.zeros((4, 4, 4), np.int16)
    labels[0, 0] = 17, 53, 16, 1006
    return Segmentation(Volume(labels), structures, 1500.0, "network")


def test_one_row_for_each_structure() -> None:
    table = volume_table(_segmentation())
    assert tuple(table.columns) == VOLUME_COLUMNS
    assert list(table["structure"]) == [one.name for one in _segmentation().structures]
    by_name = table.set_index("structure")
    expected = (3.0 - 1 / 3) / (3.0 + 1 / 3)
    assert by_name.loc["Left-Hippocampus", "asymmetry"] == pytest.approx(expected)
    assert by_name.loc["Right-Hippocampus", "asymmetry"] == pytest.approx(expected)
    assert math.isnan(by_name.loc["Brain-Stem", "asymmetry"])
    assert math.isnan(by_name.loc["Left-Cerebral-Cortex", "asymmetry"])  # its other side is not there
    assert list(table["too_small"]) == [False, False, False, False, True]
    assert math.isnan(by_name.loc["Brain-Stem", "dice"])


def test_structures_come_back_from_a_file() -> None:
    found = _segmentation()
    text = volume_table(found).to_csv(index=False)
    back = structures_in_csv(text)
    assert [repr(one) for one in back] == [repr(one) for one in found.structures]


def test_structures_are_regions_but_the_cortex_only_by_its_parcels() -> None:
    found = as_regions(_segmentation())
    assert found.name == BRAIN
    assert [region.label for region in found.regions] == [16, 17, 53, 1006]
    assert found.opposite() == {17: 53}
    assert found.volume is not None
    labels = np.zeros((4, 4, 4), np.int16)
    labels[0], labels[1], labels[2] = 3, 42, 7777
    own = as_regions(segmentation_of_user(Volume(labels), Volume(np.zeros((4, 4, 4)))))
    assert [region.name for region in own.regions] == ["Left-Cerebral-Cortex", "Right-Cerebral-Cortex", "Label-7777"]
