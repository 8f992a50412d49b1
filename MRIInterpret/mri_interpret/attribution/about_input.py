"""What is known of an input besides its values: where the brain is, its regions and fluid, the size of its voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .engine.torch_modes import plain_tensor
from .input_checks import as_tensor, check_on_grid

NO_SPACING = "The voxel size was not given: lengths and volumes count a voxel as a cube of 1 mm."


@dataclass(frozen=True)
class AboutInput:
    """What is known of an input of the network; the same for all samples of a batch.

    Attributes
    ----------
    mask
        (I, J, K) bool, true inside the brain; None where it is not known.
    regions
        (I, J, K), integer labels.
    fluid
        (I, J, K), share of each voxel that is fluid, 0 to 1.
    spacing
        Voxel size in mm along the spatial axes.
    """

    mask: Tensor | None = None
    regions: Tensor | None = None
    fluid: Tensor | None = None
    spacing: tuple[float, ...] | None = None

    def on(self, device: torch.device) -> AboutInput:
        """The same on a device, as the methods take it."""

        def moved(values: Tensor | None) -> Tensor | None:
            return None if values is None else plain_tensor(values).to(device)

        mask, regions, fluid = moved(self.mask), moved(self.regions), moved(self.fluid)
        return replace(
            self,
            mask=None if mask is None else mask.bool(),
            regions=None if regions is None else regions.long(),
            fluid=None if fluid is None else fluid.float(),
        )


def read_about(mask: Any, regions: Any, fluid: Any, spacing: Sequence[float] | None, x: Tensor) -> AboutInput:
    """What a caller says of the input ``x``, checked.

    Raises
    ------
    UserError
        If something lies on another grid, labels are no whole numbers, shares are not between 0 and 1, or the voxel
        size is none.
    """
    about = AboutInput(as_tensor(mask), as_tensor(regions), as_tensor(fluid), _read_spacing(spacing, x))
    check_on_grid(about.mask, x, "voxels of the brain mask")
    check_on_grid(about.regions, x, "region labels", whole=True)
    check_on_grid(about.fluid, x, "shares of fluid")
    shares = about.fluid
    # Not a number is in no interval either.
    if shares is not None and not bool(((shares >= -1e-6) & (shares <= 1 + 1e-6)).all()):
        raise UserError("The shares of fluid are not between 0 and 1: give the part of each voxel that is fluid.")
    return about


def _read_spacing(spacing: Sequence[float] | None, x: Tensor) -> tuple[float, ...] | None:
    if spacing is None:
        return None
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != x.dim() - 2 or not all(math.isfinite(size) and size > 0 for size in sizes):
        words = ", ".join(f"{size:g}" for size in sizes)
        raise UserError(f"The voxel size ({words}) is not {x.dim() - 2} lengths above zero in mm, one for each axis.")
    return sizes
