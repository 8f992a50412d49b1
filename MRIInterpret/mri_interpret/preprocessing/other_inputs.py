"""Further images that a network takes beside the scan: the right ones, over the whole brain, on the scan's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import UserError
from ..images.volume import Grid, Volume, resample
from ..thresholds import INPUT_BRAIN_KEPT

#: Channels that are made of the scan itself.
OF_THE_SCAN = ("image", "mask")


def check_names(channels: Sequence[str], given: Mapping[str, Volume]) -> None:
    """Refuse an image that the network does not take, and a missing one.

    Parameters
    ----------
    channels
        The network's, in order: "image", "mask", or the names of further images.
    given
        Further images by channel.

    Raises
    ------
    UserError
        One sentence that names the channel.
    """
    wanted = [name for name in channels if name not in OF_THE_SCAN]
    for name in given:
        if name not in wanted:
            takes = f"beside the scan it takes {', '.join(wanted)}" if wanted else "it takes the scan alone"
            raise UserError(f"The model takes no input '{name}': {takes}.", option="input")
    for name in wanted:
        if name not in given:
            raise UserError(f"The model wants the further input '{name}': give its file too.", option="input")


def check_places(given: Mapping[str, Volume], brain: Volume) -> None:
    """Refuse an image that does not reach over the brain, or holds nothing there.

    Parameters
    ----------
    given
        Further images by channel, in the scan's world (RAS mm), on any grid.
    brain
        Above 0 in the brain, on the scan's grid.

    Raises
    ------
    UserError
        One sentence that names the image.
    """
    inside = np.asarray(brain.array) > 0
    for name, image in given.items():
        if not np.isfinite(image.array).all():
            raise UserError(f"The input '{name}' ({image.name}) has voxels that are NaN or infinite.", option="input")
        if image.grid.same_as(brain.grid, tolerance=1e-2):
            covered = 1.0
        else:
            everywhere = Volume(np.ones(image.shape, dtype=np.float32), image.affine)
            covered = float((resample(everywhere, brain.grid).array[inside] > 0.5).mean())
        if covered < INPUT_BRAIN_KEPT:
            raise UserError(
                f"The input '{name}' ({image.name}) covers {covered:.0%} of the scan's brain: it must show the same "
                "brain at the same place, so register it to the scan first.",
                option="input",
            )
        values = on_scan_grid(image, brain.grid).array[inside]
        if float(values.min()) == float(values.max()):
            raise UserError(f"The input '{name}' ({image.name}) is constant in the brain.", option="input")


def on_scan_grid(image: Volume, grid: Grid) -> Volume:
    """The image on the scan's grid: as it is where it lies there, else interpolated (trilinear)."""
    return image if image.grid.same_as(grid, tolerance=1e-2) else resample(image, grid)
