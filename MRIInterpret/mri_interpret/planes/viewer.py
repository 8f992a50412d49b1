"""The planes to click through, as pieces of a page that fetches nothing: markup, style, data and script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.volume import Array, Grid, Volume, resample
from .colour_scale import read_colour_table
from .niivue import LICENCE, niivue_source, niivue_version
from .packing import packed, packed_bytes
from .slices import CONVENTION, Box, Floats, as_float, brain_box, scan_window
from .viewer_map import SHARES, Brain, ViewerMap

_TEMPLATES = Path(__file__).with_name("templates")
_NO_REGION = ("outside the brain", "no region")


@dataclass(frozen=True)
class Viewer:
    """Pieces of a page.

    Attributes
    ----------
    markup
        What stands where the planes are to be; hidden until the script runs.
    style
        Rules for the style sheet.
    tail
        What stands at the end of the page: the data, niivue's licence, and the script.
    policy
        The page's ``script-src``: this script by its hash, and niivue, which it unpacks.
    """

    markup: str
    style: str
    tail: str
    policy: str


@dataclass(frozen=True)
class Planes:
    """What the viewer shows.

    Attributes
    ----------
    scan
        Behind the maps, any grid.
    mask
        The brain, on the grid of the maps' files.
    labels, names
        The regions on the mask's grid, and their names by label; None where there are none.
    maps
        The first is shown first.
    start
        Where the cursor begins, RAS mm; None for the middle of the brain.
    """

    scan: Volume
    mask: Volume
    labels: Volume | None
    names: Mapping[int, str]
    maps: Sequence[ViewerMap]
    start: Floats | None = None


def viewer(planes: Planes, *, has_rows: bool = False, spacing: float | None = None) -> Viewer:
    """The viewer's pieces.

    Parameters
    ----------
    planes
        What it shows.
    has_rows
        Whether the page has a table whose rows have ``data-peak``, "R A S" in mm.
    spacing
        Of the scan behind the maps, in mm; about 1 for a human brain if left out. Never finer than the scan.

    Raises
    ------
    UserError
        If niivue is not installed.
    """
    from markupsafe import Markup

    script = (_TEMPLATES / "viewer.js").read_text(encoding="utf-8")
    style = (_TEMPLATES / "viewer.css").read_text(encoding="utf-8")
    # No text of the data can end the element that holds it. All is ASCII, and so is the script, because a frame takes
    # on the encoding of the page around it.
    data = json.dumps(_data(planes, spacing), allow_nan=False).replace("<", "\\u003c")
    tail = (
        f'<script type="text/plain" id="niivue-licence">{LICENCE.read_text(encoding="utf-8")}</script>\n'
        f'<script type="application/json" id="planes-data">{data}</script>\n<script>{script}</script>'
    )
    policy = f"script-src 'sha256-{script_hash(script)}' blob:"
    # Marked as what pages need not escape: it is made here, and the data's text cannot leave its element.
    return Viewer(Markup(_markup(has_rows)), Markup(style), Markup(tail), Markup(policy))


def viewer_page(pieces: Viewer, title: str) -> str:
    """A page of the viewer alone, for a frame in a notebook."""
    from html import escape

    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {pieces.policy}"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>body {{ margin: 0; font: 14px/1.4 '
        f"system-ui, sans-serif; color: #1d232b; background: #fff; }} {pieces.style}</style></head><body>"
        f"<main>{pieces.markup}</main>{pieces.tail}</body></html>"
    )


def script_hash(script: str) -> str:
    """A script's SHA-256 in base64, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _markup(has_rows: bool) -> str:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True)
    template = environment.get_template("viewer.html.j2")
    return template.render(has_rows=has_rows, convention=CONVENTION, niivue=niivue_version())


@cache
def _packed_niivue() -> str:
    return packed_bytes(niivue_source().encode())


def _data(planes: Planes, spacing: float | None) -> dict[str, Any]:
    """What viewer.js reads."""
    if not planes.maps:
        raise UserError("There is no map to show: give at least one.")
    box = brain_box(planes.mask)
    grid = box.grid(max(spacing or box.spacing, min(planes.scan.grid.spacing)))
    brain, affine = Brain(planes.mask), planes.mask.affine
    maps = [_told(one.record(brain)) for one in planes.maps]
    names, labels = _labels(planes)
    return {
        "niivue": _packed_niivue(),
        "grid": {
            "shape": list(grid.shape),
            "low": grid.affine[:3, 3].tolist(),
            "spacing": float(grid.affine[0, 0]),
            "headers": {name: packed_bytes(_header(grid, name)) for name in ("uint8", "float32")},
            "scan": packed(_grey(planes.scan, planes.mask, grid)),
        },
        "scan": {"affine": affine.ravel().tolist(), "to_voxel": np.linalg.inv(affine).ravel().tolist()},
        "labels": {
            "order": 0,
            "names": names,
            "to_voxel": np.linalg.inv(labels.affine).ravel().tolist(),
            **packed(labels.array),
        },
        "maps": maps,
        "shares": list(SHARES),
        "colours": _colours({one["colours"]: bool(one["signed"]) for one in maps}),
        "start": (_middle(box) if planes.start is None else np.asarray(planes.start)).tolist(),
    }


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a sentence on how exact its values are."""
    if record["names"]:
        sentence = "" if not record["error"] else "The map's file on the scan's grid has other labels at some voxels."
        return record | {"about": sentence}
    sentence = (
        f"Values are kept in steps of {record['size']:.2g} and interpolated from the grid the map was computed on. "
        f"Compared at {record['compared']:,} voxels with the map's file, they differ by at most {record['error']:.2g}. "
        f"Colours end at {record['limit']:.3g}."
    )
    return record | {"about": sentence}


def _middle(box: Box) -> Floats:
    return (box.brain_low + box.brain_high) / 2


def _grey(scan: Volume, mask: Volume, grid: Grid) -> Array:
    scan = as_float(scan)
    same = scan.grid.same_as(mask.grid)
    low, high = scan_window(scan, mask if same else resample(mask, scan.grid, order=0))
    values = (resample(scan, grid).array - low) / (high - low)
    levels = np.clip(np.rint(127 * values), 0, 127).astype(np.uint8)  # more greys nobody sees; noise is half the page
    return np.asarray(2 * levels)


def _labels(planes: Planes) -> tuple[list[str], Volume]:
    """Names, and the volume of their places in the list: 0 outside the brain, 1 where no region is."""
    inside = np.asarray(planes.mask.array) > 0
    places = inside.astype(np.uint16)
    names = list(_NO_REGION)
    if planes.labels is not None and inside.any():
        found, index = np.unique(planes.labels.array[inside], return_inverse=True)
        place_of = np.ones(len(found), dtype=np.uint16)
        for n, label in enumerate(found):
            if int(label) in planes.names:
                place_of[n] = len(names)
                names.append(planes.names[int(label)])
        places[inside] = place_of[index]
    first = np.array([0, 0, 0])
    if inside.any():
        corners = np.argwhere(inside)
        first, last = corners.min(axis=0), corners.max(axis=0) + 1
        places = places[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    affine = planes.mask.affine.copy()
    affine[:3, 3] = affine[:3, :3] @ first + affine[:3, 3]
    return names, Volume(places.astype(np.uint8) if len(names) <= 256 else places, affine)


def _header(grid: Grid, dtype: str) -> bytes:
    """The head of a NIfTI file that the script puts before a volume's values."""
    from nibabel.nifti1 import Nifti1Header

    header = Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_sform(grid.affine, code=1)
    header.set_qform(grid.affine, code=1)
    header.set_xyzt_units("mm")
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["cal_min"], header["cal_max"] = 0, 255 if dtype == "uint8" else 1
    return bytes(header.binaryblock + bytes(4))


def _colours(tables: Mapping[str, bool]) -> dict[str, list[list[int]]]:
    """256 colours of each table; of a signed one its two halves, from 0 outwards."""
    found = {}
    for name, signed in tables.items():
        rows = np.array([colour[:3] for _, colour in read_colour_table(name)])
        halves = {"+": rows[len(rows) // 2 :], "-": rows[: len(rows) // 2][::-1]} if signed else {"": rows}
        for sign, part in halves.items():
            at = np.linspace(0, len(part) - 1, 256)
            spread = [np.interp(at, np.arange(len(part)), part[:, channel]) for channel in range(3)]
            found[name + sign] = np.rint(255 * np.stack(spread, axis=1)).astype(int).tolist()
    return found
