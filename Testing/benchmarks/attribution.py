"""Time and memory of the attribution panel, against the plain forward and backward pass and against the peers.

    python Testing/benchmarks/attribution.py                          # ours alone
    peers/bin/python Testing/benchmarks/attribution.py --peers        # beside zennit, captum and MONAI

Prints a Markdown table. Unit: 1 FB, one forward and backward-to-input pass of the plain model. All timings of a row are
taken in turns within one process and the fastest of each counts; memory is the peak of a process of its own. The peers
get the same allocator and threads, and captum's LayerGradCam (MONAI's own Grad-CAM costs more).
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "MRIInterpret"), str(HERE)]
TARGET = 1


def plain_pass(model: object, x: object) -> None:
    """1 FB."""
    import torch

    leaf = x.clone().requires_grad_()
    torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)


def our_panel(model: object, x: object) -> None:
    """The six maps from one recorded pass."""
    from MRIInterpretLib.attribution import PANEL, Explainer

    Explainer(model).explain(x, TARGET, PANEL)


def our_gradient_map_more(model: object, x: object) -> Callable[[], object]:
    """One more gradient-type map over a graph that is there already."""
    from MRIInterpretLib.attribution import Explainer

    run = Explainer(model)._record(x, TARGET, {})
    return lambda: run._back(run.weights, run.x, "gradient")


def peers_panel(model: object, x: object, name: str) -> None:
    """The six maps from the best combination of peers."""
    import torch
    import torch.nn.functional as F
    from captum.attr import GuidedBackprop, LayerGradCam
    from monai.visualize import GradCAMpp
    from zennit.attribution import Gradient
    from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
    from zennit.composites import EpsilonPlus
    from zennit.layer import Sum

    model = copy.deepcopy(model)  # MONAI leaves hooks behind, which would slow the next turn down

    def block(_name: str, module: object) -> dict | None:
        if type(module).__name__ != "BasicBlock":
            return None

        def forward(self: object, x: object) -> object:
            y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
            return self.relu2(self.canonizer_sum(torch.stack([y, self.shortcut(x)], -1)))

        return {"forward": forward.__get__(module), "canonizer_sum": Sum()}

    layer = {"A": "features.18", "B": "blocks.7.relu2"}[name]
    canonizer = CompositeCanonizer([SequentialMergeBatchNorm(), AttributeCanonizer(block)])
    start = torch.zeros(1, 3)
    start[0, TARGET] = 1.0
    with Gradient(model=model, composite=EpsilonPlus(canonizers=[canonizer])) as attributor:
        _, relevance = attributor(x.clone().requires_grad_(), start)
    leaf = x.clone().requires_grad_()
    guided = GuidedBackprop(model).attribute(leaf, target=TARGET)
    coarse = LayerGradCam(model, model.get_submodule(layer)).attribute(leaf, target=TARGET, relu_attributions=True)
    F.interpolate(coarse, size=x.shape[2:], mode="trilinear")
    plus = GradCAMpp(model, target_layers=layer, postprocessing=lambda value: value)(leaf, class_idx=TARGET)
    _ = guided * plus, relevance * plus


def best_of(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The fastest run of each, taken in turns."""
    best = [float("inf")] * len(works)
    for _ in range(repeats):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def peak_of(kind: str, name: str, size: str) -> str:
    """Peak resident memory in GB of one panel, plain pass or peers' panel in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, name, size]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    return done.stdout.strip() if done.returncode == 0 else "failed"


def one(kind: str, name: str, size: str) -> None:
    """Run one kind of work once and print this process's peak memory in GB."""
    import resource

    from attribution_networks import network, volume

    model, x = _frozen(network(name)), volume(size)
    if kind == "peers":
        peers_panel(model, x, name)
    else:
        {"plain": plain_pass, "ours": our_panel}[kind](model, x)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}")


def _frozen(model: object) -> object:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def occlusion(name: str, peers: bool) -> list[float]:
    """Seconds per position of a 16-voxel patch at 2 mm: ours, the plain loop, captum's."""
    import torch
    from attribution_networks import network, volume
    from MRIInterpretLib.attribution import Explainer
    from MRIInterpretLib.attribution.methods.perturbation import Occlusion

    model, x = _frozen(network(name)), volume("2 mm")
    ours = Occlusion(patch=16, stride=40, batch=12)
    positions = len(ours.windows(tuple(x.shape[2:])))

    def theirs() -> None:
        from captum.attr import Occlusion as Theirs

        Theirs(model).attribute(x, (1, 16, 16, 16), (1, 40, 40, 40), target=TARGET)

    def loop() -> None:
        with torch.no_grad():
            for window in ours.windows(tuple(x.shape[2:])):
                other = x.clone()
                other[(slice(None), slice(None), *window)] = 0
                model(other)

    works = [lambda: Explainer(model).explain(x, TARGET, ours), loop, *([theirs] if peers else [])]
    return [seconds / positions for seconds in best_of(2, *works)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="measure zennit, captum and MONAI too")
    parser.add_argument("--sizes", nargs="+", default=["2 mm", "1 mm"])
    parser.add_argument("--networks", nargs="+", default=["A", "B"])
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.one:
        one(*options.one)
        return
    from attribution_networks import network, volume

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"torch {torch.__version__}, {platform.processor() or platform.machine()}, {options.threads} threads, float32;"
    )
    print(f"{os.cpu_count()} cores, load at the start {load:.1f} (well above 0: other work ran on the same cores).\n")
    columns = ("network, input", "FB", "panel", "panel / FB", "one more map / FB", "peers / FB", "panel / peers")
    print(f"| {' | '.join(columns)} | memory GB: {'FB, panel, peers' if options.peers else 'FB, panel'} |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.networks:
        for size in options.sizes:
            model, x = _frozen(network(name)), volume(size)
            works = [partial(plain_pass, model, x), partial(our_panel, model, x), our_gradient_map_more(model, x)]
            if options.peers:
                works.append(partial(peers_panel, model, x, name))
            seconds = best_of(options.repeats, *works)
            base, panel, extra = seconds[:3]
            peers = f"{seconds[3] / base:.2f} | {panel / seconds[3]:.2f}" if options.peers else "- | -"
            kinds = ["plain", "ours", *(["peers"] if options.peers else [])]
            memory = ", ".join(peak_of(kind, name, size) for kind in kinds)
            print(
                f"| {name}, {size} | {base:.2f} s | {panel:.2f} s | {panel / base:.2f} | {extra / base:.2f} "
                f"| {peers} | {memory} |",
                flush=True,
            )
    print("\n| occlusion at 2 mm, patch 16 | ours, s per position | plain loop | captum | captum / ours |")
    print("|---|---|---|---|---|")
    for name in options.networks:
        found = occlusion(name, options.peers)
        theirs = f"{found[2]:.3f} | {found[2] / found[0]:.1f}" if options.peers else "- | -"
        print(f"| {name} | {found[0]:.4f} | {found[1]:.3f} | {theirs} |", flush=True)


if __name__ == "__main__":
    main()
