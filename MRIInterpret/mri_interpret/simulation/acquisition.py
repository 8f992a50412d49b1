"""A scan from a packed brain: contrast, partial volume, bias, noise, blur, misalignment, mask; all on torch.

All parameters are drawn from ``AcquisitionRange``; ``AcquisitionRange().wider(1.3)`` goes 30 % beyond it, to test the
network outside the range it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .acquisition_ranges import AS_PREPROCESSED
from .acquisition_ranges import AcquisitionRange as AcquisitionRange
from .artefacts import random_artefact
from .bank import BankItem
from .contrast import draw_contrast, draw_t1_contrast

_OUTERMOST = 0.15  # of the envelope: no mask reaches farther


@dataclass(frozen=True)
class Scan:
    """What :func:`acquire` returns, on the packed brain's model grid."""

    image: Tensor  # (1, I, J, K) float32 in [0, 1], 0 outside the mask
    mask: Tensor  # (I, J, K) bool
    targets: Tensor  # (T, I / 4, J / 4, K / 4): the packed brain's in 8 mm voxels, or 4 mm if asked for


def acquire(
    item: BankItem,
    generator: torch.Generator,
    ranges: AcquisitionRange | None = None,
    margin: int = 0,
    *,
    targets_mm: int = 8,
    device: str | torch.device = "cpu",
) -> Scan:
    """Synthesise one T1-like scan of a packed brain, as the network gets it.

    Parameters
    ----------
    item
        A brain from the bank.
    generator
        Random generator, on the CPU; the same state gives the same scan on the same kind of device.
    ranges
        The ranges to draw from; by default the training ranges, for the published disease ``AS_PREPROCESSED``.
    margin
        Voxels to crop at each face, a multiple of 4: no brain is there, and it saves two fifths of the time.
    targets_mm
        Voxel size of the targets, 4 or 8.
    device
        Where the scan is made, and stays.
    """
    return acquired(on_device(item, device), generator, ranges, margin, targets_mm=targets_mm)


@dataclass(frozen=True)
class BrainOnDevice:
    """The arrays of a :class:`.bank.BankItem` on a device."""

    inside: Tensor
    codes: Tensor
    envelope: Tensor
    targets: Tensor
    is_published: bool


def on_device(item: BankItem, device: str | torch.device) -> BrainOnDevice:
    """A packed brain where its scans are made."""
    arrays = (item.inside, item.codes, item.envelope, item.targets)
    inside, codes, envelope, targets = (torch.from_numpy(array).to(device) for array in arrays)
    return BrainOnDevice(inside, codes, envelope, targets, item.is_published)


def acquired(
    item: BrainOnDevice,
    generator: torch.Generator,
    ranges: AcquisitionRange | None = None,
    margin: int = 0,
    *,
    targets_mm: int = 8,
) -> Scan:
    """As :func:`acquire`, of a brain that lies on the device where the scan is made."""
    ranges = ranges or (AS_PREPROCESSED if item.is_published else AcquisitionRange())

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    device = item.inside.device
    # Fields are drawn where they are needed: on the CPU by the generator itself.
    fields = generator
    if device.type != "cpu":
        fields = torch.Generator(device).manual_seed(int(torch.randint(2**31, (), generator=generator)))

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=fields, device=device)

    contrast = draw_t1_contrast if ranges.t1 else draw_contrast
    means = contrast(generator, ranges.widening, any_head=not item.is_published).to(device)
    # The mean over the fine voxels' intensities is the partial-volume effect, for free.
    values = means[item.codes.int()].mean(1)
    values += noise(*values.shape) * draw(1.0, ranges.texture)
    image = crop(_scattered(item.inside, values), margin)
    shape = (image.shape[0], image.shape[1], image.shape[2])
    image = image * smooth_gain(shape, fields, draw(0, ranges.bias), draw(0, ranges.texture_bias))
    image = blur(image, _widths(ranges, draw))
    image = random_artefact(image, generator, ranges.artefacts)
    level = draw(0.5, ranges.noise)
    real, imaginary = (noise(*shape) * level for _ in range(2))
    image = torch.sqrt((image + real) ** 2 + imaginary**2)

    envelope = crop(_scattered(item.inside, item.envelope.float() / 255), margin)
    matrix = random_affine(generator, ranges)
    image, envelope = transformed(torch.stack((image, envelope)), matrix)
    targets = transformed(crop(item.targets, margin // 2).float() / 255, matrix, 4.0)
    mask = _grown(_drawn_mask(ranges, envelope, generator), ranges.mask_grow)
    exponent = float(torch.exp(ranges.gamma * torch.randn((), generator=generator)))
    return Scan(
        image=normalise(image, mask, exponent=exponent)[None],
        mask=mask,
        targets=functional.avg_pool3d(targets[None], 2)[0] if targets_mm == 8 else targets,
    )


def _widths(ranges: AcquisitionRange, draw: Callable[[float, float], float]) -> list[float]:
    """Gaussian sigmas along the axes, in voxels of 2 mm."""
    if ranges.voxel_mm is None:
        sigmas = [draw(0.2, ranges.blur) for _ in range(3)]
        if draw(0, 1) < ranges.thick:
            sigmas[int(draw(0, 2.999))] = draw(ranges.blur, 2 * ranges.blur)
        return sigmas
    # In plane about as fine everywhere, the slices from as fine to the thickest. A voxel is a box; the scan is then
    # interpolated between voxels, a triangle of twice that width: together a quarter of the squared width.
    low, high = ranges.voxel_mm
    in_plane = draw(low, 0.5 * (low + high))
    voxel = [in_plane] * 3
    voxel[int(draw(0, 2.999))] = draw(in_plane, high)
    return [max(0.2, 0.5 * width / 2.0) for width in voxel]


def _drawn_mask(ranges: AcquisitionRange, envelope: Tensor, generator: torch.Generator) -> Tensor:
    """A level set of the envelope: at a level that is drawn, or of a volume that is drawn."""
    if ranges.mask_ml is None:
        low, high = ranges.mask_low, ranges.mask_high
        return envelope > low + (high - low) * float(torch.rand((), generator=generator))
    mean, sd, along = ranges.mask_ml
    millilitres = mean + sd * float(torch.randn((), generator=generator).clamp(-2.5, 2.5))
    coarse = torch.randn(1, 1, 8, 9, 8, generator=generator).to(envelope.device) * along
    shape = (envelope.shape[0], envelope.shape[1], envelope.shape[2])
    uneven = envelope * torch.exp(functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0])
    there = uneven[envelope > _OUTERMOST]
    number = min(int(millilitres * 1000 / 8), there.numel())
    return uneven > float(there.kthvalue(there.numel() - number + 1).values) - 1e-6


def crop(volumes: Tensor, margin: int) -> Tensor:
    """(..., I, J, K) without ``margin`` voxels at each face."""
    if margin == 0:
        return volumes
    return volumes[..., margin:-margin, margin:-margin, margin:-margin]


def _scattered(inside: Tensor, values: Tensor) -> Tensor:
    """The values back in their places, 0 elsewhere."""
    volume = torch.zeros(inside.shape, device=inside.device)
    volume[inside] = values
    return volume


def normalise(image: Tensor, mask: Tensor, low: float = 0.5, high: float = 99.5, exponent: float = 1.0) -> Tensor:
    """The torch twin of ``preprocessing.steps.values.Intensity``, with an optional gamma after it.

    Percentiles are interpolated linearly between order statistics, as NumPy does. A monotonic gamma leaves order
    statistics in place, so it can be applied to the scaled values.
    """
    values = image[mask]
    bottom, top = (_percentile(values, percent) for percent in (low, high))
    scaled = ((image - bottom) / (top - bottom)).clamp(0, 1)
    if exponent != 1.0:
        scaled = scaled**exponent
    return torch.where(mask, scaled, torch.zeros((), device=image.device))


def _grown(mask: Tensor, voxels: int) -> Tensor:
    """Dilated by a cube of ``voxels`` at each side, or eroded if negative."""
    if voxels == 0:
        return mask
    side, sign = 2 * abs(voxels) + 1, 1 if voxels > 0 else -1
    return sign * functional.max_pool3d(sign * mask.float()[None], side, stride=1, padding=abs(voxels))[0] > 0.5


def _percentile(values: Tensor, percent: float) -> Tensor:
    rank = percent / 100 * (values.numel() - 1)
    below = int(rank)
    first = values.kthvalue(below + 1).values
    second = values.kthvalue(min(below + 2, values.numel())).values
    return first + (second - first) * (rank - below)


def smooth_gain(shape: tuple[int, int, int], generator: torch.Generator, coarse: float, fine: float) -> Tensor:
    """exp of a smooth random field: the coil's bias, and slow variation inside the tissues."""

    def noise(*size: int) -> Tensor:
        return torch.randn(1, 1, *size, generator=generator, device=generator.device)

    field = functional.interpolate(noise(4, 5, 4) * coarse / 2, size=(24, 28, 24), mode="trilinear")
    field = field + noise(24, 28, 24) * fine
    return torch.exp(functional.interpolate(field, size=shape, mode="trilinear")[0, 0])


def blur(image: Tensor, sigmas: list[float]) -> Tensor:
    blurred = image[None, None]
    for axis, sigma in enumerate(sigmas):
        radius = max(1, int(2.5 * sigma + 0.5))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        view, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        view[axis + 2], padding[axis] = -1, radius
        weight = (kernel / kernel.sum()).view(view).to(image.device)
        blurred = functional.conv3d(blurred, weight, padding=(padding[0], padding[1], padding[2]))
    return blurred[0, 0]


def random_affine(generator: torch.Generator, ranges: AcquisitionRange) -> Tensor:
    """3 x 4, mm about the box's centre along R, A, S: a misregistration and, now and then, a left-right flip."""

    def both_sides(size: int, limit: float) -> Tensor:
        return (torch.rand(size, generator=generator) * 2 - 1) * limit

    left = ranges.left_by_alignment
    if left is not None:

        def normal(sds: tuple[float, ...]) -> Tensor:
            return torch.randn(len(sds), generator=generator).clamp(-3, 3) * torch.tensor(sds)

        turn = normal(left.turn_deg)
        angles = torch.stack((-turn[2], turn[1], -turn[0])) * torch.pi / 180
    else:
        angles = both_sides(3, ranges.angle_deg) * torch.pi / 180
    skew = torch.zeros(3, 3)
    skew[0, 1], skew[0, 2], skew[1, 2] = angles
    rotation = torch.linalg.matrix_exp(skew - skew.T)
    if left is not None:
        scales = torch.exp(normal((left.scale,)) + normal(left.scale_of_axis))
    else:
        scales = torch.exp(both_sides(1, ranges.scale / 3) + both_sides(3, ranges.scale * 2 / 3))
    flip = torch.ones(3)
    if float(torch.rand((), generator=generator)) < ranges.flip:
        flip[0] = -1
    shift = normal(left.shift_mm) if left is not None else both_sides(3, ranges.shift_mm)
    return torch.cat((rotation * scales * flip, shift[:, None]), 1)


def transformed(volumes: Tensor, matrix: Tensor, spacing_mm: float = 2.0) -> Tensor:
    """Sample (C, I, J, K) at matrix applied to each voxel's position; zero outside."""
    shape = (volumes.shape[1], volumes.shape[2], volumes.shape[3])
    half = torch.tensor(shape) * spacing_mm / 2
    # From mm along R, A, S to torch's order (k, j, i) in -1..1.
    linear = (matrix[:, :3] * half[None, :] / half[:, None]).flip(0).flip(1)
    offset = (matrix[:, 3] / half).flip(0)
    theta = torch.cat((linear, offset[:, None]), 1)
    grid = functional.affine_grid(theta[None].to(volumes.device), [1, 1, *shape], align_corners=False)
    return functional.grid_sample(volumes[None], grid, align_corners=False)[0]
