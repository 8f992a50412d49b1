"""The Explainer: one call, many maps, and a model that nobody touched."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, Method, available_methods
from mri_interpret.attribution.evaluation_mode import evaluation_mode
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
from mri_interpret.errors import Cancelled, UserError
from torch import Tensor, nn

from Testing.attribution.networks import SPELLINGS, Spellings, plain, randomise, volume
from Testing.attribution.state import assert_same, state


def test_every_method_gives_a_map_on_the_input_grid() -> None:
    x = volume(samples=2).float()
    regions = torch.zeros(x.shape[2:], dtype=torch.int64)
    regions[2:5], regions[6:9] = 1, 2
    methods = sorted(available_methods())
    quick = [
        VolumeCounterfactual(starts=1, max_steps=2) if name == VolumeCounterfactual.name else name for name in methods
    ]
    maps = Explainer(plain().float()).explain(x, "predicted", quick, regions=regions)
    assert list(maps) == methods
    for name, found in maps.items():
        assert found.map.shape == (2, 10, 12, 11), name
        assert found.map.dtype == torch.float32
        assert bool(torch.isfinite(found.map).all()), name
        assert float(found.map.abs().max()) > 0, name
        assert found.title
        assert found.units
        assert found.seconds >= 0
        assert found.peak_memory > 1 << 20
        if not found.signed:
            assert float(found.map.min()) >= 0, name


def test_logits_come_from_the_recorded_pass() -> None:
    model, x = plain(), volume(samples=2)
    maps = Explainer(model).explain(x, [0.0, -1.0, 1.0], "gradient")
    with torch.no_grad():
        logits = model(x)
    torch.testing.assert_close(maps.logits, logits.float())
    torch.testing.assert_close(maps.explained, (logits[:, 2] - logits[:, 1]).float())


def test_predicted_target_is_chosen_per_sample() -> None:
    model, x = plain(), torch.cat([volume(seed=1), 9 * volume(seed=2), -5 * volume(seed=3)])
    maps = Explainer(model).explain(x, "predicted", "gradient")
    assert torch.equal(maps.weights.argmax(1), maps.logits.argmax(1))


def test_batch_equals_single_samples() -> None:
    model, x = plain(), volume(samples=3)
    together = Explainer(model).explain(x, 2, DEFAULT_METHODS)
    for index in range(3):
        alone = Explainer(model).explain(x[index : index + 1], 2, DEFAULT_METHODS)
        for name in DEFAULT_METHODS:
            torch.testing.assert_close(together[name].map[index : index + 1], alone[name].map, rtol=1e-5, atol=1e-7)


def test_second_call_gives_the_same_maps() -> None:
    explainer, x = Explainer(plain()), volume()
    first, second = explainer.explain(x, 0), explainer.explain(x, 0)
    for name in DEFAULT_METHODS:
        assert torch.equal(first[name].map, second[name].map)


@pytest.mark.parametrize("training", [False, True])
def test_model_is_untouched(training: bool) -> None:
    model, x = plain().train(training), volume()
    model[1].train(not training)
    next(model.parameters()).requires_grad_(False)
    before, kept = state(model), x.clone()
    Explainer(model).explain(x, 0, [*DEFAULT_METHODS, "smoothgrad", "occlusion"])
    assert_same(before, state(model))
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_model_is_untouched_after_cancel() -> None:
    model = plain().train()
    before = state(model)

    def cancel(step: str, fraction: float) -> None:
        if step == "Guided backpropagation":
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        Explainer(model).explain(volume(), 0, DEFAULT_METHODS, progress=cancel)
    assert_same(before, state(model))


class _Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm3d(1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(3)
        self.bn(x)
        raise RuntimeError("broken")


def test_model_is_untouched_after_an_exception() -> None:
    model = _Failing().train()
    before = state(model)
    with pytest.raises(UserError, match=r"of shape .*it fails \(RuntimeError: broken\)") as caught:
        Explainer(model).explain(volume().float(), 0, "gradient")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert_same(before, state(model))


def test_backward_hooks_of_others_stay_and_stay_out() -> None:
    # MONAI leaves such hooks behind on the layers it has explained.
    model, x, called = plain(), volume(), []
    wanted = Explainer(model).explain(x, 0, DEFAULT_METHODS)
    handle = model[4].register_full_backward_hook(lambda *_: called.append(1))
    found = Explainer(model).explain(x, 0, DEFAULT_METHODS)
    assert not called
    for name in DEFAULT_METHODS:
        assert torch.equal(found[name].map, wanted[name].map)
    model(x.clone().requires_grad_()).sum().backward()
    assert called
    handle.remove()


def test_what_a_model_changes_about_itself_is_undone() -> None:
    class Restless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = nn.Linear(8, 2), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.linear.register_full_backward_hook(lambda *_: None)
            self.register_buffer("seen", torch.ones(3))
            y = self.linear(x.flatten(1))
            self.linear.weight = nn.Parameter(self.linear.weight + 1)
            return y

    model = Restless()
    weight = model.linear.weight
    with evaluation_mode(model):
        model(torch.rand(1, 1, 2, 2, 2))
    assert model.linear.weight is weight
    assert model.calls == 0
    assert not dict(model.named_buffers())
    assert not model.linear._backward_hooks
    assert model.linear._is_full_backward_hook is None


def test_training_mode_is_explained_as_evaluation_mode() -> None:
    x = volume()
    wanted = Explainer(plain()).explain(x, 0, DEFAULT_METHODS)
    found = Explainer(plain().train()).explain(x, 0, DEFAULT_METHODS)
    for name in DEFAULT_METHODS:
        assert torch.equal(wanted[name].map, found[name].map)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_gives_the_same_maps(spelling: str) -> None:
    # captum, zennit and MONAI give the plain gradient as guided backpropagation for most of these.
    x = volume()
    wanted = Explainer(randomise(Spellings("module"))).explain(x, 1, DEFAULT_METHODS)
    found = Explainer(randomise(Spellings(spelling))).explain(x, 1, DEFAULT_METHODS)
    gradient = Explainer(randomise(Spellings(spelling))).explain(x, 1, "gradient")
    for name in DEFAULT_METHODS:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-9, msg=f"{spelling} {name}")
    assert not torch.allclose(found["guided_backprop"].map, gradient["gradient"].map)


def test_progress_names_every_method() -> None:
    steps: list[tuple[str, float]] = []
    Explainer(plain()).explain(volume(), 0, DEFAULT_METHODS, progress=lambda *step: steps.append(step))
    titles = [available_methods()[name].title for name in DEFAULT_METHODS]
    assert [name for name, _ in steps] == ["Forward pass", "Forward pass", *titles, "Maps"]
    assert all(0 <= fraction <= 1 for _, fraction in steps)


def test_layers_are_named_or_averaged() -> None:
    x, explainer = volume(), Explainer(plain())
    one = explainer.explain(x, 0, GradCam("2"))["grad_cam"]
    other = explainer.explain(x, 0, GradCam(("5",)))["grad_cam"]
    both = explainer.explain(x, 0, GradCam(("2", "5")))["grad_cam"]
    torch.testing.assert_close(both.map, (one.map + other.map) / 2)
    assert both.details["layer"] == ["2", "5"]
    assert isinstance(GradCam("2"), Method)
