"""Methods against the ground truth: everything that is measured on one simulated subject."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..checks.explained_image import Maps, explained_values
from ..checks.randomisation import upper_half_similarity
from ..progress import ProgressCallback, silent
from .aggregations import BY_FAITHFULNESS, weighted
from .design import DISEASE, ExtraMeasurements
from .map_measurements import Rows, gain, hippocampal_rows, localisation_rows
from .network_measurements import as_explained_image, faithfulness_rows, joined_maps, stability_rows
from .network_under_test import NetworkUnderTest, map_of
from .simulated_subjects import SimulatedSubject
from .volume_truth import FLUID, REACHED, volume_rows

if TYPE_CHECKING:
    from torch import nn

RESIDUE = "random network, "


def measure_subject(
    under_test: NetworkUnderTest,
    given: SimulatedSubject,
    extra: ExtraMeasurements,
    untrained: nn.Module | None = None,
    *,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> tuple[pd.DataFrame, Maps]:
    """All measurements of one subject.

    Parameters
    ----------
    under_test
        The network and the methods.
    given
        The simulated scan and its truth.
    extra
        Which costly measurements to take.
    untrained
        From :func:`random_copy`; its maps are localised too where ``extra`` says so.
    seed
        Random seed.
    progress
        Called after each step; may raise Cancelled.

    Returns
    -------
    rows, maps
        Long table: method, measure, value; and the maps by key, "summary" included.
    """
    import torch

    from ..attribution.target import class_scores

    network = under_test.network.to(under_test.device) if under_test.device else under_test.network
    image = given.image.to(under_test.device) if under_test.device else given.image
    name = f"Measuring {given.name}"
    progress(name, 0.0)
    fluid = given.shares.get(FLUID)
    maps, resolution = under_test.explain(network, image, given.mask, under_test.methods, fluid)
    ill = given.group == DISEASE
    rows: Rows = []
    if extra.slow_methods:
        slow = under_test.attributions(network, image, given.mask, under_test.slow, fluid)
        maps |= {key: map_of(one) for key, one in slow.items()}
        rows += [(key, REACHED, float(one.details[REACHED][0])) for key, one in slow.items() if REACHED in one.details]
    progress(name, 0.3)
    joined = joined_maps(under_test, maps, given.mask, resolution, every_way=ill)
    if ill:
        rows += localisation_rows(under_test, given, maps, joined)
        rows += [row for key, values in maps.items() for row in volume_rows(given, key, values)]
    rows += hippocampal_rows(given, maps, joined)
    progress(name, 0.5)
    if untrained is not None and extra.random_network:
        random_maps, _ = under_test.explain(untrained, image, given.mask, under_test.methods, fluid)
        for key, values in random_maps.items():
            rows.append((key, RESIDUE + "times chance", gain(np.abs(values), given.mask, given.truth)))
    progress(name, 0.6)
    single = {key: values for key, values in maps.items() if key not in under_test.slow}
    if extra.faithfulness:
        faithful = faithfulness_rows(under_test, given, network, image, {**maps, **joined}, seed)
        rows += faithful
        weights = {key: value for key, _, value in faithful if math.isfinite(value)}
        by_faithfulness = weighted(maps, given.mask, under_test.grid, resolution, weights)
        if by_faithfulness is not None:
            rows += localisation_rows(under_test, given, {}, {BY_FAITHFULNESS: by_faithfulness}, with_baselines=False)
    progress(name, 0.7)
    if extra.randomisation:
        explained = as_explained_image(under_test, given, network, image, single)
        rows += [(key, "randomised", found.spearman) for key, found in upper_half_similarity(explained, seed).items()]
    progress(name, 0.85)
    if extra.stability:
        rows += stability_rows(under_test, given, network, image, {**single, **joined}, seed)
    with torch.inference_mode():
        logits = class_scores(network(image))
        predicted = int(torch.argmax(logits, dim=1))
    frame = pd.DataFrame(rows, columns=["method", "measure", "value"])
    contrast = float(explained_values(network, image, under_test.target)[0])
    right = predicted == int(np.argmax(under_test.target)) if len(under_test.target) > 1 else contrast > 0
    facts = {"subject": given.name, "group": given.group, "anatomy": given.anatomy, "called_ill": bool(right)}
    for position, (key, value) in enumerate(facts.items()):
        frame.insert(position, key, value)
    frame["contrast"], frame["fraction"] = contrast, given.fraction
    progress(name, 1.0)
    return frame, {**maps, **{key: values for key, values in joined.items() if key == "summary"}}
