"""A volume as a notebook shows it: its numbers and its three middle slices."""

from __future__ import annotations

import base64
import html
import io

import numpy as np

from .grid import Array, Voxels

_HEIGHT = 160  # pixels of each picture on the page


def volume_html(volume: Voxels) -> str:
    """An HTML fragment, self-contained: name, shape, spacing, orientation, value range, and three slices as PNG.

    Slices are shown as radiologists see them: right of the brain on the left of the picture, front and top up.
    """
    from nibabel.orientations import aff2axcodes

    shape = " × ".join(map(str, volume.shape))
    spacing = " × ".join(f"{size:.3g}" for size in volume.grid.spacing)
    finite = volume.array[np.isfinite(volume.array)]
    values = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "none finite"
    axes = "".join(str(code) for code in aff2axcodes(volume.affine))
    lines = [
        f"<b>{html.escape(volume.name or 'Volume')}</b>",
        f"{shape} voxels of {spacing} mm, axes {axes}, {volume.array.dtype}, {values}",
        *(html.escape(note) for note in volume.notes),
    ]
    pictures = "".join(
        f'<img alt="{name} slice" title="{name}" style="height:{_HEIGHT}px;background:#000;margin:2px" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}">'
        for name, png in _middle_slices(volume)
    )
    return f"<div>{'<br>'.join(lines)}<br>{pictures}</div>"


def _middle_slices(volume: Voxels) -> list[tuple[str, bytes]]:
    from nibabel.orientations import apply_orientation, io_orientation

    orientation = io_orientation(volume.affine)
    canonical = apply_orientation(np.asarray(volume.array), orientation)  # axes R, A, S
    spacing = np.empty(3)
    spacing[orientation[:, 0].astype(int)] = volume.grid.spacing
    low, high = _window(canonical)
    pictures = []
    for axis, name in ((0, "Sagittal"), (1, "Coronal"), (2, "Axial")):
        across, up = (other for other in range(3) if other != axis)
        plane = np.take(canonical, canonical.shape[axis] // 2, axis).T[::-1]
        # Front is on the left of a sagittal slice, right on the left of the others: the first axis runs leftwards.
        plane = plane[:, ::-1]
        pictures.append((name, _png(plane, low, high, spacing[up] / spacing[across])))
    return pictures


def _window(array: Array) -> tuple[float, float]:
    values = array[np.isfinite(array)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, [1, 99]))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def _png(plane: Array, low: float, high: float, aspect: float) -> bytes:
    """A plane, rows from the top, as a grey PNG; ``aspect`` is the height of a voxel over its width."""
    from PIL import Image

    grey = np.clip((np.nan_to_num(plane.astype(np.float32)) - low) / (high - low), 0, 1) * 255
    picture = Image.fromarray(grey.astype(np.uint8))
    picture = picture.resize((picture.width, max(1, round(picture.height * aspect))))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
