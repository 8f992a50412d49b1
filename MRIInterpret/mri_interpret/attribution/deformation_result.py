"""What a counterfactual of volumes gives back: how the scan is deformed, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: Keys under which a method hands over, among its details, its deformations and sentences for the reader.
DEFORMATIONS, NOTICES = "deformations", "notices"
#: Of :attr:`Deformation.size`.
SIZE_UNIT = "% of volume, root mean square inside the mask"


def plain_facts(details: Mapping[str, Any]) -> dict[str, Any]:
    """A method's details without what it hands over besides them, for methods that are made of others."""
    return {key: value for key, value in details.items() if key not in (DEFORMATIONS, NOTICES)}


@dataclass(frozen=True)
class Deformation:
    """A deformation of one scan, and the way there.

    A displacement is (3, i, j, k), float32 on the CPU, in mm along the input grid's own axes, and maps backwards: the
    counterfactual at x is the input at x + u(x). It is 0 outside of the head, also beyond its own grid, and linear
    between the cells of that.

    Attributes
    ----------
    displacement
        From the counterfactual back to the scan.
    step, origin
        The field's cell (a, b, c) lies at the input's voxel ``origin + step * (a, b, c)``.
    spacing
        The input's voxel size in mm along its axes.
    image
        (C, I, J, K): the input as it would be.
    starts, starts_reached
        Displacements from further starts, slightly different scans, on the same grid; and whether each reached the
        goal.
    path
        Per step from the scan on: "step", "value" (what is explained), "criterion" (what has to reach the goal), and
        "size".
    goal, goal_value
        What was to be reached, in words, and the number that the criterion had to reach.
    reached
        Whether it was reached.
    sentence
        Why not, or that nothing had to change; empty if it was reached.
    plausible, plausibility
        Whether the changes stay within what ageing and disease are known to make; in one sentence.
    size, size_unit
        How large the deformation is.
    """

    displacement: Tensor
    step: tuple[float, float, float]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    image: Tensor
    path: list[dict[str, float]]
    goal: str
    goal_value: float
    reached: bool
    sentence: str
    plausible: bool
    plausibility: str
    size: float
    size_unit: str
    starts: tuple[Tensor, ...] = ()
    starts_reached: tuple[bool, ...] = field(default=())

    @property
    def criterion(self) -> tuple[float, float]:
        """The number that had to reach the goal, before and after."""
        return self.path[0]["criterion"], self.path[-1]["criterion"]

    def scaled(self, share: float) -> Tensor:
        """A part of the displacement, for pictures: nothing at 0, all of it at 1, and no path of its own between."""
        return self.displacement * share

    def log_volume(self, displacement: Tensor | None = None) -> Tensor:
        """Change of log-volume at each place of the *scan*, (i, j, k) on the field's grid.

        Parameters
        ----------
        displacement
            One of ``starts``; the main one if None.
        """
        u = self.displacement if displacement is None else displacement
        return log_volume(u, self._box(u))

    def _box(self, u: Tensor) -> tuple[float, float, float]:
        i, j, k = (float(n) * step * size for n, step, size in zip(u.shape[1:], self.step, self.spacing, strict=True))
        return i, j, k

    def facts(self) -> dict[str, Any]:
        """What can be said without images, JSON-like."""
        names = ("reached", "goal", "goal_value", "sentence", "plausible", "plausibility", "size", "size_unit", "path")
        return {name: getattr(self, name) for name in names} | {
            "criterion": list(self.criterion),
            "starts_reached": list(self.starts_reached),
        }


def log_volume(u: Tensor, box: tuple[float, float, float]) -> Tensor:
    """Change of log-volume at each place of the scan, (i, j, k), by the backward displacement ``u`` over ``box`` (mm).

    The scan's place y becomes y + v(y), where v undoes u; there its volume has changed by the inverse of u's Jacobian.
    A number everywhere if u folds nowhere.
    """
    from ..deformation.displacement import inverse_of_strong, log_jacobian, warp

    return -warp(log_jacobian(u, box)[None], inverse_of_strong(u, box=box), box=box)[0]
