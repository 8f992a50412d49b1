"""Steps that change what the voxels hold: bias correction, mask, intensity, channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..bias import fit_bias_field
from .partial_input import PartialInput, ScanInTemplate
from .step import Step, StepError, choice


@dataclass(frozen=True)
class BiasCorrection(Step):
    """N4 bias correction (Tustison 2010) by SimpleITK, fitted in the brain on a grid shrunk by ``shrink`` voxels.

    With ``shrink`` 0 the grid has voxels of about 6 mm: the field is as smooth, and found many times faster.
    """

    name: ClassVar[str] = "bias_correction"
    method: str = "n4"
    shrink: int = 0
    iterations: tuple[int, ...] = (50, 50, 30)

    def __post_init__(self) -> None:
        choice(self, "method", self.method, ("n4",))
        if self.shrink < 0 or not self.iterations or min(self.iterations) < 1:
            raise StepError(self, "'iterations' must be positive and 'shrink' not negative")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        if current.scaled:
            raise StepError(self, "it must come before the intensity step, because N4 works on positive intensities")
        if not current.inside.any():
            raise StepError(self, "the image holds no brain")
        field = fit_bias_field(
            current.image, current.inside, current.grid.spacing, shrink=self.shrink, iterations=self.iterations,
            progress=scan.progress,
        )  # fmt: skip
        return current.with_image(field.corrected(current.image))


@dataclass(frozen=True)
class Mask(Step):
    """Everything outside the brain becomes ``fill``, and stays so through the steps that follow."""

    name: ClassVar[str] = "mask"
    fill: float = 0.0

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        if not current.inside.any():
            raise StepError(self, "the image holds no brain")
        return replace(current, fill=float(self.fill)).with_image(current.image)


@dataclass(frozen=True)
class Intensity(Step):
    """Intensities on the network's scale.

    Parameters
    ----------
    method
        "percentile": ``low`` and ``high`` percentiles to 0 and 1; "zscore": mean 0, standard deviation 1; "mean":
        divided by the mean; "minmax": lowest to 0, highest to 1; "range": ``low`` and ``high`` intensities to 0 and 1;
        "none": as they are, but for the clipping.
    over
        What the numbers are taken from: "brain", "nonzero" (voxels that are not 0) or "volume" (all).
    clip
        Lowest and highest value kept, or None. With ``clip_before`` the scan's own intensities are clipped, else the
        scaled ones; "percentile" clips to 0 and 1 if nothing else is said.
    outside
        "fill" (voxels outside the brain keep the mask step's fill) or "scaled" (they are scaled as all others).
    """

    name: ClassVar[str] = "intensity"
    method: str = "percentile"
    over: str = "brain"
    low: float = 0.5
    high: float = 99.5
    clip: tuple[float, float] | None = None
    clip_before: bool = False
    outside: str = "fill"

    def __post_init__(self) -> None:
        choice(self, "method", self.method, ("percentile", "zscore", "mean", "minmax", "range", "none"))
        choice(self, "over", self.over, ("brain", "nonzero", "volume"))
        choice(self, "outside", self.outside, ("fill", "scaled"))
        if self.method in ("percentile", "range") and not self.low < self.high:
            raise StepError(self, "'low' must be below 'high'")
        if self.method == "percentile" and not 0 <= self.low < self.high <= 100:
            raise StepError(self, "percentiles lie between 0 and 100")
        if self.clip is not None and not (len(self.clip) == 2 and self.clip[0] < self.clip[1]):
            raise StepError(self, "'clip' must hold a lowest and a highest value")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        values = current.image
        if self.clip is not None and self.clip_before:
            values = np.clip(values, *self.clip)
        counted = self._counted(values, current)
        offset, divisor = self._scale(counted)
        scaled = (values - offset) / divisor
        if self.clip is not None and not self.clip_before:
            scaled = np.clip(scaled, *self.clip)
        elif self.method == "percentile" and self.clip is None:
            scaled = np.clip(scaled, 0.0, 1.0)
        if not np.isfinite(scaled).all():
            raise StepError(self, "it makes values that are not finite")
        done = replace(current, scaled=True)
        if self.outside == "scaled":
            return replace(done, image=np.asarray(scaled, dtype=np.float32), fill=_outside_of(scaled, current))
        return done.with_image(scaled)

    def _counted(self, values: NDArray[np.float32], current: PartialInput) -> NDArray[np.float32]:
        chosen = {"brain": current.inside, "nonzero": values != 0, "volume": np.ones(values.shape, bool)}[self.over]
        if not chosen.any():
            raise StepError(self, f"there is no voxel to take the numbers from (over '{self.over}')")
        return np.asarray(values[chosen])

    def _scale(self, counted: NDArray[np.float32]) -> tuple[float, float]:
        """What is taken away, and what is divided by."""
        if self.method == "none":
            return 0.0, 1.0
        if self.method == "range":
            return self.low, self.high - self.low
        if self.method == "mean":
            offset, divisor = 0.0, float(counted.mean(dtype=np.float64))
        elif self.method == "zscore":
            offset, divisor = float(counted.mean(dtype=np.float64)), float(counted.std(dtype=np.float64))
        else:
            ends = (0.0, 100.0) if self.method == "minmax" else (self.low, self.high)
            bottom, top = np.percentile(counted, ends)
            offset, divisor = bottom, top - bottom  # not made Python floats: float32 stays float32
        if not divisor > 0:
            raise StepError(self, "the intensities that it is scaled by are constant or not positive")
        return offset, divisor


def _outside_of(scaled: NDArray[np.float32], current: PartialInput) -> float | None:
    """The one value that lies outside the brain after scaling, where a mask step has run."""
    outside = ~current.inside
    return float(scaled[outside][0]) if current.fill is not None and outside.any() else current.fill


@dataclass(frozen=True)
class Channels(Step):
    """The network's channels in order: "image", "mask" (1 inside the brain), or the name of another input file."""

    name: ClassVar[str] = "channels"
    channels: tuple[str, ...] = ("image",)

    def __post_init__(self) -> None:
        if not self.channels or not all(isinstance(name, str) and name for name in self.channels):
            raise StepError(self, "'channels' must name at least one channel")
        if "image" not in self.channels:
            raise StepError(self, "one of the 'channels' must be 'image', the scan that is explained")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        return replace(current, channels=tuple(self.channels))
