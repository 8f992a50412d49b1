"""Maps in float32 against the same maps in float64: ours, and torch's own gradient beside it.

    python -m Testing.benchmarks.attribution_float64 --networks DenseNet-121 EfficientNet-B0

Prints a Markdown table of medians over inputs that differ by noise: largest difference to float64 over the map's
maximum, and the relative error in L2. Where an activation lies within rounding of a ReLU's edge, any float32 gradient
differs from float64; LRP divides by sums that may be small, which multiplies their rounding.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any


def main() -> None:
    """Measure and print."""
    import torch
    from mri_interpret.attribution import Explainer

    from Testing.benchmarks.attribution_networks import NETWORKS, TARGET, network, volume

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=[name for name in NETWORKS if name != "Qiu"])
    parser.add_argument("--size", type=int, default=64, help="voxels along each axis")
    parser.add_argument("--inputs", type=int, default=5, help="how many; the first is the benchmark's volume")
    options = parser.parse_args()
    torch.set_num_threads(1)

    def gradient(model: Any, x: Any) -> Any:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)[0][:, 0]

    methods = ["gradient", "guided_backprop", "lrp", "grad_cam_pp"]
    print("| network | torch's gradient | " + " | ".join(methods) + " |\n" + "|---" * (len(methods) + 2) + "|")
    cut = (options.size,) * 3
    start = torch.nn.functional.interpolate(volume("2 mm"), size=cut, mode="trilinear", align_corners=False)
    generator = torch.Generator().manual_seed(2)
    noise = [0.02 * place**0.5 * torch.randn(start.shape, generator=generator) for place in range(options.inputs)]
    for name in options.networks:
        model, exact_model, found = network(name), network(name).double(), []
        for part in noise:
            x = start + part * (start > 0)
            ours, exact = (
                Explainer(one).explain(y, TARGET, methods) for one, y in ((model, x), (exact_model, x.double()))
            )
            row = [errors(gradient(model, x), gradient(exact_model, x.double()))]
            found.append(row + [errors(ours[method].map, exact[method].map) for method in methods])
        columns = zip(*found, strict=True)
        cells = [", ".join(f"{median(values):.1e}" for values in zip(*column, strict=True)) for column in columns]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def errors(found: Any, wanted: Any) -> tuple[float, float]:
    """Largest difference over the maximum, and the relative L2 error."""
    wanted = wanted.double()
    difference = found.double() - wanted
    return float(difference.abs().max() / wanted.abs().max()), float(difference.norm() / wanted.norm())


if __name__ == "__main__":
    main()
