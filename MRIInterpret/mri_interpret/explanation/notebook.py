"""How a notebook shows an explanation and its maps: self-contained HTML, with every text escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array, Volume
from .answer_words import share_words
from .facts import Prediction

_HEIGHT = 180  # pixels of each picture on the page
_PERCENTILE = 99.5  # of the magnitudes in the brain: where colours end, so that one voxel does not darken all others
_FAINTEST = 0.15  # share of that below which the scan is seen alone
_BANNER = "background:#fff3cd;color:#5c3c00;padding:6px 10px;font-weight:600"


def banner_html(text: str) -> str:
    """What must be read first."""
    return f'<div style="{_BANNER}">{escape(text)}</div>'


def facts_html(facts: Iterable[tuple[str, str]]) -> str:
    """Names and values as a table."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f"<table>{rows}</table>"


def probabilities_html(prediction: Prediction) -> str:
    """A bar for each class, with the deviation over the networks of the model if it has several; not of a quantity."""
    if not prediction.probabilities:
        return ""
    deviations = prediction.members_sd or {}
    bars = "".join(
        f'<tr><td style="text-align:left">{escape(name)}</td><td style="text-align:left">'
        f'<span style="display:inline-block;width:{round(180 * value)}px;height:0.7em;background:#1f5fa8"></span> '
        f"{escape(share_words(value, deviations.get(name), 1))}</td></tr>"
        for name, value in prediction.probabilities.items()
    )
    return f"<table>{bars}</table>"


def list_html(title: str, sentences: Iterable[str]) -> str:
    """Sentences under a heading; nothing without sentences."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<p><b>{escape(title)}</b></p><ul>{items}</ul>" if items else ""


def map_html(title: str, units: str, volume: Volume, signed: bool) -> str:
    """A map by itself: its title, its units, and slices through its strongest voxel."""
    colours = "red for the target, blue against it" if signed else "brighter means more"
    shape = " × ".join(map(str, volume.shape))
    return (
        f"<div><b>{escape(title)}</b><br>{shape} voxels, {escape(units)}; {colours}<br>"
        f"{pictures_html(volume, signed=signed)}</div>"
    )


def pictures_html(volume: Volume, *, signed: bool, scan: Volume | None = None, mask: Volume | None = None) -> str:
    """Sagittal, coronal and axial slice through a map's strongest voxel, in colour, over the scan if it is given.

    Parameters
    ----------
    volume
        The map, shape (I, J, K).
    signed
        Whether both signs carry meaning: red and blue, else one scale from dark red to yellow.
    scan, mask
        On the map's grid. Only what lies in the mask is coloured.
    """
    values, spacing = _towards_ras(volume, np.nan_to_num(np.asarray(volume.array, dtype=np.float32)))
    inside = np.ones(values.shape, bool) if mask is None else _towards_ras(mask, mask.array)[0] > 0
    values = np.where(inside, values, 0)
    magnitudes = np.abs(values[inside])
    limit = float(np.percentile(magnitudes, _PERCENTILE)) if magnitudes.size else 0.0
    limit = limit or float(magnitudes.max(initial=0)) or 1.0
    grey = np.zeros(values.shape) if scan is None else _grey(_towards_ras(scan, scan.array)[0], inside)
    peak = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    html = []
    for axis, name in ((0, "Sagittal"), (1, "Coronal"), (2, "Axial")):
        across, up = (other for other in range(3) if other != axis)
        # Rows from the top; columns from the patient's right (sagittal: from the front).
        plane, behind = (np.take(one, peak[axis], axis).T[::-1, ::-1] for one in (values, grey))
        png = _png(_coloured(plane, behind, limit, signed), spacing[up] / spacing[across])
        data = base64.b64encode(png).decode("ascii")
        html.append(
            f'<img alt="{name} slice through the strongest voxel" title="{name}" '
            f'style="height:{_HEIGHT}px;margin:2px;background:#000" src="data:image/png;base64,{data}">'
        )
    return "".join(html)


def _towards_ras(volume: Volume, array: Array) -> tuple[Array, NDArray[np.float64]]:
    """The array with axes that point nearest to R, A and S, and the spacing along them."""
    from nibabel.orientations import apply_orientation, io_orientation

    orientation = io_orientation(volume.affine)
    spacing = np.empty(3)
    spacing[orientation[:, 0].astype(int)] = volume.grid.spacing
    return apply_orientation(np.asarray(array), orientation), spacing


def _grey(scan: Array, inside: Array) -> NDArray[np.float64]:
    """The scan from 0 to 1, white at the brain's brightest tissue."""
    values = np.asarray(scan, dtype=np.float64)
    high = float(np.percentile(values[inside], 99.5)) if inside.any() else float(values.max())
    return np.clip(values / high, 0, 1) if high > 0 else np.zeros(values.shape)


def _coloured(values: Array, grey: Array, limit: float, signed: bool) -> NDArray[np.uint8]:
    """RGB of a plane: the map's colours over grey, the more opaque the stronger."""
    strength = np.clip(np.abs(values) / limit, 0, 1)[..., None]
    if signed:
        colour = np.where(values[..., None] > 0, (0.84, 0.15, 0.16), (0.12, 0.37, 0.85))
    else:
        colour = np.array((0.75, 0.1, 0.1)) + strength * np.array((0.25, 0.8, 0.2))  # dark red to yellow
    opacity = np.where(strength < _FAINTEST, 0, 0.35 + 0.6 * strength)
    return np.asarray(255 * ((1 - opacity) * grey[..., None] + opacity * colour)).astype(np.uint8)


def _png(picture: NDArray[np.uint8], aspect: float) -> bytes:
    """``aspect``: the height of a voxel over its width."""
    from PIL import Image

    image = Image.fromarray(picture)
    image = image.resize((image.width, max(1, round(image.height * aspect))))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
