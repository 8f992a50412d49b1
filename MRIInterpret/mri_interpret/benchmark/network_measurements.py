"""What is measured on one simulated subject by asking the network again, for aggregated maps too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..checks.explained_image import ExplainedImage, Maps
from ..checks.faithfulness_checks import check_correlation
from ..checks.imputation import template_imputation
from ..checks.stability import default_perturbations, interior
from ..checks.volume_maps import volume_maps
from ..metrics.agreement import intraclass_correlation
from ..metrics.similarity import region_profile
from ..summary import summarise
from .aggregations import aggregate
from .map_measurements import Rows
from .network_under_test import NetworkUnderTest
from .simulated_subjects import SimulatedSubject
from .volume_truth import FLUID

if TYPE_CHECKING:
    import torch
    from torch import nn


def joined_maps(
    under_test: NetworkUnderTest,
    maps: Maps,
    mask: NDArray[np.bool_],
    resolution: Mapping[str, float],
    every_way: bool = True,
) -> dict[str, NDArray[np.float32]]:
    """This model's summary score, and every other aggregation that is compared with it."""
    joined = aggregate(maps, mask, under_test.grid, resolution) if every_way else {}
    combined = {key: maps[key] for key in under_test.summary_methods if key in maps}
    if combined:
        found = summarise(
            combined,
            mask,
            under_test.grid,
            under_test.labels,
            weights=under_test.summary_weights,
            resolution_mm=resolution,
        )
        joined["summary"] = np.asarray(found.score.array)
    return joined


def as_explained_image(
    under_test: NetworkUnderTest, given: SimulatedSubject, network: nn.Module, image: torch.Tensor, maps: Maps
) -> ExplainedImage:
    spacing = tuple(float(size) for size in under_test.grid.spacing)

    def again(other: nn.Module, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
        wanted = {name: under_test.methods[name] for name in names}
        return replace(under_test, target=target).explain(other, x, given.mask, wanted, given.shares.get(FLUID))[0]

    return ExplainedImage(
        network,
        image,
        under_test.target,
        maps,
        given.mask,
        under_test.labels,
        (spacing[0], spacing[1], spacing[2]),
        again,
        readings={key: method.read_as for key, method in {**under_test.slow, **under_test.methods}.items()},
        imputed=template_imputation(given.image[0, 0].numpy(), given.mask, under_test.grid),
    )


def faithfulness_rows(
    under_test: NetworkUnderTest,
    given: SimulatedSubject,
    network: nn.Module,
    image: torch.Tensor,
    maps: Maps,
    seed: int,
) -> Rows:
    joined = [key for key in maps if key not in under_test.methods and key not in under_test.slow]
    unsigned = [*joined, *volume_maps(maps)]
    effect = np.where(given.mask, np.abs(given.effect), 0).astype(np.float32)
    explained = as_explained_image(under_test, given, network, image, {**maps, "effect": effect})
    verdicts = check_correlation(replace(explained, unsigned=(*unsigned, "effect")), seed)
    return [(verdict.method, "faithfulness", verdict.value) for verdict in verdicts]


def stability_rows(
    under_test: NetworkUnderTest,
    given: SimulatedSubject,
    network: nn.Module,
    image: torch.Tensor,
    maps: Maps,
    seed: int,
) -> Rows:
    """ICC of region profiles under perturbations that carry no information; of aggregated maps too."""
    import torch

    scan, fluid = given.image[0, 0].numpy(), given.shares.get(FLUID)
    core = interior(given.mask)
    profiles = {key: [region_profile(values, under_test.labels, core)] for key, values in maps.items()}
    for perturbation in default_perturbations(seed):
        changed = torch.as_tensor(np.ascontiguousarray(perturbation.apply(scan)))[None, None].to(image)
        found, resolution = under_test.explain(network, changed, given.mask, under_test.methods, fluid)
        found |= joined_maps(under_test, found, given.mask, resolution)
        for key, measured in profiles.items():
            measured.append(region_profile(perturbation.undo(found[key]), under_test.labels, core))
    return [(key, "icc", intraclass_correlation(np.stack(measured))) for key, measured in profiles.items()]
