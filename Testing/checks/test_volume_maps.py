"""Checks of maps of volumes: what a search costs is said, their sign is not held against them, and plausibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from mri_interpret.attribution.method import Method
from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
from mri_interpret.checks.explained_image import ExplainedImage, Maps
from mri_interpret.checks.run_checks import check_explained, run_checks
from mri_interpret.checks.verdict import Verdict
from mri_interpret.checks.volume_maps import COUNTERFACTUAL, GRADIENT, once, volume_maps
from torch import nn

from Testing.checks.small_networks import SHAPE, atlas, brain, image, linear_case, small_cnn

asked: list[str] = []


def case(**changes: Any) -> ExplainedImage:
    """A linear network, explained by its weights and by a "counterfactual" that is computed again as noise."""

    def explain(network: Any, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
        asked.extend(names)
        rng = np.random.default_rng(len(asked))
        return {name: rng.normal(size=SHAPE) * brain() for name in names}

    given, relevance = linear_case()
    maps = {"exact": relevance, COUNTERFACTUAL: np.abs(relevance) * brain()}
    return replace(given, maps=maps, explain=explain, **changes)


def of(rows: list[Verdict], method: str, check: str) -> Verdict:
    (found,) = [row for row in rows if row.method == method and row.check == check]
    return found


def test_a_costly_map_is_not_computed_again_by_the_fast_level_and_says_so() -> None:
    asked.clear()
    rows = check_explained("fast", case())
    assert set(asked) == {"exact"}
    verdict = of(rows, COUNTERFACTUAL, "randomisation")
    assert (verdict.verdict, verdict.sentence[:11]) == ("not applicable", "Not checked")
    assert of(rows, "exact", "randomisation").verdict == "pass"


def test_the_full_level_computes_it_again_but_asks_for_no_other_class() -> None:
    asked.clear()
    rows = check_explained("full", case())
    assert COUNTERFACTUAL in asked
    for check in ("randomisation", "stability"):
        assert of(rows, COUNTERFACTUAL, check).verdict in ("pass", "fail")
    assert "no map of another class" in of(rows, COUNTERFACTUAL, "other class").sentence
    assert of(rows, "exact", "other class").verdict in ("pass", "fail")


@pytest.mark.parametrize("plausible", [True, False])
def test_plausibility_is_the_method_s_own_verdict(plausible: bool) -> None:
    words = "No brain changes by 80 %."
    details = {COUNTERFACTUAL: {"plausible": [plausible], "plausibility": [words]}}
    verdict = of(check_explained("fast", case(details=details)), COUNTERFACTUAL, "plausibility")
    assert (verdict.verdict, verdict.sentence) == ("pass" if plausible else "fail", words)
    assert not [row for row in check_explained("fast", case()) if row.check == "plausibility"]


def test_parts_that_are_replaced_are_compared_by_size() -> None:
    """A hippocampus that would have to grow speaks for the disease: the sign says a direction, not a side."""
    network = small_cnn()
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32) * brain()

    def faithfulness(key: str, map_of_it: np.ndarray) -> float:
        rows = run_checks(
            "fast",
            _explainer(network),
            image(),
            {key: map_of_it},
            target=[-1.0, 0.0, 1.0],
            mask=brain(),
            labels=atlas(),
        )
        return of(rows, key, "faithfulness").value

    plain, size = faithfulness("gradient", values), faithfulness(GRADIENT, values)
    assert size != pytest.approx(plain)
    assert volume_maps(["gradient", GRADIENT, f"{COUNTERFACTUAL}(starts=0)", "summary"]) == (
        GRADIENT,
        f"{COUNTERFACTUAL}(starts=0)",
    )


def _explainer(network: nn.Module) -> Any:
    from mri_interpret.attribution import Explainer

    return Explainer(network)


@dataclass(frozen=True)
class Searching(Method):
    """Stands for a method with further starts."""

    name: ClassVar[str] = ""
    starts: int = 4

    def compute(self, recorded: Any) -> Any:
        raise NotImplementedError


def test_further_starts_are_left_out_when_a_map_is_computed_again() -> None:
    method: Any = once(Searching())
    assert method.starts == 0


def test_the_voxel_size_reaches_the_maps_that_are_computed_again() -> None:
    """A volume gradient of voxels of 1 mm beside one of 2 mm: the check must compare like with like."""
    from mri_interpret.checks.run_checks import explain_function

    network = small_cnn()
    maps = {
        spacing: explain_function([GRADIENT], brain(), atlas(), spacing=(spacing,) * 3)(
            network, image(), [-1.0, 0.0, 1.0], [GRADIENT]
        )[GRADIENT]
        for spacing in (1.0, 2.0)
    }
    expected = _explainer(network).explain(
        image(),
        target=[-1.0, 0.0, 1.0],
        methods=[GRADIENT],
        brain_mask=torch.as_tensor(brain()),
        spacing=(2.0, 2.0, 2.0),
    )
    assert np.allclose(maps[2.0], expected[GRADIENT].map[0].numpy(), atol=1e-7)
    assert not np.allclose(maps[1.0], maps[2.0], rtol=1e-3)


def test_the_method_s_own_findings_become_a_verdict() -> None:
    """Explainer and checks together, as the main job calls them."""
    network = small_cnn()
    settings: dict[str, Any] = {"spacing": (2.0, 2.0, 2.0)}
    method = VolumeCounterfactual(starts=1, max_steps=2)
    found = _explainer(network).explain(
        image(), target=[-1.0, 0.0, 1.0], methods=[method], brain_mask=torch.as_tensor(brain()), **settings
    )
    (key,) = found
    rows = run_checks(
        "fast",
        _explainer(network),
        image(),
        {key: found[key].map[0].numpy()},
        target=[-1.0, 0.0, 1.0],
        mask=brain(),
        labels=atlas(),
        methods=[method],
        details={key: found[key].details},
        **settings,
    )
    verdict = of(rows, key, "plausibility")
    assert verdict.sentence == found[key].details["plausibility"][0]
    assert verdict.verdict == ("pass" if found[key].details["plausible"][0] else "fail")
    assert "Not checked" in of(rows, key, "randomisation").sentence
