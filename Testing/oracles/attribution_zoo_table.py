"""Which networks which library manages: prints the table in ``attribution_zoo.md``.

    peers/bin/python -m Testing.oracles.attribution_zoo_table > Testing/oracles/attribution_zoo.md

Ours: how many of our methods gave finite maps, largest difference of the gradient to autograd's (relative, float64),
relative conservation error of LRP with every composite. Peers:
zennit's EpsilonPlus with its BatchNorm canonizer (the correlation of its map with our epsilon-plus), captum's LRP,
guided backpropagation that differs from the plain gradient, MONAI's Grad-CAM on the layer we choose.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from captum.attr import LRP as CaptumLRP
from captum.attr import GuidedBackprop
from monai.visualize import GradCAM
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.composites import composites
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.attribution.methods.lrp import LRP
from torch import Tensor, nn
from torchvision.models.video import mc3_18, r3d_18
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlus

from Testing.attribution.zoo import ZOO, build, every_method, randomise_normalisation

TARGET = 1
COMPOSITES = list(composites())


def networks() -> dict[str, Callable[[], tuple[nn.Module, Tensor]]]:
    """The zoo, and torchvision's two."""

    def video(make: Callable[[], nn.Module]) -> tuple[nn.Module, Tensor]:
        torch.manual_seed(0)
        model = make(num_classes=3).eval().double()
        randomise_normalisation(model)
        return model, torch.rand(1, 3, 8, 32, 32, dtype=torch.float64)

    found = {name: lambda name=name: build(name) for name in ZOO}
    return found | {"r3d_18 (torchvision)": lambda: video(r3d_18), "mc3_18 (torchvision)": lambda: video(mc3_18)}


class FirstOutput(nn.Module):
    """For peers that want a tensor where a network returns a tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(x)
        return y[0] if isinstance(y, tuple) else y


def tried(work: Callable[[], str]) -> str:
    """What ``work`` says, or the kind of error it ends with."""
    try:
        return work()
    except Exception as error:
        return f"no ({type(error).__name__})"


def row(name: str, model: nn.Module, x: Tensor) -> str:
    """One network's line."""
    leaf = x.clone().requires_grad_()
    plain = FirstOutput(model)
    logits = plain(leaf)
    (gradient,) = torch.autograd.grad(logits[0, TARGET], leaf)
    run = Explainer(model).record(x, TARGET, {"lrp": LRP(composite="epsilon-plus")})
    error = float((run.input_gradient() - gradient).abs().max() / gradient.abs().max())
    value = float(logits[0, TARGET].detach())

    def conserved(method: LRP) -> str:
        return f"{abs(float(run.relevance(method.chosen()).sum()) - value) / abs(value):.1e}"

    cells = [conserved(LRP(composite)) for composite in COMPOSITES]
    exact = conserved(LRP("epsilon", bias="redistribute"))
    layer = Explainer(model).explain(x, TARGET, GradCam())["grad_cam"].details["layer"][0]

    def zennit() -> str:
        start = torch.zeros_like(logits)
        start[0, TARGET] = value
        with Gradient(model=plain, composite=EpsilonPlus(canonizers=[SequentialMergeBatchNorm()])) as attributor:
            _, relevance = attributor(leaf, start.detach())
        ours = run.relevance(LRP("epsilon-plus").chosen())
        correlation = float(torch.corrcoef(torch.stack([relevance.flatten(), ours.flatten()]))[0, 1])
        return "yes" if correlation > 0.9999 else f"runs, correlation {correlation:.2f}"

    def captum_lrp() -> str:
        CaptumLRP(plain).attribute(leaf, target=TARGET)
        return "yes"

    def guided() -> str:
        found = GuidedBackprop(plain).attribute(leaf, target=TARGET)
        return "no (the plain gradient)" if torch.allclose(found, gradient, rtol=1e-9) else "yes"

    def monai() -> str:
        GradCAM(plain, target_layers=f"model.{layer}")(leaf, class_idx=TARGET)
        return "yes"

    # Before the peers' turn: after an error captum's hooks stay in the model and change what it computes.
    maps = every_method(copy.deepcopy(model), x).values()
    found = [tried(zennit), tried(captum_lrp), tried(guided), tried(monai)]
    ran = sum(bool(torch.isfinite(one.map).all()) for one in maps)
    return f"| {name} | {ran} of {len(maps)} | {error:.1e} | {exact} | {' | '.join(cells)} | {' | '.join(found)} |"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("# Every network, unmodified\n")
    print(__doc__.split("\n\n", 2)[2])
    heads = [f"{name}, biases absorbed" for name in COMPOSITES]
    peers = ["zennit LRP", "captum LRP", "captum guided", "MONAI Grad-CAM"]
    columns = ["network", "methods that run", "gradient", "epsilon, biases redistributed", *heads, *peers]
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    # The large ones last.
    for name, make in sorted(networks().items(), key=lambda item: item[0].startswith(("SE-", "Eff", "r3d", "mc3"))):
        print(row(name, *make()), flush=True)


if __name__ == "__main__":
    main()
