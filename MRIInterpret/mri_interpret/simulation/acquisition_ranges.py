"""The ranges from which a scan's acquisition, alignment and mask are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .contrast import WIDENING


@dataclass(frozen=True)
class Misalignment:
    """SDs of what an affine registration leaves: turns in degrees, shifts in mm, logs of scale, common and by axis."""

    turn_deg: tuple[float, float, float]  # about R, A, S
    shift_mm: tuple[float, float, float]
    scale: float
    scale_of_axis: tuple[float, float, float]

    def times(self, factor: float) -> Misalignment:
        """All of it ``factor`` times as large."""

        def larger(values: tuple[float, float, float]) -> tuple[float, float, float]:
            a, b, c = values
            return (a * factor, b * factor, c * factor)

        return Misalignment(
            larger(self.turn_deg), larger(self.shift_mm), self.scale * factor, larger(self.scale_of_axis)
        )


@dataclass(frozen=True)
class AcquisitionRange:
    """The ranges from which a scan's acquisition is drawn: upper ends, and both ends where the name says so.

    Attributes
    ----------
    widening
        Factor on the SD of the tissues' mean intensities.
    texture
        SD of voxelwise variation inside a tissue, on the 0..255 scale.
    noise
        SD of the Rician noise's two parts, same scale.
    bias
        Amplitude of the log of the bias field; ``texture_bias`` of its finer part.
    blur
        Gaussian sigma in voxels, drawn for each axis; a large one along one axis is an anisotropic acquisition.
    thick
        Share of scans with one such axis, whose sigma goes up to twice ``blur``.
    artefacts
        Share of scans with Gibbs ringing or motion.
    gamma
        SD of the log exponent.
    shift_mm, angle_deg, scale
        Affine misregistration, in either direction (scale: of its log, along each axis; a third of it common to all).
    flip
        Share of scans that are mirrored left to right.
    mask_low, mask_high
        Level of the smoothed brain at which the mask ends: low is generous, high is tight.
    mask_grow
        Voxels by which the mask is then dilated, or eroded if negative.
    left_by_alignment
        Misregistration as the product's alignment leaves it, normally distributed, instead of ``shift_mm``,
        ``angle_deg`` and ``scale``; see :class:`Misalignment`.
    mask_ml
        Mean and SD of the mask's volume in template space instead of ``mask_low`` and ``mask_high``: registration lays
        the mask on the template's, however large head and brain are. And the SD of the log of the level at which the
        envelope ends along the outline.
    voxel_mm
        Native voxel sizes from, to: the scan is blurred as a voxel's width does, in place of ``blur`` and ``thick``.
    t1
        Whether the contrast is that of T1-weighted scans (:func:`.contrast.draw_t1_contrast`) or any.
    """

    widening: float = WIDENING
    texture: float = 8.0
    noise: float = 8.0
    bias: float = 0.35
    texture_bias: float = 0.03
    blur: float = 0.6
    thick: float = 0.2
    artefacts: float = 0.15
    gamma: float = 0.2
    shift_mm: float = 4.0
    angle_deg: float = 4.0
    scale: float = 0.03
    flip: float = 0.5
    mask_low: float = 0.12
    mask_high: float = 0.55
    mask_grow: int = 0
    left_by_alignment: Misalignment | None = None
    mask_ml: tuple[float, float, float] | None = None
    voxel_mm: tuple[float, float] | None = None
    t1: bool = False

    def wider(self, factor: float) -> AcquisitionRange:
        """Contrast, bias, noise and resolution widened by ``factor``; alignment and mask unchanged."""
        return replace(
            self,
            widening=self.widening * factor,
            texture=self.texture * factor,
            noise=self.noise * factor,
            bias=self.bias * factor,
            texture_bias=self.texture_bias * factor,
            blur=self.blur * factor,
            gamma=self.gamma * factor,
            voxel_mm=None if self.voxel_mm is None else (self.voxel_mm[0], self.voxel_mm[1] * factor),
        )


#: As the product's preprocessing leaves scans: one and a half times the SDs that simulated heads over the anatomies 02
#: and 13 show about the alignment of :func:`.template_alignment.affine_part`; real ones differ more
#: (Testing/benchmarks/geometry.md).
MISALIGNMENT = Misalignment((2.2, 0.8, 1.2), (0.6, 1.3, 0.6), 0.012, (0.007, 0.020, 0.018))
AS_PREPROCESSED = AcquisitionRange(
    left_by_alignment=MISALIGNMENT,
    mask_ml=(1906.0, 65.0, 0.12),
    voxel_mm=(0.8, 3.0),
    t1=True,
)
