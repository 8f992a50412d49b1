"""Our maps against the peers' on whole volumes of 96 x 112 x 96 voxels, float32: prints a Markdown table.

    peers/bin/python -m Testing.benchmarks.attribution_agreement

Networks and input of ``attribution.py``. Relative L2: ``|ours - theirs| / |theirs|``. Top 1 %: the share of the 1 % of
voxels with the largest magnitudes that both have. Class activation maps are compared on the feature grid, where the
formulas are, and on the input's grid, where our place and a stretched grid differ. The small networks of
``Testing/oracles`` are compared in float64.
"""

from __future__ import annotations

import argparse
import warnings

import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, IntegratedGradients, Saliency
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.cam import GradCam, GradCamPlusPlus
from mri_interpret.attribution.methods.gradient import IntegratedGradients as OurIntegratedGradients
from mri_interpret.attribution.methods.lrp import LRP
from torch import Tensor, nn

from Testing.benchmarks import attribution_peers as peers
from Testing.benchmarks.attribution_networks import TARGET, network, volume


def compared(ours: Tensor, theirs: Tensor) -> str:
    """Relative L2, correlation and overlap of the top 1 %, as cells of the table."""
    a, b = ours.detach().double().flatten(), theirs.detach().double().flatten()
    distance = float((a - b).norm() / b.norm())
    correlation = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    top = max(1, len(a) // 100)
    best = [set(part.abs().topk(top).indices.tolist()) for part in (a, b)]
    return f"{distance:.1e} | {correlation:.8f} | {100 * len(best[0] & best[1]) / top:.1f} %"


def paper_form(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++ by equation 19, in float64, where its powers need no stabiliser."""
    a, g = activation.detach().double(), gradient.double()
    below = 2 * g**2 + a.sum((2, 3, 4), keepdim=True) * g**3
    alpha = torch.where(below == 0, 0, g**2 / torch.where(below == 0, 1, below))
    return ((alpha * g.clamp(min=0)).sum((2, 3, 4), keepdim=True) * a).sum(1).clamp(min=0)


def plain_layer(model: nn.Module, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Activation and gradient of the peers' layer, by torch alone."""
    kept: list[Tensor] = []
    handle = model.get_submodule(peers.LAYERS[name]).register_forward_hook(lambda *call: kept.append(call[2]))
    score = model(x.clone().requires_grad_())[0, TARGET]
    handle.remove()
    return kept[0].detach(), torch.autograd.grad(score, kept[0])[0]


def rows(name: str, steps: int) -> list[str]:
    """The lines of one network."""
    model, x = network(name), volume("2 mm")
    leaf, shape = x.clone().requires_grad_(), tuple(x.shape[2:])
    layer = peers.LAYERS[name]
    integrated = OurIntegratedGradients(steps=steps)
    methods = ["gradient", "guided_backprop", LRP(composite="epsilon-plus"), integrated]
    cams = {"paper": GradCamPlusPlus(layer), "MONAI": GradCamPlusPlus(layer, denominator="pointwise")}
    maps = Explainer(model).explain(x, TARGET, [*methods, GradCam(layer), *cams.values()])
    run = Explainer(model).record(x, TARGET, {"cam": GradCam(layer)})
    found = run.layer(layer)
    ours = {
        key: method.from_layer(found.output.detach(), run.layer_gradient(found)).clamp(min=0)
        for key, method in {"cam": GradCam(layer), **cams}.items()
    }

    def stretched(features: Tensor) -> Tensor:
        return F.interpolate(features.reshape(1, 1, *features.shape[-3:]), size=shape, mode="trilinear")

    lines = []

    def line(what: str, mine: Tensor, theirs: Tensor) -> None:
        lines.append(f"| {name} | {what} | {compared(mine, theirs)} |")

    line("saliency, captum", maps["gradient"].map, Saliency(model).attribute(leaf, target=TARGET, abs=False))
    line("guided backpropagation, captum", maps["guided_backprop"].map, GuidedBackprop(model).attribute(leaf, TARGET))
    theirs = IntegratedGradients(model).attribute(leaf, target=TARGET, n_steps=steps, internal_batch_size=1)
    line(f"integrated gradients, {steps} steps, captum", maps["integrated_gradients"].map, theirs)
    value = float(maps.explained[0])
    line("LRP epsilon-plus, zennit", maps["lrp"].map, peers.relevance(model, x, value))
    coarse = peers.grad_cam(model, leaf, name)
    line("Grad-CAM, captum, feature grid", ours["cam"], coarse)
    line("Grad-CAM, captum and interpolate", maps["grad_cam"].map, stretched(coarse))
    paper = paper_form(*plain_layer(model, x, name))
    line("Grad-CAM++, paper's equation 19, feature grid", ours["paper"], paper)
    line("Grad-CAM++, paper's equation 19 and interpolate", maps["grad_cam_pp"].map, stretched(paper))
    # MONAI keeps the factor exp(S), the same everywhere, and adds 1e-7 to a denominator of the size of g^2.
    monai, stays = peers.grad_cam_pp(model, leaf, name), stretched(ours["MONAI"])
    line("Grad-CAM++, MONAI", stays / stays.max(), monai / monai.max())
    scale = 1000.0
    with torch.no_grad():
        for parameter in (model.head if name == "A" else model.fc).parameters():
            parameter.mul_(scale)
    run = Explainer(model).record(x, TARGET, {"cam": GradCam(layer)})
    found = run.layer(layer)
    stays = stretched(cams["MONAI"].from_layer(found.output.detach(), run.layer_gradient(found)).clamp(min=0))
    monai = peers.grad_cam_pp(model, leaf, name)
    if bool(torch.isfinite(monai).all()) and float(monai.max()) > 0:
        line(f"Grad-CAM++, MONAI, scores times {scale:g}", stays / stays.max(), monai / monai.max())
    else:
        lines.append(f"| {name} | Grad-CAM++, MONAI, scores times {scale:g} | exp(S) overflows in MONAI | - | - |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["A", "B"])
    parser.add_argument("--steps", type=int, default=8, help="of integrated gradients")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    print("| network | map, peer | relative L2 | correlation | top 1 % shared |\n|---|---|---|---|---|")
    for name in options.networks:
        print("\n".join(rows(name, options.steps)), flush=True)


if __name__ == "__main__":
    main()
