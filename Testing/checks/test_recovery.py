"""Recovery, with networks that read a known structure's volume, read it the wrong way round, or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.checks.answer_noise import AnswerNoise, answer_noise
from mri_interpret.checks.explained_image import ExplainedImage, Maps
from mri_interpret.checks.recovery import (
    badge,
    changed_structure,
    check_recovery,
    noticed_from,
    warnings_of_model,
)
from mri_interpret.checks.run_checks import check_explained
from mri_interpret.checks.verdict import MODEL, Verdict
from mri_interpret.errors import Cancelled
from torch import nn

SHAPE = (30, 32, 28)
CENTRE = (14.0, 15.0, 13.0)


def ball(radius: float) -> np.ndarray:
    offsets = [np.arange(size) - at for size, at in zip(SHAPE, CENTRE, strict=True)]
    i, j, k = np.meshgrid(*offsets, indexing="ij")
    return np.sqrt(i**2 + j**2 + k**2) <= radius


BRAIN, BRIGHT, WINDOW = ball(12), ball(4), ball(7)
VOLUME = int(BRIGHT.sum())


class Volume(nn.Module):
    """The volume of what is bright near the middle: a structure's volume by construction, in voxels."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("window", torch.as_tensor(WINDOW.astype(np.float32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = ((x[:, 0] - 0.3) / 0.7).clamp(0, 1)
        return self.factor * (share * self.window).flatten(1).sum(1, keepdim=True)


def gradient(network: nn.Module, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
    leaf = x.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(network(leaf).sum(), leaf)
    return dict.fromkeys(names, (found * leaf.detach())[0, 0].numpy())


def case(factor: float = -1.0, **changes: Any) -> ExplainedImage:
    x = torch.as_tensor(np.where(BRIGHT, 1.0, np.where(BRAIN, 0.3, 0)).astype(np.float32))[None, None]
    network = Volume(factor).eval()
    settings: dict[str, Any] = {
        "network": network, "image": x, "target": [1.0], "towards": [1.0], "mask": BRAIN,
        "maps": dict(gradient(network, x, [1.0], ["map"])), "labels": np.zeros(SHAPE, int), "explain": gradient,
        "structures": {"hippocampi": BRIGHT.astype(np.float32)},
    }  # fmt: skip
    return ExplainedImage(**{**settings, **changes})


def of(rows: list[Verdict], method: str) -> Verdict:
    (found,) = [row for row in rows if row.method == method]
    return found


def test_the_scan_is_changed_by_what_was_asked_and_nowhere_else() -> None:
    given = case()
    changes = changed_structure(given, "hippocampi")
    assert [change.size for change in changes] == [0.1, 0.2, 0.3]
    whole = float(given.network(given.image))
    for change in changes:
        lost = 1 - float(given.network(change.image)) / whole
        # Blurred edges of the warped structure count by their share: within 3 % of the volume.
        assert lost == pytest.approx(change.size, abs=0.03)
        assert torch.equal(change.image[0, 0][~torch.as_tensor(BRAIN)], given.image[0, 0][~torch.as_tensor(BRAIN)])
        assert float(change.log_volume[ball(2)].mean()) < 0
    wider = changed_structure(case(structures={"ventricles": BRIGHT.astype(np.float32)}), "ventricles", (0.2,))
    assert float(given.network(wider[0].image)) / whole == pytest.approx(1.2, abs=0.03)


def test_a_network_that_reads_the_volume_notices_and_its_map_follows() -> None:
    rows = check_recovery(case())
    verdict = of(rows, MODEL)
    assert (verdict.check, verdict.verdict) == ("recovery (hippocampi)", "pass")
    limit = 1.96 * answer_noise(case(), [1.0]).total
    moves = [
        float(case().network(one.image) - case().network(case().image))
        for one in changed_structure(case(), "hippocampi")
    ]
    assert verdict.value == pytest.approx(100 * noticed_from((0.1, 0.2, 0.3), moves, limit))
    assert f"would have noticed a loss of {verdict.value:.0f} %" in verdict.sentence
    assert badge(verdict) == f"would have noticed a loss of {verdict.value:.0f} % (hippocampi)"
    followed = of(rows, "map")
    assert followed.verdict == "pass"
    assert followed.value > 5


def test_the_wrong_way_and_blind_networks_fail_and_say_which() -> None:
    wrong = of(check_recovery(case(factor=1.0)), MODEL)
    assert (wrong.verdict, wrong.value) == ("fail", 100.0)
    assert "moves the wrong way at a loss of 30%" in wrong.sentence
    assert badge(wrong) == "would not have noticed a loss of 30 % (hippocampi)"
    blind = check_recovery(case(factor=0.0))
    assert of(blind, MODEL).verdict == "fail"
    assert "does not change at all" in of(blind, MODEL).sentence
    assert of(blind, "map").verdict == "not applicable"


def test_a_quantity_is_asked_in_either_direction() -> None:
    """A regression has no class of the disease, so no right way."""
    for factor in (1.0, -1.0):
        verdict = of(check_recovery(case(factor=factor, towards=None)), MODEL)
        assert verdict.verdict == "pass"
        assert "in either direction" in verdict.sentence


def test_where_the_deformation_fails_nothing_is_claimed() -> None:
    whole_brain = case(structures={"hippocampi": BRAIN.astype(np.float32)})
    rows = check_recovery(whole_brain)
    assert {row.verdict for row in rows} == {"not applicable"}
    assert "The deformation failed" in of(rows, MODEL).sentence
    tiny = check_recovery(case(structures={"hippocampi": ball(0).astype(np.float32)}))
    assert "too small to change" in of(tiny, MODEL).sentence
    assert "No structure" in of(tiny, "map").sentence
    unsegmented = check_recovery(case(structures={}))
    assert "No segmentation" in of(unsegmented, MODEL).sentence
    assert check_recovery(case(maps={"summary": np.ones(SHAPE)})) == []
    assert "No function" in of(check_recovery(case(explain=None)), "map").sentence


def test_outputs_warn_of_an_outline_and_of_a_model_that_notices_nothing() -> None:
    def verdict(check: str, outcome: Any) -> Verdict:
        return Verdict(MODEL, check, 1.0, 0.5, outcome, f"About {check}.")

    noticed, overlooked = verdict("recovery (hippocampi)", "pass"), verdict("recovery (amygdalae)", "fail")
    assert warnings_of_model([noticed, overlooked, verdict("silhouette", "pass")]) == []
    found = warnings_of_model([overlooked, verdict("silhouette", "fail"), Verdict("lrp", "recovery", 1, 2, "fail", "")])
    assert found == [
        "The model on this scan fails a check (silhouette): About silhouette.",
        "The model on this scan fails a check (recovery (amygdalae)): About recovery (amygdalae).",
    ]


def test_every_step_can_be_cancelled() -> None:
    """Each pass and each step of the deformation tells how far it is: none takes a second on a real scan."""
    fractions: list[float] = []

    def note(step: str, fraction: float) -> None:
        fractions.append(fraction)

    check_recovery(case(), progress=note)
    assert fractions == sorted(fractions)
    assert len(fractions) > 20

    def stop(step: str, fraction: float) -> None:
        if fraction > 0.4:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        check_recovery(case(), progress=stop)


@pytest.mark.parametrize(
    ("moves", "limit", "expected"),
    [
        ((1.0, 2.0, 3.0), 1.5, 0.15),
        ((1.0, 2.0, 3.0), 0.5, 0.05),
        ((-1.0, 0.5, 3.0), 3.0, 0.3),
        ((1.0, 2.0, 3.0), 3.1, math.nan),
        ((-1.0, -2.0, -3.0), 0.5, math.nan),
        ((0.0, 0.0, 2.0), 0.0, 0.2),
        ((0.0, 0.0, 0.0), 0.0, math.nan),
    ],
)
def test_the_size_that_is_noticed_is_read_between_sizes(
    moves: tuple[float, ...], limit: float, expected: float
) -> None:
    assert noticed_from((0.1, 0.2, 0.3), moves, limit) == pytest.approx(expected, nan_ok=True)


def test_noise_is_that_of_independent_sources() -> None:
    assert AnswerNoise(3.0, 4.0, 12.0).total == pytest.approx(13)
    steady = answer_noise(case(factor=0.0), [1.0])
    assert steady.total == 0
    found = answer_noise(case(), [1.0], seed=1)
    assert found.pose > 0
    assert found.scanner > 0
    assert found.mask == 0  # the structure lies far from the edge
    everywhere = replace(case(), mask=np.ones(SHAPE))
    assert answer_noise(everywhere, [1.0]).mask == 0


def test_the_level_full_has_it_and_fast_has_not() -> None:
    given = case(spacing=(4.0, 4.0, 4.0))
    checks = {row.check for row in check_explained("full", given)}
    assert {"recovery", "recovery (hippocampi)"} <= checks
    assert not any("recovery" in row.check for row in check_explained("fast", given))
