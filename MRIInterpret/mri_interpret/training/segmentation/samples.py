"""One training sample: a head from the bank, moved and bent anew, as a scan of a random acquisition, with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from ...deformation.construction import smooth
from ...simulation.acquisition import blur, smooth_gain
from ...simulation.structures import BRAIN, member
from ...simulation.wide_anatomies import SEGMENTATION_SHAPE, read_wide, wide_path
from .classes import CLASS_OF_CODE, CLASSES, DEEP, MIRRORED_CODE
from .contrast import draw_wide_contrast

_WHITE = torch.from_numpy(member("Cerebral-White-Matter", "Lesion")).float()
_BRAIN = torch.from_numpy(BRAIN).float()
_CLASS = torch.from_numpy(CLASS_OF_CODE)
_MIRRORED = torch.from_numpy(MIRRORED_CODE)
_DEEP = torch.from_numpy(DEEP).float()
# Of the eight fine voxels in a voxel, four that form a tetrahedron, in mm from its centre.
_CORNERS = torch.tensor([[-0.5, -0.5, -0.5], [0.5, 0.5, -0.5], [0.5, -0.5, 0.5], [-0.5, 0.5, 0.5]])


@dataclass(frozen=True)
class HeadRange:
    """Ranges of pose and acquisition; upper ends, in both directions where that makes sense.

    Attributes
    ----------
    size, stretch
        Log of the head's size, common to all axes (lowest, highest), and of each axis. Real brains arrive in the
        template's space about 5 % larger along each axis than registered label maps.
    angle_deg, shift_mm
        Misregistration.
    bend_mm
        Root mean square of a smooth random displacement.
    bias, fine_bias
        Amplitude of the log of the coil's field, coarse and fine.
    blur, thick, thick_share
        Gaussian sigma in voxels along each axis; of the one thick axis; share of scans that have one.
    noise
        SD of the Rician noise's two parts; white matter is about 1.
    gamma
        SD of the log exponent.
    head_share, cut_share
        Shares of scans with their whole head (the others are masked), and of scans that are cut at one face.
    lesions
        Largest share of the white matter that is hyperintense (dark in T1).
    """

    size: tuple[float, float] = (-0.07, 0.13)
    stretch: float = 0.04
    angle_deg: float = 6.0
    shift_mm: float = 5.0
    bend_mm: float = 1.2
    bias: float = 0.5
    fine_bias: float = 0.03
    blur: float = 0.6
    thick: float = 1.5
    thick_share: float = 0.1
    noise: float = 0.05
    gamma: float = 0.25
    head_share: float = 0.15
    cut_share: float = 0.05
    lesions: float = 0.08


@dataclass(frozen=True)
class HeadSample:
    """A scan and its truth on ``SEGMENTATION_GRID``."""

    image: Tensor  # (I, J, K) float32 in 0 to 1
    classes: Tensor  # (4, I, J, K) uint8: the classes of four fine voxels in each


def synthesise_head(codes: Tensor, generator: torch.Generator, ranges: HeadRange | None = None) -> HeadSample:
    """A scan of one head of the bank.

    Parameters
    ----------
    codes
        (160, 208, 176) uint8: structure codes at 1 mm in the network's box.
    generator
        Random generator; the same state gives the same sample.
    ranges
        What to draw from.
    """
    ranges = ranges or HeadRange()

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    here = moved(codes, generator, ranges)
    means, spread = draw_wide_contrast(generator)
    image = _looked_up(means, here).mean(0)
    texture = torch.randn(image.shape, generator=generator)
    half = (image.shape[0] // 2, image.shape[1] // 2, image.shape[2] // 2)
    coarse = functional.interpolate(torch.randn(1, 1, *half, generator=generator), scale_factor=2, mode="trilinear")[
        0, 0
    ]
    image = image + (texture * 0.5 + coarse) * _looked_up(spread, here[0])
    if draw(0, 1) < 0.6:
        image = _with_lesions(
            image, _looked_up(_WHITE, here).mean(0), generator, draw(0, ranges.lesions), draw(0.4, 0.9)
        )
    shape = (image.shape[0], image.shape[1], image.shape[2])
    image = image.clamp(min=0) * smooth_gain(shape, generator, draw(0, ranges.bias), draw(0, ranges.fine_bias))
    sigmas = [draw(0.1, ranges.blur) for _ in range(3)]
    if draw(0, 1) < ranges.thick_share:
        sigmas[int(draw(0, 2.999))] = draw(ranges.blur, ranges.thick)
    image = blur(image, sigmas)
    noise = draw(0.0, ranges.noise)
    real, imaginary = (torch.randn(shape, generator=generator) * noise for _ in range(2))
    image = torch.sqrt((image + real) ** 2 + imaginary**2)
    seen = torch.ones(shape, dtype=torch.bool)
    if draw(0, 1) >= ranges.head_share:
        envelope = smooth(_looked_up(_BRAIN, here).mean(0), draw(1.5, 4.0))
        # From a tight mask to one that is dilated by a centimetre: the fluid around the brain is inside, skin is not.
        seen &= envelope > 10 ** draw(-1.7, -0.25)
    if draw(0, 1) < ranges.cut_share:
        seen &= _not_cut(shape, int(draw(0, 5.999)), draw(0.0, 0.25))
    image = image * seen
    classes = _looked_up(_CLASS, here) * seen.to(torch.uint8)
    return HeadSample(scaled(image) ** float(torch.exp(ranges.gamma * torch.randn((), generator=generator))), classes)


def scaled(image: Tensor, low: float = 0.5, high: float = 99.5) -> Tensor:
    """Percentiles of the voxels above 0 become 0 and 1, the product's own way to the network's input."""
    bright = image[image > 0]
    if bright.numel() < 2:
        return torch.zeros_like(image)
    bottom, top = (bright.kthvalue(1 + round(percent / 100 * (bright.numel() - 1))).values for percent in (low, high))
    return ((image - bottom) / (top - bottom).clamp(min=1e-6)).clamp(0, 1)


def moved(codes: Tensor, generator: torch.Generator, ranges: HeadRange) -> Tensor:
    """The head elsewhere: scaled, turned, shifted, bent, mirrored; nearest neighbour, outside is background.

    Parameters
    ----------
    codes
        (2I, 2J, 2K) uint8.

    Returns
    -------
    (4, I, J, K) uint8: four of the eight fine voxels in each voxel, no two of them neighbours.
    """

    def both(size: int, limit: float) -> Tensor:
        return (torch.rand(size, generator=generator) * 2 - 1) * limit

    shape = SEGMENTATION_SHAPE
    skew = torch.zeros(3, 3)
    skew[0, 1], skew[0, 2], skew[1, 2] = both(3, ranges.angle_deg * torch.pi / 180)
    low, high = ranges.size
    size = low + (high - low) * float(torch.rand((), generator=generator))
    matrix = torch.linalg.matrix_exp(skew - skew.T) * torch.exp(-size - both(3, ranges.stretch))[None, :]
    mirror = float(torch.rand((), generator=generator)) < 0.5
    if mirror:
        matrix[:, 0] = -matrix[:, 0]
    shift = both(3, ranges.shift_mm)
    bend = functional.interpolate(torch.randn(1, 3, 6, 7, 6, generator=generator), size=(20, 26, 22), mode="trilinear")
    bend = bend * (ranges.bend_mm * float(torch.rand((), generator=generator)) / float(bend.std()))
    places = functional.interpolate(bend, size=shape, mode="trilinear")[0]
    axes = [2.0 * torch.arange(n) - (n - 1) for n in shape]  # mm from the box's centre
    for row, n in enumerate(shape):
        plane = (matrix[row, 1] * axes[1])[:, None] + (matrix[row, 2] * axes[2])[None, :]
        places[row] += (matrix[row, 0] * axes[0])[:, None, None] + (plane + shift[row] + n - 0.5)[None]
    # One voxel of background all around takes what comes from outside.
    padded = functional.pad(codes, (1, 1, 1, 1, 1, 1)).reshape(-1)
    found = [padded.index_select(0, _flat(places, matrix @ corner)) for corner in _CORNERS]
    together = torch.stack(found).reshape(4, *shape)
    return _looked_up(_MIRRORED, together) if mirror else together


def _flat(places: Tensor, offset: Tensor) -> Tensor:
    """Index of the nearest fine voxel in the padded volume, int32, flat."""
    flat: Tensor | None = None
    for row, n in enumerate(SEGMENTATION_SHAPE):
        index = (places[row] + (float(offset[row]) + 1.5)).clamp_(0, 2 * n + 1).to(torch.int32)
        flat = index if flat is None else flat.mul_(2 * n + 2).add_(index)
    assert flat is not None
    return flat.reshape(-1)


def _looked_up(table: Tensor, codes: Tensor) -> Tensor:
    """``table[codes]`` in one pass."""
    return table.index_select(0, codes.reshape(-1).int()).reshape(codes.shape)


def _with_lesions(image: Tensor, white: Tensor, generator: torch.Generator, share: float, factor: float) -> Tensor:
    """Dark spots in the white matter."""
    field = functional.interpolate(
        torch.randn(1, 1, 20, 26, 22, generator=generator), size=tuple(image.shape), mode="trilinear"
    )[0, 0]
    cut = field.flatten()[::97].quantile(1 - share)
    inside = torch.sigmoid((field - cut) * 8) * white
    return image * (1 - inside * (1 - factor))


def _not_cut(shape: tuple[int, int, int], face: int, share: float) -> Tensor:
    """False beyond a plane near one of the six faces."""
    kept = torch.ones(shape, dtype=torch.bool)
    axis, far = face // 2, face % 2
    voxels = int(share * shape[axis])
    if voxels:
        kept.narrow(axis, shape[axis] - voxels if far else 0, voxels).zero_()
    return kept


class HeadSamples(Dataset[dict[str, Tensor]]):
    """Samples numbered from 0: a random head of those that are in the bank by now.

    Each holds ``image`` (1, I, J, K), ``index`` (V,) of the voxels that the loss looks at, ``counts`` (V, classes) of
    quarters, and ``weight`` (V,), the inverse of how likely each voxel was to be looked at.
    """

    def __init__(
        self, bank: Path, heads: int, number: int, seed: int, *, voxels: int = 90_000, ranges: HeadRange | None = None
    ) -> None:
        self.bank, self.heads, self.number, self.seed = bank, heads, number, seed
        self.voxels, self.ranges = voxels, ranges

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index)
        head = int(torch.randint(self.heads, (), generator=generator))
        while head and not wide_path(self.bank, head).exists():
            head //= 2
        sample = synthesise_head(torch.from_numpy(read_wide(wide_path(self.bank, head))), generator, self.ranges)
        chosen, weight = chosen_voxels(sample.classes, self.voxels, generator)
        quarters = sample.classes.reshape(4, -1).index_select(1, chosen).T.long()
        counts = torch.zeros(len(chosen), len(CLASSES), dtype=torch.uint8)
        counts.scatter_add_(1, quarters, torch.ones_like(quarters, dtype=torch.uint8))
        return {"image": sample.image[None], "index": chosen, "counts": counts, "weight": weight}


def chosen_voxels(classes: Tensor, voxels: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the voxels at and around deep structures, half anywhere; with 1 / (expected times chosen)."""
    deep = _looked_up(_DEEP, classes).amax(0)
    near = torch.from_numpy(ndimage.maximum_filter(deep.to(torch.uint8).numpy(), 5)).flatten() > 0
    places = near.nonzero()[:, 0]
    half = voxels // 2
    total = near.numel()
    anywhere = torch.randint(total, (half,), generator=generator)
    if len(places) == 0:
        chosen = torch.cat((anywhere, torch.randint(total, (half,), generator=generator)))
        return chosen, torch.full((2 * half,), total / (2 * half))
    chosen = torch.cat((anywhere, places[torch.randint(len(places), (half,), generator=generator)]))
    expected = half / total + near[chosen] * (half / len(places))
    return chosen, 1 / expected


def shares(classes: Tensor) -> Tensor:
    """(4, I, J, K) to each class's share of each voxel, (classes, I, J, K) float32."""
    return torch.stack([(classes == number).float().mean(0) for number in range(len(CLASSES))])
