"""Memory that runs out, and memory that is given back."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer
from mri_interpret.attribution.engine import convolution_layer, kernels, pooled_convolution
from mri_interpret.gpu_memory import first_that_fits, on_device_or_cpu
from torch import Tensor, nn

from Testing.attribution.networks import plain, volume
from Testing.attribution.state import assert_same, state


@pytest.mark.parametrize("failures", [1, 2])
def test_out_of_memory_falls_back_to_slabs_then_to_the_cpu(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, places = plain(), volume(), []
    wanted = Explainer(model).explain(x, 0, DEFAULT_METHODS)
    honest = Explainer._explain

    def failing(self: Explainer, *args: object) -> object:
        places.append((args[4], args[6].minimum_voxels))
        if len(places) <= failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, *args)

    monkeypatch.setattr(Explainer, "_explain", failing)
    steps: list[str] = []
    found = Explainer(model).explain(x, 0, DEFAULT_METHODS, progress=lambda step, _: steps.append(step))
    told = ["Out of GPU memory: in slabs", "Out of GPU memory: on the CPU"]
    assert [step for step in steps if step.startswith("Out of")] == told[:failures]
    assert [place for place, _ in places] == [None, None, "cpu"][: failures + 1]
    assert places[1][1] < places[0][1]
    way = ["in slabs", "on the CPU"][failures - 1]
    assert found.notices == (f"The GPU's memory did not suffice for this model: the maps were computed {way}.",)
    assert wanted.notices == ()
    for name in DEFAULT_METHODS:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("suffices", ["slabs", "the CPU"])
def test_memory_that_runs_out_inside_a_layer(suffices: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions run out of memory like a GPU's: for large maps until slabs are used, or all until the CPU is."""
    model, x, steps = plain(), volume((24, 26, 25)), []
    wanted = Explainer(model).explain(x, 0, DEFAULT_METHODS)
    name = {"forward": "convolve", "backward": "convolve_back"}[where]
    honest, failures = getattr(kernels, name), []

    def limited(y: Tensor, *rest: object) -> Tensor:
        on_cpu = "Out of GPU memory: on the CPU" in steps
        if not on_cpu and (suffices == "the CPU" or y.shape[-3] > 20):
            failures.append(y.shape)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(y, *rest)

    for module in (convolution_layer, pooled_convolution):
        monkeypatch.setattr(module, name, limited)
    before = state(model)
    found = Explainer(model).explain(x, 0, DEFAULT_METHODS, progress=lambda step, _: steps.append(step))
    told = ["Out of GPU memory: in slabs", "Out of GPU memory: on the CPU"]
    assert [step for step in steps if step.startswith("Out of")] == told[: 1 + (suffices == "the CPU")]
    assert len(failures) == (2 if suffices == "the CPU" else 1)
    for method in DEFAULT_METHODS:
        torch.testing.assert_close(found[method].map, wanted[method].map, rtol=1e-5, atol=1e-8)
    assert_same(before, state(model))


def test_where_nothing_fits_the_error_is_raised() -> None:
    def full() -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        first_that_fits([("", full), ("on the CPU", full)])
    assert first_that_fits([("", full), ("a", lambda: 3), ("b", full)]) == (3, "a")
    assert first_that_fits([("", lambda: 2)]) == (2, "")


def test_other_work_on_a_gpu_goes_on_on_the_cpu_too() -> None:
    devices: list[str] = []
    steps: list[str] = []

    def work(device: str) -> str:
        devices.append(device)
        if device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return "done"

    assert on_device_or_cpu(work, "cuda", lambda step, _: steps.append(step)) == "done"
    assert devices == ["cuda", "cpu"]
    assert steps == ["Out of GPU memory: on the CPU"]
    assert on_device_or_cpu(work, "cpu") == "done"


def test_what_fails_keeps_no_memory_while_the_next_way_runs() -> None:
    kept: list[weakref.ref[Tensor]] = []

    def fails() -> None:
        large = torch.zeros(10)
        kept.append(weakref.ref(large))
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    assert first_that_fits([("", fails), ("next", lambda: kept[0]())]) == (None, "next")


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
    methods = [*DEFAULT_METHODS, "smoothgrad", "occlusion", "integrated_gradients"]
    explainer.explain(x, 0, methods)
    gc.collect()
    before = tensors()
    gc.disable()  # nothing may wait for the garbage collector: on a GPU that would be memory
    try:
        explainer.explain(x, 0, methods)
        assert tensors() == before
    finally:
        gc.enable()
