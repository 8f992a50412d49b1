"""Perturbation methods: hide something, and see what the score does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from ..recorded_pass import RecordedPass

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Occlusion(Method):
    """The mean drop of the score over all positions of a cuboid patch that hide a voxel.

    Parameters
    ----------
    patch
        Edge lengths of the patch in voxels; one number for all axes.
    stride
        Steps between positions; None for half a patch.
    fill
        Intensity inside the patch.
    batch
        Positions that are run together.
    """

    patch: int | tuple[int, ...] = 16
    stride: int | tuple[int, ...] | None = None
    fill: float = 0.0
    batch: int = 16

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, Visualizing and understanding, section 4.2"
    description: ClassVar[str] = "How much the score drops when a patch of the scan is hidden."

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UserError(f"Occlusion runs one position or more at a time, not {self.batch}.")

    def windows(self, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
        """The positions of the patch, cut at the volume's far edges."""
        patch = self.patch if isinstance(self.patch, tuple) else (self.patch,) * len(shape)
        step = self.stride if self.stride is not None else tuple(max(1, size // 2) for size in patch)
        stride = step if isinstance(step, tuple) else (step,) * len(shape)
        if len(patch) != len(shape) or len(stride) != len(shape) or min(*patch, *stride) < 1:
            raise UserError(f"Patch {patch} and stride {stride} do not fit an input with {len(shape)} axes.")
        starts = [
            range(0, max(1, size - width + step_), step_)
            for size, width, step_ in zip(shape, patch, stride, strict=True)
        ]
        return [
            tuple(slice(at, min(at + width, size)) for at, width, size in zip(corner, patch, shape, strict=True))
            for corner in product(*starts)
        ]

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        x = recorded.x.detach()
        windows = self.windows(recorded.shape)
        if recorded.mask is not None:
            windows = [window for window in windows if bool(recorded.mask[window].any())]
        total = torch.zeros(x.shape[0], *recorded.shape, dtype=torch.float64, device=x.device)
        count = torch.zeros(recorded.shape, dtype=torch.float64, device=x.device)
        score = recorded.occluded_values(windows, self.fill, self.batch, self.title)
        for window, value in zip(windows, score, strict=True):
            total[(slice(None), *window)] += (recorded.explained - value).reshape(-1, *[1] * len(recorded.shape))
            count[window] += 1
        return (total / count.clamp(min=1)).to(x.dtype), {"positions": len(windows)}


@dataclass(frozen=True)
class RegionOcclusion(Method):
    """The drop of the score when one atlas region is filled with something neutral; constant within a region.

    Parameters
    ----------
    fill
        ``"mean"``: the mean intensity of the brain outside the region. ``"surround"``: the mean of the voxels within
        two voxels of the region. ``"zero"``: as outside the brain.
    batch
        Regions that are run together.
    """

    fill: str = "mean"
    batch: int = 16

    name: ClassVar[str] = "region_occlusion"
    title: ClassVar[str] = "Region occlusion"
    reference: ClassVar[str] = "After Zeiler and Fergus 2014, with atlas regions in place of patches"
    description: ClassVar[str] = "How much the score drops when an atlas region is made neutral."

    def __post_init__(self) -> None:
        if self.fill not in ("mean", "surround", "zero"):
            raise UserError(f"Region occlusion fills with 'mean', 'surround' or 'zero', not {self.fill!r}.")
        if self.batch < 1:
            raise UserError(f"Region occlusion runs one region or more at a time, not {self.batch}.")

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        if recorded.regions is None:
            raise UserError("Region occlusion needs atlas labels on the input's grid (regions).")
        x, labels = recorded.x.detach(), recorded.regions
        brain = recorded.mask if recorded.mask is not None else (x != 0).any(1).any(0)
        boxes = _boxes(labels)
        drop_map = torch.zeros(x.shape[0], *recorded.shape, dtype=x.dtype, device=x.device)
        drops: dict[int, list[float]] = {}
        # Regions of like size together: a batch has one size of box.
        order = sorted(boxes, key=lambda label: prod(part.stop - part.start for part in boxes[label]))
        for first in range(0, len(order), self.batch):
            recorded.progress(self.title, first / len(order))
            chosen = order[first : first + self.batch]
            levels = {label: self._level(x, brain, labels, label, boxes[label]) for label in chosen}
            places, values = self._filled(x, labels, boxes, levels)
            for label, value in zip(chosen, recorded.values_with_boxes(places, values), strict=True):
                drop = recorded.explained - value
                drops[label] = drop.tolist()
                region = labels[boxes[label]] == label
                drop_map[(slice(None), *boxes[label])] += torch.where(region, drop.reshape(-1, *[1] * region.dim()), 0)
        return drop_map, {"drop_by_region": dict(sorted(drops.items()))}

    @staticmethod
    def _filled(
        x: Tensor, labels: Tensor, boxes: dict[int, Box], levels: dict[int, Tensor]
    ) -> tuple[list[tuple[int, ...]], Tensor]:
        """Corners and contents (regions, N, C, *size) of boxes of one size, in each of which one region is filled."""
        import torch

        shape = tuple(labels.shape)
        size = tuple(
            max(boxes[label][axis].stop - boxes[label][axis].start for label in levels) for axis in range(len(shape))
        )
        places, values = [], []
        for label, level in levels.items():
            place = tuple(min(part.start, n - m) for part, n, m in zip(boxes[label], shape, size, strict=True))
            box = tuple(slice(start, start + m) for start, m in zip(place, size, strict=True))
            places.append(place)
            values.append(torch.where(labels[box] == label, level, x[(slice(None), slice(None), *box)]))
        return places, torch.stack(values)

    def _level(self, x: Tensor, brain: Tensor, labels: Tensor, label: int, box: Box) -> Tensor:
        """What the region is filled with, (N, C, 1, ...)."""
        import torch

        if self.fill == "zero":
            return torch.zeros(*x.shape[:2], *[1] * labels.dim(), dtype=x.dtype, device=x.device)
        if self.fill == "surround":
            wide = tuple(slice(max(part.start - 2, 0), part.stop + 2) for part in box)
            region = labels[wide] == label
            around = _dilated(region, 2) & brain[wide] & ~region
            if bool(around.any()):
                return _mean(x[(slice(None), slice(None), *wide)], around)
        return _mean(x, brain & (labels != label))


def _mean(x: Tensor, where: Tensor) -> Tensor:
    """Mean of ``x`` (N, C, *spatial) over the voxels of ``where`` (*spatial), (N, C, 1, ...)."""
    level = (x * where).flatten(2).sum(2) / where.sum().clamp(min=1)
    return level.reshape(*level.shape, *[1] * where.dim())


def _boxes(labels: Tensor) -> dict[int, Box]:
    """The bounding box of every label but zero."""
    from scipy.ndimage import find_objects

    numbers, places = labels.unique(return_inverse=True)
    slices = find_objects((places + 1).cpu().numpy())
    return {int(number): box for number, box in zip(numbers, slices, strict=True) if number != 0}


def _dilated(region: Tensor, voxels: int) -> Tensor:
    import torch
    from torch.nn import functional

    pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[region.dim()]
    wide: Tensor = pool(region[None, None].to(torch.float32), 2 * voxels + 1, stride=1, padding=voxels)[0, 0] > 0
    return wide
