"""What is measured on one simulated subject by asking the network again, for joined maps too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..checks.faithfulness_checks import check_correlation
from ..checks.neutral import template_neutral
from ..checks.stability import default_changes
from ..checks.subject import Maps, Subject
from ..metrics.agreement import intraclass_correlation
from ..metrics.similarity import region_profile
from ..summary import summarise
from .aggregations import aggregate
from .map_measurements import Rows
from .network_under_test import Explained
from .simulated_subjects import TruthSubject

if TYPE_CHECKING:
    import torch
    from torch import nn


def joined_maps(
    explained: Explained,
    maps: Maps,
    mask: NDArray[np.bool_],
    resolution: Mapping[str, float],
    every_way: bool = True,
) -> dict[str, NDArray[np.float32]]:
    """The product's summary score of this model, and every way to join maps that is compared with it."""
    joined = aggregate(maps, mask, explained.grid, resolution) if every_way else {}
    usual = {key: maps[key] for key in explained.usual if key in maps}
    if usual:
        found = summarise(
            usual, mask, explained.grid, explained.labels, weights=explained.weights, resolution_mm=resolution
        )
        joined["summary"] = np.asarray(found.score.array)
    return joined


def as_subject(
    explained: Explained, given: TruthSubject, network: nn.Module, image: torch.Tensor, maps: Maps
) -> Subject:
    spacing = tuple(float(size) for size in explained.grid.spacing)

    def again(other: nn.Module, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
        wanted = {name: explained.methods[name] for name in names}
        return replace(explained, target=target).explain(other, x, given.mask, wanted)[0]

    return Subject(
        network,
        image,
        explained.target,
        maps,
        given.mask,
        explained.labels,
        (spacing[0], spacing[1], spacing[2]),
        again,
        neutral=template_neutral(given.image[0, 0].numpy(), given.mask, explained.grid),
    )


def faithfulness_rows(
    explained: Explained, given: TruthSubject, network: nn.Module, image: torch.Tensor, maps: Maps, seed: int
) -> Rows:
    unsigned = [key for key in maps if key not in explained.methods and key not in explained.slow]
    effect = np.where(given.mask, np.abs(given.effect), 0).astype(np.float32)
    subject = as_subject(explained, given, network, image, {**maps, "effect": effect})
    verdicts = check_correlation(subject, seed, unsigned=[*unsigned, "effect"])
    return [(verdict.method, "faithfulness", verdict.value) for verdict in verdicts]


def stability_rows(
    explained: Explained, given: TruthSubject, network: nn.Module, image: torch.Tensor, maps: Maps, seed: int
) -> Rows:
    """ICC of region profiles under changes that mean nothing; of joined maps too."""
    import torch

    scan = given.image[0, 0].numpy()
    # Interpolation at the brain's edge mixes in the outside; the outermost voxel says nothing about the method.
    core = ndimage.binary_erosion(given.mask)
    profiles = {key: [region_profile(values, explained.labels, core)] for key, values in maps.items()}
    for change in default_changes(seed):
        changed = torch.as_tensor(np.ascontiguousarray(change.apply(scan)))[None, None].to(image)
        found, resolution = explained.explain(network, changed, given.mask, explained.methods)
        found |= joined_maps(explained, found, given.mask, resolution)
        for key, measured in profiles.items():
            measured.append(region_profile(change.undo(found[key]), explained.labels, core))
    return [(key, "icc", intraclass_correlation(np.stack(measured))) for key, measured in profiles.items()]
