"""The Explainer: one call, many maps, and a model that nobody touched."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import MRIInterpretLib
import pytest
import torch
from MRIInterpretLib.attribution import PANEL, Explainer, Method, available_methods, create_method, registry
from MRIInterpretLib.attribution.engine import convolution_layer, kernels, stage
from MRIInterpretLib.attribution.methods.baselines import RandomisedModel
from MRIInterpretLib.attribution.methods.cam import GradCam
from MRIInterpretLib.attribution.methods.gradient import SmoothGrad
from MRIInterpretLib.attribution.methods.lrp import LRP
from MRIInterpretLib.errors import Cancelled, UserError
from networks import SPELLINGS, Spellings, plain, randomise, volume
from torch import Tensor, nn


def _state(model: nn.Module) -> dict[str, object]:
    return {
        "tensors": {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "same": {name: id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "grads": [parameter.grad for parameter in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "training": [module.training for module in model.modules()],
        "hooks": [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in model.modules()
        ],
        "random": torch.random.get_rng_state(),
        "global hooks": len(nn.modules.module._global_forward_hooks) + len(nn.modules.module._global_forward_pre_hooks),
        "deterministic": torch.is_grad_enabled(),
    }


def _assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    for name, value in before["tensors"].items():
        assert torch.equal(value, after["tensors"][name]), name
    assert torch.equal(before.pop("random"), after.pop("random"))
    before.pop("tensors")
    after.pop("tensors")
    assert before == after


def test_every_method_gives_a_map_on_the_input_grid() -> None:
    x = volume(samples=2).float()
    regions = torch.zeros(x.shape[2:], dtype=torch.int64)
    regions[2:5], regions[6:9] = 1, 2
    methods = sorted(available_methods())
    maps = Explainer(plain().float()).explain(x, "predicted", methods, regions=regions)
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
    together = Explainer(model).explain(x, 2, PANEL)
    for index in range(3):
        alone = Explainer(model).explain(x[index : index + 1], 2, PANEL)
        for name in PANEL:
            torch.testing.assert_close(together[name].map[index : index + 1], alone[name].map, rtol=1e-5, atol=1e-7)


def test_second_call_gives_the_same_maps() -> None:
    explainer, x = Explainer(plain()), volume()
    first, second = explainer.explain(x, 0), explainer.explain(x, 0)
    for name in PANEL:
        assert torch.equal(first[name].map, second[name].map)


@pytest.mark.parametrize("training", [False, True])
def test_model_is_untouched(training: bool) -> None:
    model, x = plain().train(training), volume()
    model[1].train(not training)
    next(model.parameters()).requires_grad_(False)
    before, kept = _state(model), x.clone()
    Explainer(model).explain(x, 0, [*PANEL, "smoothgrad", "occlusion"])
    _assert_same(before, _state(model))
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_model_is_untouched_after_cancel() -> None:
    model = plain().train()
    before = _state(model)

    def cancel(step: str, fraction: float) -> None:
        if step == "Guided backpropagation":
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        Explainer(model).explain(volume(), 0, PANEL, progress=cancel)
    _assert_same(before, _state(model))


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
    before = _state(model)
    with pytest.raises(RuntimeError, match="broken"):
        Explainer(model).explain(volume().float(), 0, "gradient")
    _assert_same(before, _state(model))


def test_backward_hooks_of_others_stay_and_stay_out() -> None:
    # MONAI leaves such hooks behind on the layers it has explained.
    model, x, called = plain(), volume(), []
    wanted = Explainer(model).explain(x, 0, PANEL)
    handle = model[4].register_full_backward_hook(lambda *_: called.append(1))
    found = Explainer(model).explain(x, 0, PANEL)
    assert not called
    for name in PANEL:
        assert torch.equal(found[name].map, wanted[name].map)
    model(x.clone().requires_grad_()).sum().backward()
    assert called
    handle.remove()


@pytest.mark.parametrize("failures", [1, 2])
def test_out_of_memory_falls_back_to_slabs_then_to_the_cpu(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, places = plain(), volume(), []
    wanted = Explainer(model).explain(x, 0, PANEL)
    honest = Explainer._explain

    def failing(self: Explainer, *args: object) -> object:
        places.append((args[4], stage.LARGE))
        if len(places) <= failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, *args)

    monkeypatch.setattr(Explainer, "_explain", failing)
    steps: list[str] = []
    large = stage.LARGE
    found = Explainer(model).explain(x, 0, PANEL, progress=lambda step, _: steps.append(step))
    told = ["Out of GPU memory: in slabs", "Out of GPU memory: on the CPU"]
    assert [step for step in steps if step.startswith("Out of")] == told[:failures]
    assert [place for place, _ in places] == [None, None, "cpu"][: failures + 1]
    assert places[1][1] < large == stage.LARGE
    for name in PANEL:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("suffices", ["slabs", "the CPU"])
def test_memory_that_runs_out_inside_a_layer(suffices: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions run out of memory like a GPU's: for large maps until slabs are used, or all until the CPU is."""
    model, x, steps = plain(), volume((24, 26, 25)), []
    wanted = Explainer(model).explain(x, 0, PANEL)
    name = {"forward": "convolve", "backward": "convolve_back"}[where]
    honest, failures = getattr(kernels, name), []

    def limited(y: Tensor, *rest: object) -> Tensor:
        on_cpu = "Out of GPU memory: on the CPU" in steps
        if not on_cpu and (suffices == "the CPU" or y.shape[-3] > 20):
            failures.append(y.shape)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(y, *rest)

    for module in (convolution_layer, stage):
        monkeypatch.setattr(module, name, limited)
    before = _state(model)
    found = Explainer(model).explain(x, 0, PANEL, progress=lambda step, _: steps.append(step))
    told = ["Out of GPU memory: in slabs", "Out of GPU memory: on the CPU"]
    assert [step for step in steps if step.startswith("Out of")] == told[: 1 + (suffices == "the CPU")]
    assert len(failures) == (2 if suffices == "the CPU" else 1)
    for method in PANEL:
        torch.testing.assert_close(found[method].map, wanted[method].map, rtol=1e-5, atol=1e-8)
    _assert_same(before, _state(model))


def test_memory_that_runs_out_while_the_model_moves() -> None:
    class Large(nn.Sequential):
        def to(self, *args: object, **kwargs: object) -> nn.Module:
            moves.append(str(args[0]))
            if args[0] == torch.device("cpu:0"):  # stands for a GPU: another name than the model's own device
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().to(*args, **kwargs)

    moves: list[str] = []
    model, x = plain(), volume()
    wanted = Explainer(model).explain(x, 0, "lrp")["lrp"]
    found = Explainer(Large(*model)).explain(x, 0, "lrp", device="cpu:0")["lrp"]
    assert moves == ["cpu:0", "cpu", "cpu:0", "cpu"]  # back each time, then where it is
    assert torch.equal(found.map, wanted.map)


def test_no_memory_is_left_behind() -> None:
    def tensors() -> int:
        return sum(isinstance(item, Tensor) for item in gc.get_objects())

    explainer, x = Explainer(plain()), volume()
    methods = [*PANEL, "smoothgrad", "occlusion", "integrated_gradients"]
    explainer.explain(x, 0, methods)
    gc.collect()
    before = tensors()
    gc.disable()  # nothing may wait for the garbage collector: on a GPU that would be memory
    try:
        explainer.explain(x, 0, methods)
        assert tensors() == before
    finally:
        gc.enable()


def test_training_mode_is_explained_as_evaluation_mode() -> None:
    x = volume()
    wanted = Explainer(plain()).explain(x, 0, PANEL)
    found = Explainer(plain().train()).explain(x, 0, PANEL)
    for name in PANEL:
        assert torch.equal(wanted[name].map, found[name].map)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_gives_the_same_maps(spelling: str) -> None:
    # captum, zennit and MONAI give the plain gradient as guided backpropagation for most of these.
    x = volume()
    wanted = Explainer(randomise(Spellings("module"))).explain(x, 1, PANEL)
    found = Explainer(randomise(Spellings(spelling))).explain(x, 1, PANEL)
    gradient = Explainer(randomise(Spellings(spelling))).explain(x, 1, "gradient")
    for name in PANEL:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-9, msg=f"{spelling} {name}")
    assert not torch.allclose(found["guided_backprop"].map, gradient["gradient"].map)


def test_methods_of_one_name_get_separate_keys() -> None:
    methods = ["lrp", LRP(composite="epsilon"), LRP(composite="epsilon", bias="redistribute")]
    maps = Explainer(plain()).explain(volume(), 0, methods)
    assert list(maps) == ["lrp", "lrp(composite=epsilon)", "lrp(composite=epsilon, bias=redistribute)"]
    assert maps["lrp(composite=epsilon)"].details["composite"] == "epsilon"
    assert not torch.equal(maps["lrp"].map, maps["lrp(composite=epsilon)"].map)


def test_progress_names_every_method() -> None:
    steps: list[tuple[str, float]] = []
    Explainer(plain()).explain(volume(), 0, PANEL, progress=lambda *step: steps.append(step))
    titles = [available_methods()[name].title for name in PANEL]
    assert [name for name, _ in steps] == ["Forward pass", "Forward pass", *titles, "Maps"]
    assert all(0 <= fraction <= 1 for _, fraction in steps)


def test_listing_the_methods_loads_no_torch() -> None:
    code = "import sys; from MRIInterpretLib.attribution import available_methods as a; a(); "
    code += "sys.exit('torch' in sys.modules)"
    root = str(Path(MRIInterpretLib.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


def test_registry_facts() -> None:
    found = available_methods()
    assert set(PANEL) <= set(found)
    assert {"occlusion", "region_occlusion", "smoothgrad", "integrated_gradients", "hires_cam", "random"} <= set(found)
    assert found["lrp"].parameters == {"composite": "epsilon-plus", "bias": None}
    assert found["lrp"].conserving
    assert not found["guided_backprop"].class_discriminative
    for info in found.values():
        assert info.title
        assert info.reference
        assert info.description.endswith(".")


def test_units_say_what_a_voxel_is_worth() -> None:
    methods = ["lrp", "gradient_x_input", "gradient", SmoothGrad(base=LRP(), samples=1), "grad_cam", "grad_cam_pp"]
    methods += ["lrp_grad_cam_pp", "guided_grad_cam", RandomisedModel(base=GradCam()), "intensity"]
    maps = Explainer(plain()).explain(volume(), 0, methods)
    units = {name: found.units for name, found in maps.items()}
    for name in ("lrp", "gradient_x_input", "smoothgrad", "lrp_grad_cam_pp"):
        assert units[name] == "logit"
    assert units["gradient"] == units["guided_grad_cam"] == "logit per intensity"
    for name in ("grad_cam", "grad_cam_pp", "randomised_model"):
        assert "arbitrary scale" in units[name]
    assert units["intensity"] == "intensity"


def test_one_file_adds_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "squared.py").write_text(
        "from dataclasses import dataclass\n"
        "from MRIInterpretLib.attribution.method import Method\n"
        "@dataclass(frozen=True)\n"
        "class Squared(Method):\n"
        "    power: int = 2\n"
        "    name = 'squared'\n"
        "    title = 'Squared gradient'\n"
        "    signed = False\n"
        "    def compute(self, run):\n"
        "        return (run.input_gradient() ** self.power).sum(1), {'found': True}\n"
    )
    monkeypatch.setattr(registry.methods, "__path__", [*registry.methods.__path__, str(tmp_path)])
    registry._classes.cache_clear()
    try:
        model, x = plain(), volume()
        maps = Explainer(model).explain(x, 0, ["gradient", "squared", create_method("squared", power=4)])
        torch.testing.assert_close(maps["squared"].map, maps["gradient"].map ** 2)
        torch.testing.assert_close(maps["squared(power=4)"].map, maps["gradient"].map ** 4)
        assert maps["squared"].details["found"]
        assert available_methods()["squared"].parameters == {"power": 2}
    finally:
        registry._classes.cache_clear()
        sys.modules.pop(f"{registry.methods.__name__}.squared", None)


def test_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(UserError, match=r"choose from .*grad_cam"):
        create_method("gradcam")
    with pytest.raises(UserError, match="at least one"):
        Explainer(plain()).explain(volume(), 0, [])
    with pytest.raises(TypeError, match="a name or a Method"):
        Explainer(plain()).explain(volume(), 0, [3])


def test_layers_are_named_or_averaged() -> None:
    x, explainer = volume(), Explainer(plain())
    one = explainer.explain(x, 0, GradCam("2"))["grad_cam"]
    other = explainer.explain(x, 0, GradCam(("5",)))["grad_cam"]
    both = explainer.explain(x, 0, GradCam(("2", "5")))["grad_cam"]
    torch.testing.assert_close(both.map, (one.map + other.map) / 2)
    assert both.details["layer"] == ["2", "5"]
    assert isinstance(GradCam("2"), Method)
