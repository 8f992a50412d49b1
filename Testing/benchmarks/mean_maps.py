"""The benchmark's picture: one row per method, the true effect first, each the mean over AD subjects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from MRIInterpretLib.attribution import available_methods
from MRIInterpretLib.report.canvas import FILM, as_webp, new_figure
from MRIInterpretLib.report.colours import relevance_scale
from MRIInterpretLib.report.display import brain_box, cut
from MRIInterpretLib.volume import Grid, Volume
from numpy.typing import NDArray

# Planes and positions (mm) that cross hippocampus, amygdala and ventricles.
SLICES = (
    *(("coronal", -10.0), ("coronal", -22.0), ("coronal", -34.0)),
    *(("axial", -18.0), ("axial", 4.0), ("sagittal", 27.0)),
)


@dataclass
class MeanMaps:
    """Running sums over subjects."""

    count: int = 0
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """Add the maps of one subject, as the benchmark stored them."""
        with np.load(path) as stored:
            for name in stored.files:
                values = stored[name].astype(np.float64)
                self.sums[name] = self.sums.get(name, 0.0) + (np.abs(values) if name == "effect" else values)
        self.count += 1

    def mean(self, name: str) -> NDArray[np.float32]:
        return (self.sums[name] / self.count).astype(np.float32)


def mean_map_picture(means: MeanMaps, grid: Grid) -> bytes:
    """WebP: methods as rows, slices as columns; every map scaled to its own 99.5th percentile."""
    scan = Volume(means.mean("image"), grid.affine)
    mask = Volume((scan.array > 0.1).astype(np.uint8), grid.affine)
    box = brain_box(mask)
    names = ["effect", *(name for name in means.sums if name not in ("image", "effect"))]
    titles = {name: info.title for name, info in available_methods().items()}
    titles |= {"effect": "True effect\n(mean size of change)", "summary": "Summary score"}
    width, side = 12.4, 1.72
    with new_figure(width, side * len(names), FILM) as figure:
        for row, name in enumerate(names):
            values = means.mean(name)
            if name == "summary":  # ranks: show what lies above the brain's median
                values = np.maximum(values - np.median(values[mask.array > 0]), 0)
            scale = relevance_scale(values, mask.array, bool(values.min() < 0), "")
            bottom = 1 - (row + 1) / len(names)
            figure.text(0.01, bottom + 0.5 / len(names), titles.get(name, name), color="white", fontsize=9, va="center")
            for column, (plane, position) in enumerate(SLICES):
                left = (2.06 + column * side) / width
                axes = figure.add_axes((left, bottom, side / width, 0.98 / len(names)))
                axes.set_axis_off()
                axes.imshow(cut(scan, plane, position, box), cmap="gray", vmin=0, vmax=1)
                axes.imshow(scale.rgba(cut(Volume(values, grid.affine), plane, position, box)))
                if plane != "sagittal":
                    for x, letter in ((0.02, "R"), (0.92, "L")):
                        axes.text(x, 0.5, letter, transform=axes.transAxes, color="white", fontsize=7)
                if row == 0:
                    text = f"{plane} {position:+.0f} mm"
                    axes.text(
                        0.5, 0.98, text, transform=axes.transAxes, color="white", fontsize=7, ha="center", va="top"
                    )
        return as_webp(figure, 110)
