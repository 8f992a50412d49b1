"""The registry on a small CNN with the real explainer: complete, repeatable, and it leaves the network alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution import device as devices
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.checks.explained_image import ExplainedImage
from mri_interpret.checks.run_checks import CHECKS, LEVELS, check_explained, failed_randomisation, run_checks
from mri_interpret.checks.verdict import MODEL, Verdict, as_table, not_applicable, pass_or_fail
from mri_interpret.errors import Cancelled, UserError
from torch import nn

from Testing.checks.small_networks import SHAPE, Linear3d, atlas, brain, image, parameters_of, small_cnn

METHODS = ("lrp", "guided_backprop", "grad_cam", "gradient", "integrated_gradients")
TARGET = [-1.0, 0.0, 1.0]


def _maps(network: nn.Module, methods=METHODS):  # type: ignore[no-untyped-def]
    found = Explainer(network).explain(image(), target=TARGET, methods=list(methods))
    maps = {name: one.map[0].numpy() for name, one in found.items()}
    return maps, {name: one.details for name, one in found.items()}


def _run(level: str, network: nn.Module, maps, **settings) -> list[Verdict]:  # type: ignore[no-untyped-def]
    return run_checks(level, Explainer(network), image(), maps, target=TARGET, mask=brain(), labels=atlas(), **settings)


def test_every_method_gets_every_check_of_the_level() -> None:
    network = small_cnn()
    maps, details = _maps(network)
    summary = np.abs(maps["lrp"]) / np.abs(maps["lrp"]).max()
    fast = _run("fast", network, {**maps, "summary": summary}, details=details)
    full = _run("full", network, {**maps, "summary": summary}, details=details)
    quick = {"conservation", "outside the brain", "border of the volume", "fluid", "randomisation", "faithfulness"}
    slow = {"other class", "deletion (blocks)", "deletion (regions)", "insertion (blocks)", "stability", "recovery"}
    for method in METHODS:
        assert {row.check for row in fast if row.method == method} == quick
        assert {row.check for row in full if row.method == method} == quick | slow
    assert {row.check for row in fast if row.method == "summary"} == {"faithfulness"}
    of_model = {"silhouette", "mask edge", "recovery"}
    assert {row.check for row in full if row.method == MODEL} == of_model
    assert list(dict.fromkeys(row.method for row in full)) == [*METHODS, "summary", MODEL]
    again = _run("fast", network, {**maps, "summary": summary}, details=details)
    assert fast == again
    alike = quick - {"faithfulness"}  # which is asked eight times as often at the level full
    assert [row for row in fast if row.check in alike] == [row for row in full if row.check in alike]
    for rows, times in ((fast, 32), (full, 256)):
        assert {f"({times} times)" in row.sentence for row in rows if row.check == "faithfulness"} == {True}
    for row in full:
        assert len(row.sentence) > 15
        assert (row.verdict == "not applicable") == math.isnan(row.value)


def test_the_network_is_left_as_it_was() -> None:
    network = small_cnn()
    maps, details = _maps(network)
    before = parameters_of(network)
    network.train()
    _run("full", network, maps, details=details)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_integrated_gradients_add_up_and_cam_promises_nothing() -> None:
    network = small_cnn()
    maps, details = _maps(network)
    rows = {row.method: row for row in _run("fast", network, maps, details=details) if row.check == "conservation"}
    assert rows["integrated_gradients"].verdict == "pass"
    assert rows["grad_cam"].verdict == "not applicable"


def test_configured_methods_are_made_again_as_configured() -> None:
    """LRP-0 and LRP-epsilon+ are different maps; after a randomisation that changes nothing each is itself again."""
    network = small_cnn()
    methods = [LRP(composite="epsilon"), LRP(composite="epsilon-plus")]
    found = Explainer(network).explain(image(), target=TARGET, methods=methods)
    maps = {name: one.map[0].numpy() for name, one in found.items()}
    assert len(maps) == 2
    rows = _run("full", network, maps, methods=methods)
    stable = [row for row in rows if row.check == "stability"]
    assert len(stable) == 2
    assert all("noise 0.9" in row.sentence or "noise 1.0" in row.sentence for row in stable)


def test_truth_brings_localisation() -> None:
    network = small_cnn()
    maps, details = _maps(network, ("gradient",))
    truth = np.zeros(SHAPE, bool)
    truth[4:7, 4:8, 3:6] = True
    rows = _run("fast", network, maps, details=details, truth=truth, affected=(1,))
    assert [row.check for row in rows if row.check == "localisation"] == ["localisation"]


def test_broken_constant_and_zero_maps_are_told_apart() -> None:
    network = small_cnn()
    maps, _ = _maps(network, ("gradient", "lrp", "grad_cam", "guided_backprop"))
    maps["lrp"] = np.where(np.arange(SHAPE[2]) == 3, np.nan, maps["lrp"])
    maps["grad_cam"] = np.zeros(SHAPE, np.float32)
    maps["guided_backprop"] = np.ones(SHAPE, np.float32)
    rows = _run("full", network, maps)
    broken = [row for row in rows if row.method == "lrp"]
    assert [(row.check, row.verdict, row.value) for row in broken] == [("finite values", "fail", SHAPE[0] * SHAPE[1])]
    assert {row.verdict for row in rows if row.method == "grad_cam"} == {"not applicable"}
    constant = {row.check: row.verdict for row in rows if row.method == "guided_backprop"}
    assert constant["randomisation"] == "not applicable"
    assert constant["outside the brain"] == "fail"


def test_one_class_and_no_relu_are_no_obstacle() -> None:
    network = Linear3d(np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)).eval()
    found = Explainer(network).explain(image(), target=[1.0], methods=["gradient", "gradient_x_input"])
    maps = {name: one.map[0].numpy() for name, one in found.items()}
    rows = run_checks(
        "full", Explainer(network), image(), maps, target=[1.0], mask=brain(), labels=np.zeros(SHAPE, int)
    )
    verdicts = {(row.method, row.check): row.verdict for row in rows}
    assert verdicts["gradient_x_input", "other class"] == "not applicable"
    assert verdicts["gradient", "randomisation"] == "pass"


def test_wrong_cases_are_refused() -> None:
    network = small_cnn()
    maps, _ = _maps(network, ("gradient",))
    with pytest.raises(ValueError, match="level"):
        _run("thorough", network, maps)
    with pytest.raises(ValueError, match="gradient of shape"):
        _run("fast", network, {"gradient": maps["gradient"][1:]})
    with pytest.raises(ValueError, match="mask is empty"):
        ExplainedImage(network, image(), TARGET, maps, np.zeros(SHAPE), atlas())
    with pytest.raises(ValueError, match="must be"):
        ExplainedImage(network, image()[0], TARGET, maps, brain(), atlas())


def test_every_forward_pass_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is moved once, for all checks; the GPU's own test is below."""
    network = small_cnn()
    maps, _ = _maps(network, ("gradient",))
    moved: list[object] = []
    real = devices.on_device

    @contextmanager
    def noted(model: torch.nn.Module, device: str | None) -> Iterator[torch.device]:
        with real(model, device) as place:
            moved.append(place)
            yield place

    monkeypatch.setattr(devices, "on_device", noted)
    rows = _run("fast", network, maps, device="cpu")
    assert moved == [torch.device("cpu")]
    assert rows == _run("fast", network, maps)
    with pytest.raises(UserError, match="no device 'gpu'"):
        _run("fast", network, maps, device="gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_checks_on_a_gpu_agree_and_bring_the_network_back() -> None:
    network = small_cnn()
    maps, _ = _maps(network)
    seen = set()
    hook = network[0].register_forward_pre_hook(lambda module, given: seen.add(given[0].device.type))
    there = _run("full", network, maps, device="cuda")
    hook.remove()
    assert seen == {"cuda"}
    assert next(network.parameters()).device.type == "cpu"
    here = _run("full", network, maps, device="cpu")
    for a, b in zip(there, here, strict=True):
        assert (a.method, a.check) == (b.method, b.check)
        assert a.value == pytest.approx(b.value, abs=0.02, nan_ok=True)


def test_one_map_alone_and_none_at_all() -> None:
    network = small_cnn()
    maps, details = _maps(network, ("gradient",))
    assert {row.method for row in _run("full", network, maps, details=details)} == {"gradient", MODEL}
    assert _run("full", network, {}) == []


def test_cancelling_stops_at_once_and_restores_the_network() -> None:
    network = small_cnn().train()
    steps = []

    def stop(step: str, fraction: float) -> None:
        steps.append(step)
        if len(steps) == 3:
            raise Cancelled(step)

    maps, _ = _maps(network, ("gradient",))
    with pytest.raises(Cancelled):
        _run("fast", network, maps, progress=stop)
    assert len(steps) == 3
    assert network.training


def test_registry_levels_are_known_and_names_unique() -> None:
    assert {check.level for check in CHECKS} == set(LEVELS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    explained = ExplainedImage(small_cnn(), image(), TARGET, {}, brain(), atlas())
    assert check_explained("full", explained) == []


def test_methods_that_fail_randomisation_are_failed_randomisation_with_the_reason() -> None:
    rows = [
        Verdict("a", "randomisation", 0.91, 0.5, "fail", "."),
        Verdict("b", "randomisation", 0.1, 0.5, "pass", "."),
        Verdict("c", "faithfulness", 0.1, 0.3, "fail", "."),
        not_applicable("d", "randomisation", "."),
    ]
    assert list(failed_randomisation(rows)) == ["a"]
    assert "0.91" in failed_randomisation(rows)["a"]


def test_verdicts_are_one_of_three_and_become_a_table() -> None:
    with pytest.raises(ValueError, match="verdict must be"):
        Verdict("a", "b", 1, 1, "perhaps", ".")  # type: ignore[arg-type]
    assert pass_or_fail("a", "b", math.nan, 0.5, True, ".").verdict == "not applicable"
    table = as_table([pass_or_fail("a", "b", 0.7, 0.5, True, "Good.")])
    row = {"method": "a", "check": "b", "value": 0.7, "threshold": 0.5, "verdict": "pass", "sentence": "Good."}
    expected = pd.DataFrame([row])
    pd.testing.assert_frame_equal(table, expected)
    assert list(as_table([]).columns) == list(expected.columns)
