"""From maps to a table of regions, in one call: niimg-like in, a table out that shows itself in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UserError
from ..images.conversion import as_volume
from ..images.volume import Affine, Array, Volume, resample
from .atlas import Atlas, load_atlas, load_default_atlas
from .region_statistics import RegionStatistics
from .top_regions import TopRegions, large_enough, share_outside_brain, top_regions

NAME = "map"
_SHOWN_REGIONS, _SHOWN_MAPS = 15, 4


class RegionTable:
    """Statistics of maps per region.

    Attributes
    ----------
    dataframe
        One row per map and region; columns as :meth:`RegionStatistics.table` explains them.
    """

    def __init__(self, dataframe: pd.DataFrame) -> None:
        self.dataframe = dataframe

    @property
    def maps(self) -> list[str]:
        """Names of the maps."""
        return [str(name) for name in dict.fromkeys(self.dataframe["method"])]

    def top(self, name: str | None = None, count: int = 5) -> TopRegions:
        """The regions of one map that stand out, or a sentence that says why there are none.

        Raises
        ------
        KeyError
            If there is no map of that name.
        """
        chosen = self.maps[0] if name is None else name
        if chosen not in self.maps:
            raise KeyError(f"the table has no map '{chosen}', only {', '.join(self.maps)}")
        return top_regions(self.dataframe, chosen, count)

    def outside_brain(self, name: str | None = None) -> float:
        """The share of a map's absolute relevance that lies outside the brain, 0 to 1; nothing else counts it."""
        chosen = self.maps[0] if name is None else name
        return share_outside_brain(self.dataframe, chosen, str(self.dataframe["space"].iloc[0]))

    def __len__(self) -> int:
        return len(self.dataframe)

    def __repr__(self) -> str:
        return f"RegionTable of {', '.join(self.maps)}: {self.top().sentence}"

    def _repr_html_(self) -> str:
        return region_html(self.dataframe)


def region_table(
    map: Any,
    mask: Any = None,
    atlas: Any = None,
    *,
    affine: Any = None,
    to_template: Any = None,
    name: str = NAME,
) -> RegionTable:
    """Statistics of one map, or of several, in the regions of an atlas.

    Parameters
    ----------
    map
        Relevance, or any other score, of each voxel: a path, a nibabel or SimpleITK image, a Volume, an array with
        ``affine``, or a dictionary of such maps on one grid by their names. In MNI152 space, unless ``to_template``
        says otherwise.
    mask
        Brain on the map's grid (> 0 inside): an image, or an array of the map's shape. The template's brain if left
        out.
    atlas
        Desikan-Killiany if left out; an :class:`Atlas`; or a pair of its label image (in MNI152 space) and its label
        table.
    affine
        4 x 4, voxel indices to RAS mm; for maps that are arrays.
    to_template
        4 x 4, RAS mm of the map's space to RAS mm of MNI152 space, for a map that lies in a scan's own space.
    name
        What the table calls a single map.

    Returns
    -------
    RegionTable
        Its ``dataframe`` has a row per map and region.

    Raises
    ------
    UserError
        If a map or the mask cannot be read, grids differ, a map holds NaN, or no region of the atlas lies in it.

    Examples
    --------
    >>> import numpy as np
    >>> affine = np.array([[4.0, 0, 0, -78], [0, 4, 0, -112], [0, 0, 4, -72], [0, 0, 0, 1]])
    >>> values = np.zeros((40, 48, 40))
    >>> values[26:28, 22:25, 14:15] = 1.0  # about the right hippocampus
    >>> region_table(values, affine=affine).top(count=1).sentence
    'Most relevant regions: Right-Hippocampus.'
    """
    given = dict(map) if isinstance(map, Mapping) else {name: map}
    if not given:
        raise UserError("No map was given: give at least one.")
    maps = {str(key): _map_volume(value, affine, str(key)) for key, value in given.items()}
    first = next(iter(maps.values()))
    for key, volume in maps.items():
        if not volume.grid.same_as(first.grid):
            raise UserError(f"The map '{key}' lies on another grid than the first one: give maps on one grid.")
    to_mni = _affine(to_template)
    regions = _atlas(atlas)
    labels = resample(regions.volume, first.grid, to_mni, order=0)
    inside = _brain(mask, first, to_mni)
    if not (labels.array[inside] > 0).any():
        raise UserError(
            f"No region of the atlas {regions.name} lies in the map's brain: check that the map is in MNI152 space, or "
            "give the affine that takes it there."
        )
    space = "template" if to_template is None else "native"
    statistics = RegionStatistics(labels, inside, regions, space)
    return RegionTable(statistics.table({key: volume.array for key, volume in maps.items()}))


def _map_volume(value: Any, affine: Any, name: str) -> Volume:
    is_array = isinstance(value, np.ndarray) or hasattr(value, "detach")
    volume = as_volume(value, affine if is_array else None, name)
    broken = int(np.count_nonzero(~np.isfinite(volume.array)))
    if broken:
        raise UserError(f"{broken} voxels of the map '{name}' are not finite numbers: the method that made it failed.")
    return volume


def _affine(to_template: Any) -> Affine:
    if to_template is None:
        return np.eye(4)
    matrix = np.asarray(to_template, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise UserError("The affine to the template must be an invertible 4 x 4 matrix of RAS mm.")
    return matrix


def _atlas(atlas: Any) -> Atlas:
    if atlas is None:
        return load_default_atlas()
    if isinstance(atlas, Atlas):
        return atlas
    if isinstance(atlas, tuple | list) and len(atlas) == 2:
        return load_atlas(Path(atlas[0]), Path(atlas[1]))
    raise UserError("An atlas is given as a pair: its label image, and its table of labels.")


def _brain(mask: Any, map_volume: Volume, to_mni: Affine) -> Array:
    if mask is None:
        from ..preprocessing.template import load_template

        _, template_mask = load_template(1)
        inside = resample(template_mask, map_volume.grid, to_mni, order=0).array > 0
    elif isinstance(mask, np.ndarray) or hasattr(mask, "detach"):
        array = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
        if array.shape != map_volume.shape:
            raise UserError(f"The mask has shape {array.shape}, but the map has {map_volume.shape}.")
        inside = array > 0
    else:
        volume = as_volume(mask, name="The mask")
        same = volume.grid.same_as(map_volume.grid)
        inside = (volume if same else resample(volume, map_volume.grid, order=0)).array > 0
    if not inside.any():
        raise UserError("No voxel of the map lies in the brain mask: check that both are in the same space.")
    return np.asarray(inside)


def region_html(dataframe: pd.DataFrame) -> str:
    """An HTML fragment of a table of regions: for each map the regions of highest gain, with bars."""
    names = [str(name) for name in dict.fromkeys(dataframe["method"])]
    parts = [_map_html(dataframe, name) for name in names[:_SHOWN_MAPS]]
    if len(names) > _SHOWN_MAPS:
        parts.append(f"<p>{len(names) - _SHOWN_MAPS} more maps: {html.escape(', '.join(names[_SHOWN_MAPS:]))}</p>")
    return f"<div>{''.join(parts)}</div>"


def _map_html(dataframe: pd.DataFrame, name: str) -> str:
    own = dataframe[dataframe["method"] == name]
    space = "native" if (own["space"] == "native").any() else str(own["space"].iloc[0])
    own = own[own["space"] == space]
    rows = large_enough(own[own["label"] > 0]).sort_values("gain", ascending=False, kind="stable").head(_SHOWN_REGIONS)
    highest = max(float(rows["gain"].max()) if len(rows) else 0.0, 1e-12)
    body = "".join(_row_html(row, highest) for row in rows.to_dict("records"))
    titles = ("Region", "Gain", "Share of relevance", "Mean", "Peak at R, A, S (mm)", "Left-right asymmetry")
    head = "".join(f'<th style="text-align:left">{title}</th>' for title in titles)
    outside = share_outside_brain(dataframe, name, space)
    note = f" {outside:.0%} of the map lies outside the brain and is not counted." if outside >= 0.005 else ""
    sentence = top_regions(own, name, space=space).sentence
    return (
        f"<p><b>{html.escape(name)}</b>: {html.escape(sentence)}{note}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row_html(row: Mapping[Any, Any], highest: float) -> str:
    width = max(0, round(120 * float(row["gain"]) / highest))
    bar = f'<span style="display:inline-block;width:{width}px;height:0.7em;background:#d2452a"></span>'
    peak = ", ".join(f"{row[axis]:.0f}" for axis in ("peak_r", "peak_a", "peak_s"))
    asymmetry = "" if math.isnan(row["asymmetry"]) else f"{row['asymmetry']:+.2f}"
    return (
        f'<tr><td style="text-align:left">{html.escape(str(row["region"]))}</td>'
        f'<td style="text-align:left">{bar} {row["gain"]:.1f}</td><td>{row["share"]:.1%}</td>'
        f"<td>{row['mean']:.3g}</td><td>{peak if math.isfinite(row['peak']) else ''}</td><td>{asymmetry}</td></tr>"
    )
