"""An explanation with what the volume methods add, of a deformation that is known: the hippocampi grow.

The deformation is made, not found, so that a test knows what must come out: by the divergence theorem alone.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mri_interpret.anatomy.atlas import Atlas
from mri_interpret.attribution.deformation_result import SIZE_UNIT
from mri_interpret.deformation.construction import field_of_divergence
from mri_interpret.deformation.displacement import inverse, log_jacobian, warp
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.facts import MethodMap
from mri_interpret.explanation.volume_changes import counterfactuals_of, volume_changes
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.model_grid import to_scan_grid

from Testing.fixtures_explanation import LEFT_HIPPOCAMPUS, RIGHT_HIPPOCAMPUS, make_explanation

GRADIENT, COUNTERFACTUAL = "volume_gradient", "volume_counterfactual"
PERCENT = "% of volume"


def growth(grid: Grid, amount: float = 0.35) -> torch.Tensor:
    """A backward field (3, i, j, k) in mm on the template's 4 mm grid that makes both hippocampi grow."""
    points = np.moveaxis(np.indices(grid.shape, dtype=float), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    divergence = sum(
        np.exp(-0.5 * (np.linalg.norm(points - centre, axis=-1) / 9) ** 2)
        for centre in (RIGHT_HIPPOCAMPUS, LEFT_HIPPOCAMPUS)
    )
    distance = np.minimum(*np.broadcast_arrays(*[np.indices(grid.shape)[0], np.indices(grid.shape)[0][::-1]]))
    for axis in (1, 2):
        index = np.indices(grid.shape)[axis]
        distance = np.minimum(distance, np.minimum(index, index.max() - index))
    calm = np.clip((distance - 1) / 6, 0, 1)  # zero at the box's edge
    field = field_of_divergence(torch.from_numpy(-amount * np.asarray(divergence)).float())
    return field * torch.from_numpy(calm).float()


def deformation(grid: Grid, reached: bool = True) -> SimpleNamespace:
    """What the engine hands over: a field, the same of three starts, and how far it got."""
    field = growth(grid)

    def log_volume(displacement: torch.Tensor) -> torch.Tensor:
        back = inverse(displacement)
        return -warp(log_jacobian(displacement)[None], back)[0]

    return SimpleNamespace(
        displacement=field,
        step=np.ones(3),
        origin=np.zeros(3),
        starts=(0.9 * field, 1.1 * field, 0.95 * field),
        starts_reached=(True, True, False),
        path=[{"step": n, "value": 1.2 - 0.3 * n, "size": 0.4 * n} for n in range(5)],
        reached=reached,
        goal="the boundary between AD and CN",
        goal_value=0.0,
        criterion=(1.2, 0.0),
        sentence="" if reached else "The boundary between AD and CN was not reached: the answer no longer moves.",
        plausible=True,
        plausibility="Ageing and disease make changes of volume of this size.",
        size=1.6,
        size_unit=SIZE_UNIT,
        log_volume=log_volume,
    )


@lru_cache(maxsize=2)
def make_volume_explanation(reached: bool = True) -> Explanation:
    """The small explanation with a volume gradient and a counterfactual."""
    explanation = make_explanation()
    grid = explanation.summary_template.grid
    to_template = explanation.registration.to_template
    found = deformation(grid, reached)
    changed = Volume(100 * np.expm1(found.log_volume(found.displacement).numpy()), grid.affine)
    brain = resample(explanation.mask, grid, np.linalg.inv(to_template), order=0).array
    slope = Volume((-1e-4 * changed.array * brain).astype(np.float32), grid.affine)
    maps = {
        name: MethodMap(
            name, title, to_scan_grid(template, explanation.scan.grid, to_template), template, True, units, 1.0
        )
        for name, title, template, units in (
            (GRADIENT, "Volume gradient", slope, "logit per 1 % of a voxel's volume"),
            (COUNTERFACTUAL, "Volume counterfactual", changed, PERCENT),
        )
    }
    prepared: Any = SimpleNamespace(scan=explanation.scan, to_template=to_template)
    attributions: Any = {
        GRADIENT: SimpleNamespace(deformations=()),
        COUNTERFACTUAL: SimpleNamespace(deformations=(found,)),
    }
    regions = Atlas(explanation.atlas_name, explanation.atlas_in_scan, explanation.regions)
    assert explanation.anatomy is not None
    deformed = counterfactuals_of(prepared, attributions, grid)
    return dataclasses.replace(
        explanation,
        maps={**explanation.maps, **maps},
        volume_changes=volume_changes(prepared, attributions, maps, grid, regions, explanation.anatomy, deformed),
        counterfactuals=deformed,
    )
