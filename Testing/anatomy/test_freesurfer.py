"""FreeSurfer's table of labels: values, names, sides."""

from __future__ import annotations

import pytest
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.atlas import load_default_atlas, mirrored_name


def test_values_and_names_agree_with_another_copy_of_the_table() -> None:
    """The atlas's own table was made from FreeSurfer's; its thalamus has the name of older versions."""
    atlas = {region.label: region.name.removesuffix("-Proper") for region in load_default_atlas().regions}
    assert len(atlas) > 100
    assert {label: freesurfer.name_of(label) for label in atlas} == atlas


def test_the_other_side_is_the_one_with_the_other_sides_name() -> None:
    for label in freesurfer.LABELS:
        name, other = freesurfer.name_of(label), freesurfer.opposite_of(label)
        if freesurfer.side_of(label) == "left":
            assert other is not None
            assert freesurfer.name_of(other) == mirrored_name(name) or name.startswith("Left-")
            assert freesurfer.opposite_of(other) == label
            assert freesurfer.side_of(other) == "right"
        elif not freesurfer.side_of(label):
            assert other is None


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (17, "Left hippocampus"),
        (44, "Right inferior lateral ventricle"),
        (14, "Third ventricle"),
        (16, "Brain stem"),
        (1003, "Left caudal middle frontal cortex"),
        (2006, "Right entorhinal cortex"),
        (2001, "Right banks of the superior temporal sulcus"),
    ],
)
def test_names_in_words(label: int, words: str) -> None:
    assert freesurfer.reader_name(freesurfer.name_of(label)) == words


def test_what_is_a_parcel() -> None:
    assert sum(map(freesurfer.is_parcel, freesurfer.LABELS)) == 68
    assert not freesurfer.is_parcel(3)
    assert not freesurfer.is_parcel(1004)  # the corpus callosum's number, which aparc+aseg never holds
