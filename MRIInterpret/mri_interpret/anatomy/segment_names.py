"""Segments that are called by names, as 3D Slicer calls them: which of FreeSurfer's structures each is."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import UserError
from ..images.volume import Volume
from . import freesurfer

FIRST_OWN = 20_001  # of segments that are no structure of aseg or aparc, whose labels are all smaller
# How Slicer calls the segments of a label image without a table of names.
_NUMBERED = re.compile(r"(?:segment|label)[_ -](\d+)", re.IGNORECASE)


def label_of_words(name: str) -> int | None:
    """FreeSurfer's label of a name in any order and case: "Hippocampus_left" is "Left-Hippocampus"; else None."""
    return _BY_WORDS.get(_words(name))


def number_in(name: str) -> int | None:
    """FreeSurfer's label in a name such as "Segment_17"; None if there is none, or FreeSurfer does not know it."""
    numbered = _NUMBERED.fullmatch(name.strip())
    value = int(numbered.group(1)) if numbered else None
    return value if value is not None and freesurfer.is_known(value) else None


def _words(name: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"[a-z]+|\d+", name.lower())))


_BY_WORDS = {
    **{_words(freesurfer.reader_name(freesurfer.name_of(label))): label for label in freesurfer.LABELS},
    **{_words(freesurfer.name_of(label)): label for label in freesurfer.LABELS},
}


def with_named_segments(volume: Volume, segments: Mapping[int, str]) -> tuple[Volume, dict[int, str]]:
    """Labels of a file that names its segments, as FreeSurfer's or as regions of their own.

    Parameters
    ----------
    volume
        Whole numbers, (I, J, K).
    segments
        Each value's name. A segment is the FreeSurfer structure of its name, else of the number in it, else a region
        of its own.

    Returns
    -------
    tuple
        The volume with labels in the place of values, int32, and label to name of the regions of their own.

    Raises
    ------
    UserError
        If the volume holds a value that no segment has.
    """
    values = np.asarray(volume.array)
    found = [int(value) for value in np.unique(values) if value > 0]
    unnamed = [value for value in found if value not in segments]
    if unnamed:
        raise UserError(
            f"{volume.name} holds the value {unnamed[0]}, which is none of its segments: save it again in Slicer.",
            option="segmentation",
        )
    labels = np.zeros(values.shape, np.int32)
    taken: set[int] = set()
    own: dict[int, str] = {}
    for number, value in enumerate(segments):
        name = segments[value]
        label = label_of_words(name)
        label = number_in(name) if label is None else label
        if label is None or label in taken:
            label = FIRST_OWN + number
            own[label] = name
        taken.add(label)
        labels[values == value] = label
    return volume.with_array(labels), own
