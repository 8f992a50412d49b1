"""Class activation maps: formulas against plain autograd, and their place in the world."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.geometry import covering, identity, interpolation_matrix, to_input_grid
from mri_interpret.attribution.engine.pooled_convolution import SlabPolicy
from mri_interpret.attribution.methods.cam import GradCam, GradCamPlusPlus, HiResCam
from mri_interpret.attribution.methods.gradient import SmoothGrad
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import plain, volume


def _features(model: nn.Sequential, x: Tensor, target: int, last: int = 6) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        activation = model[: last + 1](x).clone()
    activation.requires_grad_()
    (gradient,) = torch.autograd.grad(model[last + 1 :](activation)[:, target].sum(), activation)
    return activation.detach(), gradient


def _upsampled(features: Tensor, size: tuple[int, ...]) -> Tensor:
    # The network's only step down is a max-pooling by two, whose windows start at the first voxel.
    whole = tuple(2 * n for n in features.shape[1:])
    found = F.interpolate(features[:, None], size=whole, mode="trilinear", align_corners=False)[:, 0]
    return F.pad(found[:, None], (0, size[2] - whole[2], 0, 0, 0, 0), mode="replicate")[:, 0]


def _paper(activation: Tensor, gradient: Tensor, denominator: str) -> Tensor:
    """Equation 19 of Grad-CAM++ and equation 5, voxel by voxel."""
    found = torch.zeros(activation.shape[0], *activation.shape[2:], dtype=activation.dtype)
    for sample in range(activation.shape[0]):
        for channel in range(activation.shape[1]):
            a, g = activation[sample, channel], gradient[sample, channel]
            below = 2 * g**2 + (a.sum() * g**3 if denominator == "paper" else (a * g**3).sum())
            alpha = torch.where(below == 0, 0, g**2 / torch.where(below == 0, 1, below))
            found[sample] += (alpha * g.clamp(min=0)).sum() * a
    return found.clamp(min=0)


@pytest.mark.parametrize("target", [0, 1, 2])
def test_formulas(target: int) -> None:
    model, x = plain(), volume(samples=2)
    methods = [GradCam(), HiResCam(), GradCamPlusPlus(), GradCamPlusPlus(denominator="pointwise")]
    maps = Explainer(model).explain(x, target, methods)
    activation, gradient = _features(model, x, target)
    wanted = {
        "grad_cam": (gradient.mean((2, 3, 4), keepdim=True) * activation).sum(1).clamp(min=0),
        "hires_cam": (gradient * activation).sum(1).clamp(min=0),
        "grad_cam_pp": _paper(activation, gradient, "paper"),
        "grad_cam_pp(denominator=pointwise)": _paper(activation, gradient, "pointwise"),
    }
    for name, features in wanted.items():
        reference = _upsampled(features, tuple(x.shape[2:])).float()
        scale = float(reference.abs().max())
        torch.testing.assert_close(maps[name].map, reference, rtol=1e-5, atol=1e-6 * scale, msg=name)


def test_grad_cam_pp_does_not_depend_on_the_scale_of_small_gradients() -> None:
    # With g about 1e-7 a constant in the denominator, as others add it, would decide the map.
    method = GradCamPlusPlus()
    activation = torch.rand(1, 3, 4, 4, 4, dtype=torch.float64)
    gradient = torch.randn(1, 3, 4, 4, 4, dtype=torch.float64)
    small = method.from_layer(activation * 1e9, gradient * 1e-9)
    torch.testing.assert_close(small, method.from_layer(activation, gradient), rtol=1e-9, atol=0)
    for denominator in ("paper", "pointwise"):
        found = GradCamPlusPlus(denominator=denominator).from_layer(activation.float(), gradient.float() * 1e-18)
        wanted = _paper(activation, gradient * 1e-18, denominator)
        torch.testing.assert_close(found.clamp(min=0).double(), wanted, rtol=1e-4, atol=0)


def test_unknown_denominator() -> None:
    with pytest.raises(ValueError, match="denominator"):
        GradCamPlusPlus(denominator="monai")


class _Blob(nn.Module):
    """Finds bright voxels, then steps down in one of many ways; the class's score is the mean feature."""

    def __init__(self, steps: nn.Module) -> None:
        super().__init__()
        self.steps = steps
        self.fc = nn.Linear(1, 2)
        nn.init.constant_(self.fc.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.steps(x)).mean((2, 3, 4)))


def _mean_filter(kernel: int, stride: int, padding: int, dilation: int = 1) -> nn.Conv3d:
    conv = nn.Conv3d(1, 1, kernel, stride, padding, dilation, bias=False)
    nn.init.constant_(conv.weight, 1 / kernel**3)
    return conv


class _Cropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (2, 0, 1, 3, 0, 0))[:, :, 1:, :, 1::2]


class _Interpolated(nn.Module):
    def __init__(self, **kwargs: object) -> None:
        super().__init__()
        self.kwargs = kwargs

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, **self.kwargs)


STEPS = {
    "strided convolution, odd kernel": lambda: _mean_filter(3, 2, 1),
    "strided convolution, no padding": lambda: _mean_filter(3, 2, 0),
    "7 x 7 x 7 stem and overlapping pool": lambda: nn.Sequential(_mean_filter(7, 2, 3), nn.AvgPool3d(3, 2, 1)),
    "even kernel": lambda: _mean_filter(4, 4, 0),
    "dilated": lambda: _mean_filter(3, 2, 2, 2),
    "max-pool with padding": lambda: nn.MaxPool3d(3, 2, 1),
    "adaptive": lambda: nn.AdaptiveAvgPool3d((7, 6, 8)),
    "transposed": lambda: nn.Sequential(_mean_filter(3, 4, 1), nn.ConvTranspose3d(1, 1, 2, 2, bias=False)),
    "padded and sliced": lambda: nn.Sequential(_mean_filter(3, 2, 1), _Cropped()),
    "interpolated": lambda: nn.Sequential(_mean_filter(3, 2, 1), _Interpolated(scale_factor=0.5, mode="trilinear")),
    "interpolated, corners aligned": lambda: nn.Sequential(
        _mean_filter(3, 2, 1), _Interpolated(size=(9, 10, 11), mode="trilinear", align_corners=True)
    ),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("place", [(17, 12, 21), (9, 20, 14), (24, 16, 10)])
def test_a_known_feature_is_found_within_half_a_feature_voxel(name: str, place: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    model = _Blob(STEPS[name]()).double().eval()
    with torch.no_grad():
        for parameter in model.steps.parameters():
            parameter.abs_()
    shape = (35, 30, 33)
    axes = [torch.arange(n, dtype=torch.float64) - at for n, at in zip(shape, place, strict=True)]
    distance = sum(part**2 for part in torch.meshgrid(*axes, indexing="ij"))
    x = torch.exp(-distance / (2 * 3.0**2))[None, None]
    method = GradCam("steps")
    found = Explainer(model).explain(x, 0, method)["grad_cam"]
    spacing = found.details["feature_spacing_voxels"][0]
    weights = found.map[0].double() ** 4  # the peak counts, not the tails that the border cuts
    for axis in range(3):
        profile = weights.sum([other for other in range(3) if other != axis])
        centre = float((profile * torch.arange(shape[axis])).sum() / profile.sum())
        assert abs(centre - place[axis]) < spacing[axis] / 2, f"axis {axis}: {centre} instead of {place[axis]}"
    if name == "strided convolution, odd kernel":
        # What the peers do: off by half a voxel for every such layer.
        with torch.no_grad():
            feature = F.relu(model.steps(x))
        stretched = F.interpolate(feature, size=shape, mode="trilinear", align_corners=False)[0, 0] ** 4
        profile = stretched.sum((0, 2))
        centre = float((profile * torch.arange(shape[1])).sum() / profile.sum())
        exact = weights.sum((0, 2))
        ours = float((exact * torch.arange(shape[1])).sum() / exact.sum())
        assert abs(ours - place[1]) < 0.1 < abs(centre - place[1])


def test_interpolation_matrix_is_exact_for_linear_functions() -> None:
    matrix = interpolation_matrix(20, (3.0, 1.5), 5, torch.zeros(1, dtype=torch.float64))
    centres = 1.5 + 3.0 * torch.arange(5, dtype=torch.float64)
    inside = torch.arange(2, 14)
    torch.testing.assert_close((matrix @ centres)[inside], inside.double())
    torch.testing.assert_close(matrix.sum(1), torch.ones(20, dtype=torch.float64))
    assert float((matrix @ centres)[0]) == 1.5


def test_covering_geometry_is_what_interpolate_does() -> None:
    features = torch.rand(2, 4, 5, 3, dtype=torch.float64)
    found = to_input_grid(features, covering((11, 10, 12), (4, 5, 3)), (11, 10, 12))
    wanted = F.interpolate(features[:, None], size=(11, 10, 12), mode="trilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(to_input_grid(features, identity(3), (4, 5, 3)), features)


def test_last_layer_pooled_on_the_fly_is_still_found_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Conv3d(1, 3, 3), nn.ReLU(), nn.MaxPool3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    x = volume((9, 9, 9)).float()
    wanted = Explainer(model).explain(x, 0, "grad_cam")["grad_cam"]
    monkeypatch.setattr(Explainer, "_slabs", SlabPolicy(minimum_voxels=1))
    found = Explainer(model).explain(x, 0, "grad_cam")["grad_cam"]
    assert found.details["layer"] == ["1"]
    assert torch.equal(found.map, wanted.map)


class _Auxiliary(nn.Module):
    """A classifier with something computed from its features after the scores."""

    def __init__(self, keyed: bool = False) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(1, 4, 3, 2, 1), nn.BatchNorm3d(4), nn.ReLU())
        self.head, self.decoder, self.keyed = nn.Linear(4, 3), nn.ConvTranspose3d(4, 2, 2, 2), keyed

    def forward(self, x: Tensor) -> object:
        features = self.features(x)
        logits, decoded = self.head(features.mean((2, 3, 4))), F.relu(self.decoder(features))
        return {"logits": logits, "seg": decoded.sigmoid()} if self.keyed else (logits, decoded)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("slabs", [SlabPolicy(), SlabPolicy(minimum_voxels=1)])
def test_the_last_layer_is_one_that_leads_to_the_scores(
    keyed: bool, slabs: SlabPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Explainer, "_slabs", slabs)
    model, x = _Auxiliary(keyed).eval(), volume((8, 8, 8)).float()
    target = int(model(x)["logits" if keyed else 0].argmax())
    named = Explainer(model).explain(x, target, [GradCam("features"), GradCamPlusPlus("features")])
    found = Explainer(model).explain(x, target, ["grad_cam", "grad_cam_pp"])
    for one, other in zip(found.values(), named.values(), strict=True):
        assert float(other.map.max()) > 0
        torch.testing.assert_close(one.map, other.map)


def test_later_passes_keep_the_same_layer() -> None:
    model, x = _Auxiliary().eval(), volume((8, 8, 8)).float()
    noisy = SmoothGrad(GradCam(), samples=2, noise=0.0)
    found = Explainer(model).explain(x, 0, [noisy, GradCam()])
    torch.testing.assert_close(found["grad_cam"].map, next(iter(found.values())).map)


def test_a_layer_beside_the_way_to_the_scores_is_refused() -> None:
    with pytest.raises(UserError, match="'decoder' does not lead to the explained output"):
        Explainer(_Auxiliary()).explain(volume((8, 8, 8)).float(), 0, GradCam("decoder"))


def test_a_convolution_whose_batch_norm_is_merged_has_torchs_map() -> None:
    model, x = plain(), volume()
    activation = model[:5](x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model[5:](activation * 1)[:, 0].sum(), activation)
    wanted = _upsampled((gradient * activation.detach()).sum(1).clamp(min=0), tuple(x.shape[2:])).float()
    found = Explainer(model).explain(x, 0, [HiResCam("4"), LRP()])
    assert float(wanted.max()) > 0
    torch.testing.assert_close(found["hires_cam"].map, wanted, rtol=1e-5, atol=1e-6 * float(wanted.max()))
    # The way of relevance stays what it is without a named layer.
    torch.testing.assert_close(found["lrp"].map, Explainer(model).explain(x, 0, LRP())["lrp"].map)
