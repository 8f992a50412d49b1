"""Small MONAI 3D classifiers, unmodified, with random but non-trivial normalisation statistics."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from monai.networks import nets
from mri_interpret.attribution import Attributions, Explainer, available_methods, create_method
from torch import Tensor, nn


class EncoderWithHead(nn.Module):
    """SwinUNETR's encoder, averaged over space, with a linear head."""

    def __init__(self) -> None:
        super().__init__()
        whole = nets.SwinUNETR(
            in_channels=1, out_channels=2, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 2)
        )
        self.encoder = whole.swinViT
        self.head = nn.Linear(12 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x, True)[-1].mean((2, 3, 4)))


class VoxelwiseWithHead(nn.Module):
    """HighResNet, which gives scores for every voxel, averaged over space."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nets.HighResNet(spatial_dims=3, in_channels=1, out_channels=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3, 4))


def _vit() -> nn.Module:
    return nets.ViT(
        in_channels=1,
        img_size=(32, 32, 32),
        patch_size=(16, 16, 16),
        hidden_size=24,
        mlp_dim=48,
        num_layers=2,
        num_heads=4,
        classification=True,
        num_classes=3,
        post_activation="",
    )


def _resnet(block: str, layers: tuple[int, ...], widths: tuple[int, ...]) -> nn.Module:
    return nets.ResNet(block, list(layers), list(widths), spatial_dims=3, n_input_channels=1, num_classes=3)


ZOO: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "ResNet-10": (lambda: _resnet("basic", (1, 1, 1, 1), (8, 16, 24, 32)), 32),
    "ResNet-18": (lambda: _resnet("basic", (2, 2, 2, 2), (8, 16, 24, 32)), 32),
    "ResNet-50": (lambda: _resnet("bottleneck", (3, 4, 6, 3), (4, 8, 12, 16)), 32),
    "SE-ResNet-50": (lambda: nets.SEResNet50(spatial_dims=3, in_channels=1, num_classes=3), 32),
    "SE-ResNeXt-50": (lambda: nets.SEResNext50(spatial_dims=3, in_channels=1, num_classes=3), 32),
    "DenseNet-121": (
        lambda: nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=3, init_features=8, growth_rate=4),
        32,
    ),
    "EfficientNet-B0": (
        lambda: nets.EfficientNetBN("efficientnet-b0", spatial_dims=3, in_channels=1, num_classes=3, pretrained=False),
        32,
    ),
    "HighResNet, averaged": (VoxelwiseWithHead, 16),
    "Regressor": (lambda: nets.Regressor((1, 24, 24, 24), (3,), channels=(8, 16), strides=(2, 2)), 24),
    "Classifier": (lambda: nets.Classifier((1, 24, 24, 24), 3, channels=(8, 16), strides=(2, 2)), 24),
    "ViT": (_vit, 32),
    "SwinUNETR encoder": (EncoderWithHead, 32),
}


def build(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network of the zoo in evaluation mode, float64, and an input for it."""
    make, size = ZOO[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make().eval().double()
        randomise_normalisation(model)
        return model, torch.rand(1, 1, size, size, size, dtype=torch.float64)


#: Methods that run the network again and again, and ask nothing of it that one pass does not.
MANY_PASSES = ("smoothgrad", "integrated_gradients", "occlusion", "region_occlusion", "volume_counterfactual")


def every_method(model: nn.Module, x: Tensor, left_out: Collection[str] = ()) -> Attributions:
    """The maps of all methods there are, the slow ones with few samples, in float32; the model stays in float32."""
    regions = torch.zeros(x.shape[2:], dtype=torch.int64)
    regions[2:6, 8:16, 8:16] = 1
    quick = {
        "smoothgrad": {"samples": 2},
        "integrated_gradients": {"steps": 2},
        "occlusion": {"patch": 24, "stride": 24},
        "volume_counterfactual": {"starts": 0, "max_steps": 1},
    }
    methods = [
        create_method(method, **quick.get(method, {})) for method in available_methods() if method not in left_out
    ]
    return Explainer(model.float()).explain(x.float(), "predicted", methods, regions=regions)


def randomise_normalisation(model: nn.Module) -> None:
    """Give every normalisation statistics and parameters that do something."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if getattr(module, "affine", False) and isinstance(module.weight, Tensor):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
