"""Left beside right, with shares of both and what must be said."""

from __future__ import annotations

import math

import pytest
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.paired_volumes import paired_volumes
from mri_interpret.anatomy.segmentation import Structure


def structure(label: int, ml: float, *, sure: bool = True, dice: float | None = None) -> Structure:
    name = freesurfer.name_of(label) if freesurfer.is_known(label) else f"Label-{label}"
    return Structure(label, name, freesurfer.reader_name(name), ml, ml / 1500, 0.1, sure, dice, dice and 1 - dice)


def test_both_sides_are_one_row_and_the_midline_another() -> None:
    rows = paired_volumes(
        [structure(53, 3.0, dice=0.8), structure(14, 1.2), structure(17, 2.0, dice=0.9), structure(1006, 2.0)]
    )
    assert [row.name for row in rows] == ["Third ventricle", "Hippocampus", "Entorhinal cortex"]
    third, hippocampus = rows[:2]
    assert (hippocampus.left.ml, hippocampus.right.ml, hippocampus.middle) == (2.0, 3.0, None)
    assert hippocampus.ml == pytest.approx(5.0)
    assert hippocampus.share == pytest.approx(5 / 1500)
    assert hippocampus.asymmetry == pytest.approx(-0.2)
    assert hippocampus.dice == pytest.approx(0.85)
    assert hippocampus.volume_error == pytest.approx(0.15)
    assert (third.middle.ml, third.left, third.right) == (1.2, None, None)
    assert math.isnan(third.asymmetry)
    assert math.isnan(third.dice)
    assert [row.is_parcel for row in rows] == [False, False, True]


def test_a_side_that_the_brain_lacks_is_none_on_either_side() -> None:
    left, right = paired_volumes([structure(17, 2.0), structure(54, 1.0)])
    assert (left.name, left.right) == ("Hippocampus", None)
    assert (right.name, right.left) == ("Amygdala", None)
    assert math.isnan(left.asymmetry)
    assert left.ml == 2.0


def test_what_is_unsure_or_too_small_is_said_with_its_side() -> None:
    both, one, middle, fine = paired_volumes(
        [
            structure(5, 0.1, sure=False), structure(44, 0.2, sure=False),
            structure(26, 0.5, sure=False), structure(58, 0.29),
            structure(15, 0.0), structure(18, 1.0), structure(54, 0.3),
        ]
    )  # fmt: skip
    rows = {row.name: row.remarks for row in (both, one, middle, fine)}
    assert rows["Inferior lateral ventricle"] == ("unsure", "below 0.3 ml")
    assert rows["Accumbens"] == ("unsure (left)", "below 0.3 ml (right)")
    assert rows["Fourth ventricle"] == ("below 0.3 ml",)
    assert rows["Amygdala"] == ()


def test_labels_that_nobody_named_are_rows_of_their_own() -> None:
    (row,) = paired_volumes([structure(777, 4.0)])
    assert (row.name, row.ml) == ("Label 777", 4.0)
