"""Volumes as people read them: a row for each structure, left beside right, with what must be said about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..thresholds import SMALLEST_REGION_ML
from . import freesurfer
from .segmentation import Segmentation, Structure


@dataclass(frozen=True)
class PairedVolume:
    """A structure of both sides, or one of the midline.

    Attributes
    ----------
    name
        In words, without a side: "Hippocampus".
    left, right, middle
        Left and right; or the middle one alone. A side that the brain lacks is None.
    """

    name: str
    left: Structure | None = None
    right: Structure | None = None
    middle: Structure | None = None

    @property
    def parts(self) -> tuple[Structure, ...]:
        """What there is of left, right and middle."""
        return tuple(one for one in (self.left, self.right, self.middle) if one is not None)

    @property
    def is_parcel(self) -> bool:
        """Whether it is one of the Desikan-Killiany parcels of the cortex."""
        return freesurfer.is_parcel(self.parts[0].label)

    @property
    def ml(self) -> float:
        """Of both sides together."""
        return sum(one.ml for one in self.parts)

    @property
    def share(self) -> float:
        """Of the intracranial volume, both sides together, 0 to 1."""
        return sum(one.share for one in self.parts)

    @property
    def asymmetry(self) -> float:
        """(left - right) / (left + right) of the volumes, NaN if it has no two sides."""
        if self.left is None or self.right is None or self.left.ml + self.right.ml <= 0:
            return math.nan
        return (self.left.ml - self.right.ml) / (self.left.ml + self.right.ml)

    @property
    def dice(self) -> float:
        """Of the network on anatomies kept from its training, mean of the sides; NaN if it was not measured."""
        return _mean(one.dice for one in self.parts)

    @property
    def volume_error(self) -> float:
        """Likewise its relative error of the volume."""
        return _mean(one.volume_error for one in self.parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know: where the network is unsure, and what is too small for a statement."""
        unsure = [one for one in self.parts if not one.sure]
        small = [one for one in self.parts if one.too_small]
        return tuple(
            f"{text}{self._sides(found)}"
            for text, found in (("unsure", unsure), (f"below {SMALLEST_REGION_ML:g} ml", small))
            if found
        )

    def _sides(self, found: list[Structure]) -> str:
        if self.middle is not None or len(found) == 2:
            return ""
        return " (left)" if found[0] is self.left else " (right)"


def paired_volumes(structures: Iterable[Structure]) -> tuple[PairedVolume, ...]:
    """A row for each structure of both sides, in the order of the left labels: first structures, then parcels."""
    by_label = {one.label: one for one in structures}
    rows = []
    for label, one in sorted(by_label.items()):
        side, other = freesurfer.side_of(label), freesurfer.opposite_of(label)
        opposite = by_label.get(other) if other is not None else None
        if side == "left":
            rows.append(PairedVolume(_without_side(one), left=one, right=opposite))
        elif side == "right" and opposite is None:
            rows.append(PairedVolume(_without_side(one), right=one))
        elif not side:
            rows.append(PairedVolume(one.reader_name, middle=one))
    return tuple(sorted(rows, key=lambda row: row.is_parcel))


def volumes_sentence(segmentation: Segmentation) -> str:
    """The intracranial volume, and the hippocampi: what is read first in a brain with dementia."""
    parts = [f"Intracranial volume {segmentation.intracranial_ml:,.0f} ml"]
    for row in paired_volumes(segmentation.structures):
        if row.name == "Hippocampus" and row.left and row.right:
            sides = f"{row.left.ml:.2f} ml left and {row.right.ml:.2f} ml right"
            parts.append(f"hippocampus {sides} ({row.share:.2%} of it)")
    return "; ".join(parts) + "."


def _without_side(structure: Structure) -> str:
    words = structure.reader_name.removeprefix("Left ").removeprefix("Right ")
    return words[0].upper() + words[1:]


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan
