"""Occlusion and region occlusion against captum and MONAI at the same settings.

    peers/bin/python -m Testing.benchmarks.attribution_occlusion

Networks and input of ``attribution.py`` at 2 mm. Seconds per evaluation of the model: a patch's position or a region;
a hook on the peers' models counts them. Works are taken in turns within one process and the fastest of each counts. The
peers run one volume at a time, which is fastest on a CPU.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import torch
from captum.attr import FeatureAblation
from captum.attr import Occlusion as CaptumOcclusion
from monai.visualize import OcclusionSensitivity
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.perturbation import Occlusion, RegionOcclusion
from torch import Tensor, nn

from Testing.benchmarks.attribution_networks import TARGET, network, volume


class Counted(nn.Module):
    """A model that counts the volumes it has seen."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.volumes = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.volumes += len(x)
        return self.model(x)


def regions(shape: tuple[int, ...], count: int, seed: int = 0) -> Tensor:
    """``count`` regions in the volume's bright ball, each voxel belonging to the nearest of random centres."""
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    places = torch.stack([axis.flatten() for axis in axes], 1)
    inside = places.square().sum(1) < 0.8
    centres = places[inside][torch.randperm(int(inside.sum()), generator=torch.Generator().manual_seed(seed))[:count]]
    labels = torch.zeros(len(places), dtype=torch.int64)
    labels[inside] = torch.cdist(places[inside], centres).argmin(1) + 1
    return labels.reshape(shape)


def seconds_each(
    repeats: int, clock: Callable[[], float], works: dict[str, Callable[[], int]]
) -> dict[str, tuple[float, int]]:
    """Fastest seconds per evaluation, and the number of evaluations."""
    best: dict[str, tuple[float, int]] = {}
    for _ in range(repeats):
        for name, work in works.items():
            started = clock()
            count = work()
            found = ((clock() - started) / count, count)
            best[name] = min(found, best.get(name, found))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["A", "B"])
    parser.add_argument("--patches", nargs="+", type=int, default=[16, 24], help="edge of the patch, and its stride")
    parser.add_argument("--regions", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-seconds", action="store_true", help="not wall time: beside other work, with 1 thread")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_seconds else time.perf_counter
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"torch {torch.__version__}, {options.threads} threads, {os.cpu_count()} cores, load at the start {load:.1f}\n"
    )
    columns = ("network", "hidden", "evaluations: ours, captum, MONAI", "ours, s each", "captum", "MONAI")
    print(f"| {' | '.join(columns)} | captum / ours | MONAI / ours |\n" + "|---" * 8 + "|")
    for name in options.networks:
        model, x = network(name), volume("2 mm")
        for patch in options.patches:
            found = seconds_each(options.repeats, clock, patches(model, x, patch))
            print(row(name, f"{patch}^3 patch, stride {patch}", found), flush=True)
        labels = regions(tuple(x.shape[2:]), options.regions)
        found = seconds_each(options.repeats, clock, by_region(model, x, labels))
        print(row(name, f"{options.regions} regions", found), flush=True)


def row(name: str, what: str, found: dict[str, tuple[float, int]]) -> str:
    """One line of the table."""
    ours = found["ours"][0]
    counts = ", ".join(str(count) for _, count in found.values())
    times = [f"{found[peer][0]:.4f}" if peer in found else "-" for peer in ("ours", "captum", "MONAI")]
    ratios = [f"{found[peer][0] / ours:.1f}" if peer in found else "-" for peer in ("captum", "MONAI")]
    return f"| {name} | {what} | {counts} | {' | '.join(times)} | {' | '.join(ratios)} |"


def patches(model: nn.Module, x: Tensor, patch: int) -> dict[str, Callable[[], int]]:
    """Sliding patches that touch, filled with zero."""

    def ours() -> int:
        found = Explainer(model).explain(x, TARGET, Occlusion(patch=patch, stride=patch))["occlusion"]
        return found.details["positions"]

    def captum() -> int:
        counted = Counted(model)
        CaptumOcclusion(counted).attribute(x, (1, *[patch] * 3), (1, *[patch] * 3), target=TARGET)
        return counted.volumes

    def monai() -> int:
        counted = Counted(model)
        with torch.no_grad():
            OcclusionSensitivity(counted, mask_size=patch, n_batch=1, mode=0.0, overlap=0.0, verbose=False)(x)
        return counted.volumes

    return {"ours": ours, "captum": captum, "MONAI": monai}


def by_region(model: nn.Module, x: Tensor, labels: Tensor) -> dict[str, Callable[[], int]]:
    """Regions filled with zero; captum also hides the background, as a region of its own."""

    def ours() -> int:
        found = Explainer(model).explain(x, TARGET, RegionOcclusion(fill="zero"), regions=labels)["region_occlusion"]
        return len(found.details["drop_by_region"])

    def captum() -> int:
        counted = Counted(model)
        FeatureAblation(counted).attribute(x, feature_mask=labels[None, None], target=TARGET)
        return counted.volumes

    return {"ours": ours, "captum": captum}


if __name__ == "__main__":
    main()
