"""What this brain would look like for another answer: the deformed scan, how it is deformed, and how far that got."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images.displacement_field import DisplacementField
from ..images.volume import Affine, Grid, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..attribution.deformation_result import Deformation

_FINEST_MM, _COARSEST_MM = 2.0, 4.0  # of the stored field's grid; it is smooth over 4 mm and more
_STILL_MM = 2.0**-10  # displacements are multiples of it, so that their files are small


@dataclass(frozen=True)
class PathPoint:
    """One step on the way from the scan to its counterfactual."""

    step: int
    value: float  # the explained value there
    size: float  # of the deformation so far, in ``size_unit``


@dataclass(frozen=True)
class CounterfactualFacts:
    """How far a counterfactual got.

    Attributes
    ----------
    method
        The key of the method's map in the explanation.
    goal
        What was to be reached, in words.
    goal_value, criterion
        The number that had to be reached, and what it was before and after.
    reached
        Whether it was.
    sentence
        Why not; or that nothing has to change. Empty for a goal that was reached.
    plausible, plausibility
        Whether ageing and disease make changes of volume of this size, and a sentence about it.
    size, size_unit
        How large the deformation is.
    path
        The explained value along the way; the first point is the scan.
    starts_reached
        Of each further start, whether it reached the goal.
    """

    method: str
    goal: str
    goal_value: float
    criterion: tuple[float, float]
    reached: bool
    sentence: str
    plausible: bool
    plausibility: str
    size: float
    size_unit: str
    path: tuple[PathPoint, ...]
    starts_reached: tuple[bool, ...]


@dataclass(frozen=True)
class Counterfactual(CounterfactualFacts):
    """A change of anatomy with which the network would answer otherwise.

    Attributes
    ----------
    scan
        What this brain would look like, on the scan's grid: the whole scan, deformed where the field is not zero.
    displacement
        How it is deformed, in the scan's world.
    """

    scan: Volume
    displacement: DisplacementField

    @property
    def suffix(self) -> str:
        """What tells this one's files from those of another counterfactual: "" for the first, "(goal=CN)"."""
        return file_suffix(self.method)

    def facts(self) -> dict[str, Any]:
        """What is neither a volume nor a field, as plain values."""
        kept = {one.name: getattr(self, one.name) for one in fields(CounterfactualFacts)}
        return kept | {"path": [vars(point) for point in self.path]}


def file_suffix(method: str) -> str:
    """What tells the files of one counterfactual from another's, from the method's key."""
    return method.removeprefix("volume_counterfactual")


def counterfactual_of(
    method: str, found: Deformation, scan: Volume, model: Grid, to_template: Affine
) -> Counterfactual:
    """A method's deformation of the network's input as one of the scan.

    Parameters
    ----------
    method
        The key of the method's map.
    found
        On the model's grid.
    scan
        As it was read.
    model
        The network's grid, in template space.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    """
    before, after = found.criterion
    displacement = in_world_of_scan(
        np.asarray(found.displacement, dtype=np.float32), np.asarray(found.step), np.asarray(found.origin), model,
        to_template,
    )  # fmt: skip
    deformed = displacement.warp(scan)
    return Counterfactual(
        method=method,
        goal=found.goal,
        goal_value=float(found.goal_value),
        criterion=(float(before), float(after)),
        reached=bool(found.reached),
        sentence=found.sentence,
        plausible=bool(found.plausible),
        plausibility=found.plausibility,
        size=float(found.size),
        size_unit=found.size_unit,
        path=tuple(PathPoint(int(p["step"]), float(p["value"]), float(p["size"])) for p in found.path),
        starts_reached=tuple(bool(one) for one in found.starts_reached),
        scan=Volume(deformed.array, deformed.affine, "counterfactual"),
        displacement=displacement,
    )


def in_world_of_scan(
    displacement: NDArray[np.floating],
    step: NDArray[np.floating],
    origin: NDArray[np.floating],
    model: Grid,
    to_template: Affine,
) -> DisplacementField:
    """A field on the network's grid as one in the scan's world.

    With A the affine to the template, the scan is deformed by u_scan(x) = A⁻¹ u(A x), A without its translation. The
    grid's axes point R, A, S whatever the scan's do, since files of transforms hold no sheared grid; it reaches as far
    as the field is not zero.

    Parameters
    ----------
    displacement
        (3, i, j, k), mm along the model grid's own axes.
    step, origin
        (3,), in voxels of the model's grid: its voxel origin + step * index is where the field's sample lies.
    model, to_template
        See :func:`counterfactual_of`.
    """
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = np.diag(step), origin
    field_to_scan = np.linalg.inv(to_template) @ model.affine @ placed
    directions = model.affine[:3, :3] / model.spacing
    along = np.linalg.inv(to_template[:3, :3]) @ directions
    vectors = np.moveaxis(np.tensordot(along, displacement.astype(np.float64), 1), 0, -1).astype(np.float32)
    vectors[(np.abs(vectors) < _STILL_MM).all(-1)] = 0
    moved = np.argwhere((vectors != 0).any(-1))
    if not len(moved):
        return DisplacementField(np.zeros((2, 2, 2, 3), dtype=np.float32), np.eye(4))
    # One sample beyond the last that moves is zero: up to there the trilinear field is not.
    low, high = moved.min(axis=0) - 1, moved.max(axis=0) + 1
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] = low + corners[:, :3] * (high - low)
    world = corners @ field_to_scan.T
    # Half the field's own: turning its grid then takes some hundredths of a mm off the peaks, and not tenths.
    spacing = float(np.clip(0.5 * np.linalg.norm(field_to_scan[:3, :3], axis=0).min(), _FINEST_MM, _COARSEST_MM))
    start, end = world[:, :3].min(axis=0) - spacing, world[:, :3].max(axis=0) + spacing
    shape = np.ceil((end - start) / spacing).astype(int) + 1
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = start
    affine = affine.astype(np.float32).astype(np.float64)  # as a file holds it, so that a saved field is the same
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
    exact = _at(vectors, field_to_scan, grid)
    return DisplacementField(np.round(exact / _STILL_MM) * np.float32(_STILL_MM), affine)


def _at(vectors: NDArray[np.float32], affine: Affine, grid: Grid) -> NDArray[np.float32]:
    """A field whose grid may be sheared, at the voxel centres of another grid; zero beyond it."""
    from scipy import ndimage

    index = np.linalg.inv(affine) @ grid.affine
    found = np.empty((*grid.shape, 3), dtype=np.float32)
    for component in range(3):
        found[..., component] = ndimage.affine_transform(
            vectors[..., component], index[:3, :3], index[:3, 3], output_shape=grid.shape, order=1, cval=0.0
        )
    return found
