"""The counterfactual by volumes: the smallest change of anatomy with which the network would answer otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..deformation_result import DEFORMATIONS, NOTICES
from ..method import Method
from .volume_gradient import check_volume, outside_notices

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.goals import Goal
    from ..recorded_pass import RecordedPass


@dataclass(frozen=True)
class VolumeCounterfactual(Method):
    """The change of volumes, per cent at each place of the scan, that takes the network's answer to a goal.

    Steepest descent from the scan by small smooth deformations, one after another, so that nothing folds and every
    structure stays; nothing outside of the head moves. Smooth means: within tissue and within fluid, and fluid gives
    what tissue takes, where the fluid is known.

    Parameters
    ----------
    goal
        ``"boundary"``, where what is explained would turn, or a :class:`~mri_interpret.models.goals.Goal`.
    starts
        How many slightly different scans (noise, half a voxel of shift) are taken there too, to tell how stable the
        change is.
    max_steps
        Steps at most from each start.
    step_percent
        Largest change of volume anywhere in a step near the goal, at most 3 per cent; far from it, up to three times
        as much.
    smoothing_mm
        Gaussian sigma of the smoothing; None for the one that was chosen on simulated brains.
    seed
        Of the noise; the global random state is not touched.
    """

    goal: str | Goal = "boundary"
    starts: int = 4
    max_steps: int = 60
    step_percent: float = 3.0
    smoothing_mm: float | None = None
    seed: int = 0

    name: ClassVar[str] = "volume_counterfactual"
    title: ClassVar[str] = "Volume counterfactual"
    reference: ClassVar[str] = (
        "Wachter et al. 2018, Counterfactual explanations, equation 1, over the deformations of Beg et al. 2005, LDDMM"
    )
    description: ClassVar[str] = "The smallest change of volumes with which the network would answer otherwise."
    units: ClassVar[str] = "% of volume"
    measures_lengths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.goal, str) and self.goal != "boundary":
            raise UserError(
                f"The goal '{self.goal}' is not known here: give 'boundary' or a goal made by models.goals.read_goal.",
                option="goal",
            )
        if not 0 < self.step_percent <= 3 or self.max_steps < 1 or self.starts < 0:
            raise UserError(
                "A volume counterfactual takes at least one step of above 0 and at most 3 per cent, and no negative "
                f"number of starts, not {self.max_steps} steps of {self.step_percent:g} % and {self.starts} starts."
            )
        if self.smoothing_mm is not None and not 0 < self.smoothing_mm < 100:
            raise UserError(f"The smoothing is a length above 0 in mm, not {self.smoothing_mm:g}.")

    def check(self, x: Tensor) -> None:
        check_volume(self, x)

    def parameters(self) -> dict[str, Any]:
        goal = self.goal if isinstance(self.goal, str) else self.goal.words
        return super().parameters() | {"goal": goal}

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        from ...deformation.metric import SMOOTHING_MM
        from ..counterfactual import counterfactual

        samples = len(recorded.x)
        found = []
        for number in range(samples):

            def told(share: float, number: int = number) -> None:
                recorded.progress(self.title, (number + min(share, 0.99)) / samples)

            found.append(counterfactual(self, recorded, number, told))
        maps, deformations, outside = zip(*found, strict=True)
        facts = [one.facts() for one in deformations]
        # Said sample by sample, as other findings are.
        details: dict[str, Any] = {name: [fact[name] for fact in facts] for name in facts[0]}
        details["goal"] = [one.goal for one in deformations]
        details |= {
            "smoothing_mm": self.smoothing_mm or SMOOTHING_MM,
            "fluid_known": recorded.about.fluid is not None,
            "outside_mask_share": list(outside),
            NOTICES: outside_notices(outside),
        }
        return torch.stack(maps), details | {DEFORMATIONS: tuple(deformations)}
