"""Affine registration of a brain to the template (SimpleITK), and a judgement of how well it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.itk import LPS_TO_RAS
from ..images.volume import Affine, Grid, Volume, resample
from ..metrics.similarity import correlation as pearson
from ..metrics.similarity import dice
from ..progress import ProgressCallback, silent
from ..thresholds import (
    GOOD_CORRELATION,
    GOOD_OVERLAP,
    POSSIBLE_CORRELATION,
    POSSIBLE_OVERLAP,
    POSSIBLE_STRETCH,
)

if TYPE_CHECKING:
    import SimpleITK

_WORK_UNITS = 1  # with more, the metric's sums are formed in varying order and two runs differ in the seventh digit
_METRIC_MARGIN = 2  # voxels of the 2 mm template that the affine stage sees around the brain


def register_affine(
    moving: Volume,
    moving_mask: Volume,
    fixed: Volume,
    fixed_mask: Volume,
    *,
    rigid: bool = False,
    seed: int = 7,
    progress: ProgressCallback = silent,
) -> Affine:
    """Find the affine that takes ``moving`` onto ``fixed``.

    Mattes mutual information (Mattes 2003) on the masked brains: centres of the masks first, then a similarity, then
    an affine transform, each over two resolutions down to 2 mm. The affine stage looks at the template's brain and a
    4 mm margin only: with all the empty space around, the mask's outline, cut tightly or generously, would set the
    scale (on Colin27 by 3 %). Repeats exactly for a seed.

    Parameters
    ----------
    moving, moving_mask
        Scan and its brain mask, any orientation, spacing, handedness or shear; shape (I, J, K).
    fixed, fixed_mask
        Template brain and its mask.
    rigid
        Turn and shift only, for networks that want the head's own size.

    Returns
    -------
    4 x 4 affine, RAS mm of ``moving`` to RAS mm of ``fixed``.

    Raises
    ------
    UserError
        If SimpleITK is missing or finds no transform.
    """
    try:
        import SimpleITK as sitk
    except ImportError as error:
        raise UserError(
            "SimpleITK, which registers the scan, is missing: install it (pip install SimpleITK)."
        ) from error
    # Axis-aligned 2 mm copies: what ITK calls a direction must be a rotation, and a scan's affine need not be one.
    fixed_image = _itk_brain(fixed, fixed_mask)
    moving_image = _itk_brain(moving, moving_mask)
    centre_fixed = _centre_lps(fixed_mask)
    centre_moving = _centre_lps(moving_mask)

    similarity = sitk.Similarity3DTransform()
    similarity.SetCenter(centre_fixed.tolist())
    similarity.SetTranslation((centre_moving - centre_fixed).tolist())
    scale = (_volume_mm3(moving_mask) / _volume_mm3(fixed_mask)) ** (1 / 3)
    similarity.SetScale(float(np.clip(scale, 0.7, 1.4)))
    _optimise(
        fixed_image, moving_image, similarity, (4, 2), (4.0, 2.0), None, seed, progress, "Registering: similarity"
    )

    region = _metric_region(fixed_image, fixed_mask)
    if rigid:
        turned = sitk.VersorRigid3DTransform()
        turned.SetCenter(similarity.GetCenter())
        turned.SetRotation(similarity.GetVersor())
        turned.SetTranslation(similarity.GetTranslation())
        _optimise(fixed_image, moving_image, turned, (2, 1), (2.0, 0.0), region, seed, progress, "Registering: rigid")
        return _as_matrix(turned)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(similarity.GetCenter())
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    _optimise(fixed_image, moving_image, affine, (2, 1), (2.0, 0.0), region, seed, progress, "Registering: affine")

    return _as_matrix(affine)


def _as_matrix(transform: Any) -> Affine:
    """A fitted ITK transform as 4 x 4, RAS mm of the moving image to RAS mm of the fixed one."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - matrix[:3, :3] @ centre
    # ITK's transform takes points of the fixed image to the moving one, in LPS.
    result: Affine = np.linalg.inv(LPS_TO_RAS @ matrix @ LPS_TO_RAS)
    return result


def _optimise(
    fixed: SimpleITK.Image,
    moving: SimpleITK.Image,
    transform: SimpleITK.Transform,
    shrink: tuple[int, ...],
    smooth_mm: tuple[float, ...],
    region: SimpleITK.Image | None,
    seed: int,
    progress: ProgressCallback,
    name: str,
) -> None:
    """Optimise ``transform`` in place over the resolution levels."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(_WORK_UNITS)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel([1.0 if factor >= 4 else 0.35 for factor in shrink], seed)
    if region is not None:
        method.SetMetricFixedMask(region)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=80, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(shrink))
    method.SetSmoothingSigmasPerLevel(list(smooth_mm))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, inPlace=True)

    stopped: list[BaseException] = []

    def report() -> None:
        done = (method.GetCurrentLevel() + method.GetOptimizerIteration() / 80) / len(shrink)
        try:
            progress(name, min(0.99, done))
        except BaseException as error:  # raised again below: an exception must not cross ITK's C++ frames
            stopped.append(error)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, report)
    progress(name, 0.0)
    try:
        method.Execute(fixed, moving)
    except RuntimeError as error:
        raise UserError(
            "The scan could not be registered to the template: check its orientation and its brain mask, "
            "or say that it lies in template space already.",
            option="space",
        ) from error
    if stopped:
        raise stopped[0]
    progress(name, 1.0)


def _itk_brain(volume: Volume, mask: Volume, spacing: float = 2.0) -> SimpleITK.Image:
    """The masked brain, scaled to 0..1, on an axis-aligned RAS grid around the mask."""
    index = np.argwhere(np.asarray(mask.array) > 0)
    corners = np.array(np.meshgrid(*zip(index.min(0), index.max(0), strict=True))).reshape(3, -1)
    world = mask.affine[:3, :3] @ corners + mask.affine[:3, 3:]
    margin = 16.0
    low, high = world.min(1) - margin, world.max(1) + margin
    shape = np.ceil((high - low) / spacing).astype(int)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    return _to_itk(_scaled_brain(volume, mask, grid), grid)


def _scaled_brain(volume: Volume, mask: Volume, grid: Grid) -> NDArray[np.float32]:
    inside = np.asarray(mask.array) > 0
    bottom, top = np.percentile(volume.array[inside], [0.5, 99.5])
    scaled = np.clip((volume.array - bottom) / max(float(top - bottom), 1e-12), 0, 1).astype(np.float32)
    return np.asarray(resample(volume.with_array(np.where(inside, scaled, np.float32(0))), grid).array, np.float32)


def _to_itk(array: NDArray[np.float32] | NDArray[np.uint8], grid: Grid) -> SimpleITK.Image:
    """An array on an axis-aligned RAS grid as an ITK image, whose world is LPS."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin((LPS_TO_RAS @ grid.affine[:, 3])[:3].tolist())
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    return image


def _metric_region(fixed: SimpleITK.Image, mask: Volume) -> SimpleITK.Image:
    """The template's brain with a margin, on the grid of the fixed image."""
    affine = np.diag([*fixed.GetSpacing(), 1.0])
    affine[:, 3] = LPS_TO_RAS @ np.append(fixed.GetOrigin(), 1.0)
    i, j, k = fixed.GetSize()
    grid = Grid((i, j, k), affine)
    inside = resample(mask.with_array(np.asarray(mask.array, dtype=np.float32)), grid).array > 0.5
    return _to_itk(ndimage.binary_dilation(inside, iterations=_METRIC_MARGIN).astype(np.uint8), grid)


def _centre_lps(mask: Volume) -> np.ndarray:
    centre = np.append(ndimage.center_of_mass(np.asarray(mask.array) > 0), 1.0)
    return (LPS_TO_RAS @ mask.affine @ centre)[:3]


def _volume_mm3(mask: Volume) -> float:
    return float(np.count_nonzero(mask.array)) * mask.grid.voxel_volume


def registration_quality(
    scan: Volume, mask: Volume, to_template: Affine, template: Volume, template_mask: Volume
) -> tuple[float, float]:
    """How well a registered scan matches the template.

    Returns
    -------
    correlation
        Normalised cross-correlation (Pearson) of the masked intensities inside the template's mask, -1 to 1. Both
        are smoothed by 2 mm first: the template is an average of 152 brains, a single one has sulci that it has not.
    overlap
        Dice coefficient of the two brain masks on the template's grid, 0 to 1.
    """
    back = np.linalg.inv(to_template)
    inside = np.asarray(mask.array) > 0
    on_template = resample(scan.with_array(np.where(inside, scan.array, 0)), template.grid, back).array
    brain = resample(mask.with_array(inside.astype(np.float32)), template.grid, back).array > 0.5
    reference = np.asarray(template_mask.array) > 0
    overlap = float(np.nan_to_num(dice(brain, reference)))
    sigma = (2.0 / template.grid.spacing).tolist()
    ours = ndimage.gaussian_filter(on_template, sigma)[reference]
    theirs = ndimage.gaussian_filter(template.array, sigma)[reference]
    return float(np.nan_to_num(pearson(ours, theirs))), overlap


def registration_verdict(name: str, to_template: Affine, correlation: float, overlap: float) -> tuple[str, str]:
    """Verdict and sentence for a registration.

    Returns
    -------
    verdict, sentence
        "good" or "poor", and what a reader should know.

    Raises
    ------
    UserError
        If it cannot be right: hardly any match, or a brain stretched beyond anatomy.
    """
    stretch = np.linalg.svd(to_template[:3, :3], compute_uv=False)
    numbers = f"correlation {correlation:.2f}, mask overlap {overlap:.2f}"
    impossible = (
        correlation < POSSIBLE_CORRELATION
        or overlap < POSSIBLE_OVERLAP
        or stretch.max() > POSSIBLE_STRETCH
        or stretch.min() < 1 / POSSIBLE_STRETCH
    )
    if impossible:
        raise UserError(
            f"{name} could not be brought into template space ({numbers}, stretch {stretch.min():.2f} to "
            f"{stretch.max():.2f}): check that it is a whole-brain T1-weighted scan with a correct orientation."
        )
    if correlation < GOOD_CORRELATION or overlap < GOOD_OVERLAP:
        return "poor", (
            f"The registration to the template is poor ({numbers}; good is from {GOOD_CORRELATION:.2f} and "
            f"{GOOD_OVERLAP:.2f} up): look at the template outline before you read maps or regions."
        )
    return "good", f"The registration to the template is good ({numbers})."
