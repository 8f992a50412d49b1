"""Affine registration of a brain to the template (SimpleITK)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.itk import LPS_TO_RAS
from ..images.volume import Affine, Grid, Volume, resample
from ..progress import ProgressCallback, silent

if TYPE_CHECKING:
    import SimpleITK

_WORK_UNITS = 1  # with more, the metric's sums are formed in varying order and two runs differ in the seventh digit
_METRIC_MARGIN = 2  # voxels of the 2 mm template that the affine stage sees around the brain

_CUT_MM2 = 600.0  # of the brain mask on a face of the field of view; a tight box around a brain touches it in less


class Misaligned(UserError):
    """No alignment was found, or one that cannot be right."""


def register_affine(
    moving: Volume,
    moving_mask: Volume,
    fixed: Volume,
    fixed_mask: Volume,
    *,
    rigid: bool = False,
    start: Affine | None = None,
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
    start
        4 x 4, RAS mm of ``moving`` to RAS mm of ``fixed``: about how the head is turned. Identity if left out; heads
        turned by up to about 40 degrees are found from there.

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
    if start is not None:
        placed, mask = (Volume(one.array, start @ one.affine, one.name) for one in (moving, moving_mask))
        found = register_affine(placed, mask, fixed, fixed_mask, rigid=rigid, seed=seed, progress=progress)
        return np.asarray(found @ start)
    # Axis-aligned 2 mm copies: what ITK calls a direction must be a rotation, and a scan's affine need not be one.
    fixed_image = _itk_brain(fixed, fixed_mask)
    moving_image = _itk_brain(moving, moving_mask)
    # Where the field of view cuts the brain, what lies beyond is not known: it must not count as empty space.
    seen = _field_of_view(moving, moving_image) if _is_cut(moving_mask) else None
    centre_fixed = _centre_lps(fixed_mask)
    centre_moving = _centre_lps(moving_mask)

    similarity = sitk.Similarity3DTransform()
    similarity.SetCenter(centre_fixed.tolist())
    similarity.SetTranslation((centre_moving - centre_fixed).tolist())
    scale = (_volume_mm3(moving_mask) / _volume_mm3(fixed_mask)) ** (1 / 3)
    similarity.SetScale(float(np.clip(scale, 0.7, 1.4)))
    _optimise(
        fixed_image,
        moving_image,
        similarity,
        (4, 2),
        (4.0, 2.0),
        (None, seen),
        seed,
        progress,
        "Registering: similarity",
    )

    regions = (_metric_region(fixed_image, fixed_mask), seen)
    if rigid:
        turned = sitk.VersorRigid3DTransform()
        turned.SetCenter(similarity.GetCenter())
        turned.SetRotation(similarity.GetVersor())
        turned.SetTranslation(similarity.GetTranslation())
        _optimise(fixed_image, moving_image, turned, (2, 1), (2.0, 0.0), regions, seed, progress, "Registering: rigid")
        return _as_matrix(turned)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(similarity.GetCenter())
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    _optimise(fixed_image, moving_image, affine, (2, 1), (2.0, 0.0), regions, seed, progress, "Registering: affine")

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
    regions: tuple[SimpleITK.Image | None, SimpleITK.Image | None],
    seed: int,
    progress: ProgressCallback,
    name: str,
) -> None:
    """Optimise ``transform`` in place over the resolution levels; what lies outside the regions does not count."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(_WORK_UNITS)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel([1.0 if factor >= 4 else 0.35 for factor in shrink], seed)
    if regions[0] is not None:
        method.SetMetricFixedMask(regions[0])
    if regions[1] is not None:
        method.SetMetricMovingMask(regions[1])
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
        raise Misaligned(
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


def _grid_of(image: SimpleITK.Image) -> Grid:
    affine = np.diag([*image.GetSpacing(), 1.0])
    affine[:, 3] = LPS_TO_RAS @ np.append(image.GetOrigin(), 1.0)
    i, j, k = image.GetSize()
    return Grid((i, j, k), affine)


def _field_of_view(scan: Volume, moving: SimpleITK.Image) -> SimpleITK.Image:
    """Where the scan has voxels, on the grid of the moving image."""
    grid = _grid_of(moving)
    return _to_itk(resample(scan.with_array(np.ones(scan.shape, np.uint8)), grid, order=0).array, grid)


def _is_cut(mask: Volume) -> bool:
    """Whether the brain goes on beyond a face of the field of view."""
    inside, spacing = np.asarray(mask.array) > 0, mask.grid.spacing
    areas = [
        np.count_nonzero(np.take(inside, side, axis)) * float(np.delete(spacing, axis).prod())
        for axis in range(3)
        for side in (0, -1)
    ]
    return bool(max(areas) > _CUT_MM2)


def _metric_region(fixed: SimpleITK.Image, mask: Volume) -> SimpleITK.Image:
    """The template's brain with a margin, on the grid of the fixed image."""
    grid = _grid_of(fixed)
    inside = resample(mask.with_array(np.asarray(mask.array, dtype=np.float32)), grid).array > 0.5
    return _to_itk(ndimage.binary_dilation(inside, iterations=_METRIC_MARGIN).astype(np.uint8), grid)


def _centre_lps(mask: Volume) -> np.ndarray:
    centre = np.append(ndimage.center_of_mass(np.asarray(mask.array) > 0), 1.0)
    return (LPS_TO_RAS @ mask.affine @ centre)[:3]


def _volume_mm3(mask: Volume) -> float:
    return float(np.count_nonzero(mask.array)) * mask.grid.voxel_volume
