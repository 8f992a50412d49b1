"""A map as a notebook shows it: its facts and its middle slices."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.floating]

_HEIGHT = 160  # pixels of each picture on the page
_PERCENTILE = 99.5  # of the absolute values: where colours end, so that one voxel does not darken all others


class OneMap(Protocol):
    """What is shown of a map; :class:`result.Attribution` documents it."""

    @property
    def map(self) -> Tensor: ...
    @property
    def title(self) -> str: ...
    @property
    def units(self) -> str: ...
    @property
    def signed(self) -> bool: ...
    @property
    def details(self) -> dict[str, Any]: ...
    def numpy(self) -> Array:
        """The first sample's map."""
        ...


def attribution_html(attribution: OneMap) -> str:
    """An HTML fragment, self-contained: title, units, shape, sum, conservation, and the middle slices as PNG.

    Signed maps are red where they speak for the target and blue where they speak against it. Axes are those of the
    network's input; only the first sample is shown.
    """
    array = attribution.numpy()
    shape = " × ".join(map(str, attribution.map.shape[1:]))
    samples = attribution.map.shape[0]
    lines = [
        f"<b>{html.escape(attribution.title)}</b>",
        f"{shape} voxels, {html.escape(attribution.units)}" + (f", first of {samples} samples" if samples > 1 else ""),
        _sum_line(attribution, array),
    ]
    colours = "red: for the target, blue: against it" if attribution.signed else "brighter: more"
    limit = _limit(array)
    lines.append(f"Colours up to {'±' if attribution.signed else ''}{limit:.3g}; {colours}")
    pictures = "".join(
        f'<img alt="{name}" title="{name}" style="height:{_HEIGHT}px;margin:2px;image-rendering:pixelated" '
        f'src="data:image/png;base64,{base64.b64encode(_png(plane, limit, attribution.signed)).decode("ascii")}">'
        for name, plane in _middle_slices(array)
    )
    return f"<div>{'<br>'.join(lines)}<br>{pictures}</div>"


def attributions_html(maps_by_name: Mapping[str, OneMap], logits: Tensor, values: Tensor, told: Iterable[str]) -> str:
    """Logits (N, classes), values explained (N,), notices, and every map."""
    explained = ", ".join(f"{value:.4g}" for value in values.tolist())
    outputs = "; ".join(", ".join(f"{value:.4g}" for value in row) for row in logits.tolist())
    maps = "".join(attribution_html(attribution) for attribution in maps_by_name.values())
    notices = "".join(f"<br>{html.escape(notice)}" for notice in told)
    return f"<div>Outputs: {outputs}<br>Value explained: {explained}{notices}{maps}</div>"


def _sum_line(attribution: OneMap, array: Array) -> str:
    line = f"Sum {float(array.sum(dtype=np.float64)):.4g}"
    explained = attribution.details.get("value")
    if explained:
        line += f", value explained {explained[0]:.4g}"
    for key, words in (("conservation_error", "not conserved"), ("completeness_error", "error of completeness")):
        if key in attribution.details:
            line += f", {words}: {100 * attribution.details[key][0]:.2g} %"
    return line


def _limit(array: Array) -> float:
    limit = float(np.percentile(np.abs(array), _PERCENTILE))
    return limit if limit > 0 else float(np.abs(array).max()) or 1.0


def _middle_slices(array: Array) -> list[tuple[str, Array]]:
    if array.ndim == 1:
        return [("values", array[None])]
    if array.ndim == 2:
        return [("map", array.T[::-1])]
    middles = [(axis, array.shape[axis] // 2) for axis in range(3)]
    # The last axis of what is left points up, as for an RAS volume.
    return [(f"axis {axis}, slice {at}", np.take(array, at, axis).T[::-1]) for axis, at in middles]


def _png(plane: Array, limit: float, signed: bool) -> bytes:
    import matplotlib as mpl
    from matplotlib.image import imsave

    low, name = (-limit, "RdBu_r") if signed else (0.0, "inferno")
    stream = io.BytesIO()
    imsave(stream, np.ascontiguousarray(plane), vmin=low, vmax=limit, cmap=mpl.colormaps[name], format="png")
    return stream.getvalue()
