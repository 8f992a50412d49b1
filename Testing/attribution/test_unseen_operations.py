"""What runs out of the recorder's sight: torch's own gradient, exact occlusion, and no rule applied in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer, UnsupportedOperation
from mri_interpret.attribution.methods.perturbation import Occlusion
from mri_interpret.errors import UserError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from Testing.attribution.networks import volume

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Function = Callable[[Tensor], Tensor]


def swish(v: Tensor) -> Tensor:
    return v * torch.sigmoid(v)


class Swish(nn.Module):
    def forward(self, v: Tensor) -> Tensor:
        return v * torch.sigmoid(v)


class StraightThrough(torch.autograd.Function):
    """Rounds, and hands the gradient on as if it had not: torch's gradient differs from that of its parts."""

    @staticmethod
    def forward(ctx: object, v: Tensor) -> Tensor:
        return torch.round(v * 4) / 4

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return grad


class ReversedGradient(torch.autograd.Function):
    """Returns its input."""

    @staticmethod
    def forward(ctx: object, v: Tensor) -> Tensor:
        return v.view_as(v)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return -grad


class ConvolvingFunction(torch.autograd.Function):
    """Convolves inside, where no gradient is recorded."""

    @staticmethod
    def forward(ctx: object, v: Tensor) -> Tensor:
        return F.conv3d(v, torch.ones(3, 3, 1, 1, 1, dtype=v.dtype))

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return F.conv_transpose3d(grad, torch.ones(3, 3, 1, 1, 1, dtype=grad.dtype))


@torch.library.custom_op("mri_interpret_test::square", mutates_args=())
def squared(v: Tensor) -> Tensor:
    return v * v


def _keep_input(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0])


squared.register_autograd(lambda ctx, grad: grad * 2 * ctx.saved_tensors[0], setup_context=_keep_input)


@torch.library.custom_op("mri_interpret_test::doubled", mutates_args=())
def doubled(v: Tensor) -> Tensor:
    return v * 2


def in_another_thread(v: Tensor) -> Tensor:
    found: list[Tensor] = []
    with torch.no_grad():
        value = v + 0  # deferred tensors are computed here, not in the thread
    thread = threading.Thread(target=lambda: found.append(swish(v + 0 * value)))
    thread.start()
    thread.join()
    return found[0]


def _with_path(function: Function) -> Function:
    """``function`` after a pooling, joined by a second path."""

    def joined(v: Tensor) -> Tensor:
        pooled = F.avg_pool3d(v, 2)
        return function(pooled) + torch.relu(pooled)

    return joined


def _script(function: object) -> Function:
    return torch.jit.script(function)


#: Functions that torch differentiates itself; rules cannot be applied inside.
UNSEEN: dict[str, Callable[[], Function]] = {
    "scripted function": lambda: _script(swish),
    "scripted module": lambda: _script(Swish()),
    "traced module": lambda: torch.jit.trace(Swish(), torch.rand(1, 3, 4, 4, 4)),
    "vmap": lambda: torch.vmap(swish),
    "vmap over a closure": lambda: lambda v: torch.vmap(lambda part: part * v[0, 0, 0, 0, 0])(v),
    "torch.func.grad": lambda: torch.func.grad(lambda v: (v**3).sum()),
    "torch.func.jvp": lambda: lambda v: torch.func.jvp(torch.sin, (v,), (torch.ones_like(v),))[1],
    "autograd.Function": lambda: StraightThrough.apply,
    "autograd.Function that returns its input": lambda: ReversedGradient.apply,
    "autograd.Function that convolves": lambda: ConvolvingFunction.apply,
    "custom operator": lambda: squared,
    "FFT": lambda: lambda v: torch.fft.fftn(v, dim=(2, 3, 4)).abs(),
    "complex": lambda: lambda v: torch.view_as_real(torch.complex(v, v * 2).exp()).sum(-1),
}
#: Functions that are followed, rules and all.
FOLLOWED: dict[str, Callable[[], Function]] = {
    "compiled function": lambda: torch.compile(swish, backend="eager"),
    "compiled module": lambda: torch.compile(Swish(), backend="eager"),
    "checkpoint": lambda: (
        lambda v: checkpoint(lambda u: torch.relu(u) * torch.sigmoid(u.masked_fill(u > 1, 0)), v, use_reentrant=False)
    ),
    "no_grad": lambda: lambda v: v / _without_gradient(lambda: v.abs().amax((1, 2, 3, 4), keepdim=True)),
    "samples that know of each other": lambda: lambda v: v / v.abs().mean(),
    "detach": lambda: lambda v: v * v.detach(),
    "data changed in place": lambda: _clamped_data,
    "index_put": lambda: lambda v: v.index_put((torch.tensor([0]), torch.tensor([1])), v[0, 0] * 3),
    "zeroed and filled again": lambda: _refilled,
    "where": lambda: lambda v: torch.where(v > 0, v, v * 3),
    "scripted mask": lambda: lambda v: v * _script(_mask)(v),
}


def _mask(v: Tensor) -> Tensor:
    return (v > 0).to(v.dtype)


def _without_gradient(function: Callable[[], Tensor]) -> Tensor:
    with torch.no_grad():
        return function()


def _clamped_data(v: Tensor) -> Tensor:
    v.data.clamp_(min=0)
    return v


def _refilled(v: Tensor) -> Tensor:
    w = v * 1.0
    w.zero_()
    w.add_(2)
    return w.add_(v)


class Network(nn.Module):
    """Convolution, the function in question as module ``odd``, convolution."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv3d(1, 3, 3, padding=1), nn.Conv3d(3, 4, 1)
        self.odd = function if isinstance(function, nn.Module) else Calling(function)

    def forward(self, x: Tensor) -> Tensor:
        y = self.last(self.odd(self.conv(x)))
        return y.mean((2, 3, 4)) + y.square().mean((2, 3, 4))


class Calling(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, v: Tensor) -> Tensor:
        return self.function(v)


def assert_gradient_and_occlusion_are_exact(model: nn.Module) -> None:
    x = volume((8, 8, 8))
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    found = Explainer(model).explain(x, 1, ["gradient", Occlusion(patch=4, stride=4)])
    scale = float(wanted.abs().max())
    torch.testing.assert_close(found["gradient"].map, wanted[:, 0].float(), rtol=1e-5, atol=1e-6 * scale)
    for corner in ((0, 0, 0), (0, 4, 4)):
        hidden = x.clone()
        hidden[(..., *(slice(start, start + 4) for start in corner))] = 0
        with torch.no_grad():
            drop = (model(x) - model(hidden))[0, 1]
        torch.testing.assert_close(found["occlusion"].map[(0, *corner)], drop.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("place", ["after a convolution", "beside a second path"])
@pytest.mark.parametrize("name", UNSEEN)
def test_torch_differentiates_what_is_not_seen_and_rules_are_refused(name: str, place: str) -> None:
    function = UNSEEN[name]()
    if place == "beside a second path":
        function = _with_path(function)
    model = Network(function).double()
    assert_gradient_and_occlusion_are_exact(model)
    for method in ("lrp", "guided_backprop"):
        with pytest.raises(UnsupportedOperation, match="in module 'odd"):
            Explainer(model).explain(volume((8, 8, 8)), 1, method)


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_can_be_followed_is(name: str) -> None:
    model = Network(FOLLOWED[name]()).double()
    assert_gradient_and_occlusion_are_exact(model)
    maps = Explainer(model).explain(volume((8, 8, 8)), 1, ["lrp", "guided_backprop"])
    assert all(bool(torch.isfinite(found.map).all()) for found in maps.values())


def test_compiled_parts_give_the_maps_of_the_python_they_were_made_from() -> None:
    x, methods = volume((8, 8, 8)), ["lrp", "guided_backprop", "gradient"]
    wanted = Explainer(Network(swish).double()).explain(x, 1, methods)
    plain = Network(swish).double()
    for model in (Network(torch.compile(swish, backend="eager")).double(), torch.compile(plain, backend="eager")):
        found = Explainer(model).explain(x, 1, methods)
        for name in methods:
            assert torch.equal(found[name].map, wanted[name].map)


def test_work_in_another_thread_is_torchs_own() -> None:
    model = Network(_with_path(in_another_thread)).double()
    x = volume((8, 8, 8))
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(Explainer(model).explain(x, 1, "gradient")["gradient"].map, wanted[:, 0].float())
    with pytest.raises(UnsupportedOperation, match="module 'odd'"):
        Explainer(model).explain(x, 1, "lrp")


def _clamped_without_gradient(v: Tensor) -> Tensor:
    with torch.no_grad():
        v.clamp_(min=0)
    return v


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda v: v + torch.from_numpy(v.detach().numpy() ** 2), "'numpy' in module 'odd' .* leave torch"),
        (lambda v: v + torch.from_numpy((v.detach() * 2).cpu().numpy()), "'numpy' in module 'odd' .* leave torch"),
        (lambda v: v * torch.tensor(v.detach().flatten().tolist()).mean(), "'tolist' in module 'odd'"),
        (_clamped_without_gradient, "'clamp_' in module 'odd' .* while gradients are off"),
        (lambda v: torch.dequantize(torch.quantize_per_tensor(v.float(), 0.1, 0, torch.quint8)), "cannot different"),
        (lambda v: torch.autograd.grad((v**3).sum(), v, create_graph=True)[0], "'grad' in module 'odd'"),
    ],
)
def test_what_cuts_the_way_to_the_input_is_refused(function: Function, message: str) -> None:
    with pytest.raises(UnsupportedOperation, match=message):
        Explainer(Network(function).double()).explain(volume((8, 8, 8)), 1, "gradient")


def test_operator_without_a_derivative_is_refused_for_gradients_only() -> None:
    model, x = Network(doubled).double(), volume((8, 8, 8))
    with pytest.raises(UserError, match="No gradient of this model can be computed"):
        Explainer(model).explain(x, 1, "gradient")
    maps = Explainer(model).explain(x, 1, Occlusion(patch=4, stride=4))
    assert float(maps["occlusion"].map.abs().max()) > 0


def test_hooks_of_the_model_count_as_part_of_it() -> None:
    model = Network(swish).double()
    model.conv.register_forward_hook(lambda module, inputs, output: output.tanh() * 2)
    model.last.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    assert_gradient_and_occlusion_are_exact(model)


def test_hooks_on_tensors_are_refused_where_rules_are_needed() -> None:
    def hooked(v: Tensor) -> Tensor:
        w = v * 1.0
        w.register_hook(lambda grad: grad * 2)
        return w

    model, x = Network(hooked).double(), volume((8, 8, 8))
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(Explainer(model).explain(x, 1, "gradient")["gradient"].map, wanted[:, 0].float())
    with pytest.raises(UnsupportedOperation, match="'register_hook' in module 'odd'"):
        Explainer(model).explain(x, 1, "lrp")


class Remembering(nn.Module):
    """Adds what it kept of the pass before, and keeps its own value for the next."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Tensor | None = None

    def forward(self, v: Tensor) -> Tensor:
        before, self.kept = self.kept, v
        return v if before is None else v + before * v


def test_tensors_kept_from_an_earlier_pass_are_constants() -> None:
    model, x = Network(Remembering()).double(), volume((8, 8, 8))
    model(volume((8, 8, 8), seed=3))  # with a graph of its own, which does not lead to x
    kept = model.odd.kept
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    model.odd.kept = kept
    for _ in range(2):
        found = Explainer(model).explain(x, 1, ["gradient", "lrp"])
        torch.testing.assert_close(found["gradient"].map, wanted[:, 0].float())
        assert model.odd.kept is kept


def test_features_that_a_model_shows_can_be_read_afterwards() -> None:
    shown: list[Tensor] = []
    model, x = Network(lambda v: (shown.append(v), v)[1]).double(), volume((8, 8, 8))
    Explainer(model).explain(x, 1, "lrp")
    with torch.no_grad():
        torch.testing.assert_close(shown[0] + 0, model.conv(x))
