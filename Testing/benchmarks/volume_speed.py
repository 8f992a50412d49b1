"""Time and memory of the volume methods, against the plain forward and backward pass.

    python -m Testing.benchmarks.volume_speed                        # the bundled network at 2 mm, B at 1 mm
    python -m Testing.benchmarks.volume_speed --networks A --sizes "1 mm" --repeats 3

Prints a Markdown table. Unit: 1 FB, one forward and backward-to-input pass of the plain model, taken in turns with the
volume gradient in one process (median of the turns). The input is a simulated AD subject, whose mask and fluid are
known; at 1 mm it is interpolated. The bundled network's counterfactual is the default one: to the boundary, with four
further starts. Networks with random weights have no boundary that means anything, so six steps are taken, and the whole
is as many steps as the bundled network's counterfactual took altogether. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from Testing.benchmarks.attribution import in_turns, plain_pass, ratio, resident

BUNDLED = "atrophy_cnn"
CASES = ((BUNDLED, "2 mm"), ("B", "1 mm"))
KINDS = ("plain", "volume_gradient", "volume_counterfactual")
STEPS = 6  # of a network with random weights: fewer than it takes to count as stuck
FAR = 1e4  # a level that no network comes near to within them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", help="of the attribution benchmark, or atrophy_cnn")
    parser.add_argument("--sizes", nargs="+", default=["2 mm"], choices=("2 mm", "1 mm"))
    parser.add_argument("--repeats", type=int, default=5, help="turns; 0: only memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.one:
        one(*options.one)
        return
    cases = CASES if not options.networks else [(name, size) for name in options.networks for size in options.sizes]
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.machine()}, {options.repeats} turns,")
    print(f"{os.cpu_count()} cores, load at the start {os.getloadavg()[0]:.1f} (well above 0: other work ran too).\n")
    if options.repeats:
        times(cases, options.repeats)
    if not options.no_memory:
        memory(cases, options.threads)


def times(cases: Any, repeats: int) -> None:
    """Print the table of times; the first network with a boundary says how many steps the others would take."""
    heads = ["network, input", "FB", "FB, CPU", "gradient / FB", "gradient / FB, CPU", "a step", "a step / FB, CPU"]
    heads += ["steps, with starts", "counterfactual", "CPU"]
    print(f"| {' | '.join(heads)} |\n" + "|---" * len(heads) + "|")
    whole = 0
    for name, size in cases:
        model, given = network_of(name), subject(size)
        works = [partial(plain_pass, model, given["x"]), partial(explained, "volume_gradient", model, name, given)]
        turns = in_turns(repeats, *works)
        fb, fb_cpu = (median(turn[0][clock] for turn in turns) for clock in (0, 1))
        started, steps = (time.perf_counter(), time.process_time()), []
        explained("volume_counterfactual", model, name, given, steps)
        wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
        taken = len(steps)
        whole = taken if name == BUNDLED else whole
        asked = whole or taken
        found = [f"{fb:.2f} s", f"{fb_cpu:.2f} s", *(f"{ratio(turns, 1, clock):.2f}" for clock in (0, 1))]
        found += [f"{wall / taken:.2f} s", f"{cpu / taken / fb_cpu:.2f}", f"{asked}"]
        found += [f"{wall / taken * asked:.0f} s", f"{cpu / taken * asked:.0f} s"]
        print(f"| {name}, {size} | {' | '.join(found)} |", flush=True)
    print()


def memory(cases: Any, threads: int) -> None:
    """Print the table of peak memory."""
    import torch

    print(f"| network, input | peak memory in MB (before the first pass): {' | '.join(KINDS)} |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, size in cases:
            # Made elsewhere: simulating takes more memory than some of the passes.
            path = Path(folder) / f"{size}.pt"
            if not path.exists():
                torch.save(subject(size), path)
            command = [sys.executable, "-m", "Testing.benchmarks.volume_speed", "--threads", str(threads), "--one"]
            peaks = [
                subprocess.run([*command, kind, name, str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout
                for kind in KINDS
            ]
            print(f"| {name}, {size} | {' | '.join(peak.strip() for peak in peaks)} |", flush=True)
    print()


def one(kind: str, name: str, path: str) -> None:
    """One kind of work once: this process's peak memory in MB, and what it held before."""
    import mri_interpret.attribution.explainer  # noqa: F401  what is imported counts for the plain pass too
    import torch

    model, given = network_of(name), torch.load(path)
    before = resident("VmRSS")
    if kind == "plain":
        plain_pass(model, given["x"])
    else:
        explained(kind, model, name, given, few=True)
    print(f"{resident('VmHWM')} ({before})")


def explained(
    kind: str, model: Any, name: str, given: dict[str, Any], steps: list[float] | None = None, few: bool = False
) -> None:
    """One of the volume methods; ``steps`` gets an entry for every step of the counterfactual."""
    from mri_interpret.attribution import Explainer
    from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
    from mri_interpret.attribution.methods.volume_gradient import VolumeGradient
    from mri_interpret.models.goals import Goal

    from Testing.benchmarks.attribution_networks import TARGET

    method: Any = VolumeGradient()
    if kind == "volume_counterfactual":
        # For the peak of memory, the second step is like all others.
        far = {"goal": Goal("a value far away", level=FAR), "max_steps": 2 if few else STEPS, "starts": 0}
        method = VolumeCounterfactual() if name == BUNDLED and not few else VolumeCounterfactual(**far)

    def told(title: str, share: float) -> None:
        if steps is not None and title == VolumeCounterfactual.title:
            steps.append(share)

    target = [-1.0, 0.0, 1.0] if name == BUNDLED else TARGET
    known = {key: given[key] for key in ("brain_mask", "fluid", "spacing")}
    Explainer(model).explain(given["x"], target=target, methods=[method], progress=told, **known)


def network_of(name: str) -> Any:
    """The bundled network, or one of the attribution benchmark's."""
    from mri_interpret.models.registry import find_model

    from Testing.benchmarks.attribution_networks import network

    return find_model(BUNDLED).network if name == BUNDLED else network(name)


def subject(size: str) -> dict[str, Any]:
    """A simulated AD subject over the template's anatomy: x, brain_mask, fluid and spacing."""
    import torch
    from mri_interpret.benchmark.simulated_subjects import simulate_subject
    from mri_interpret.benchmark.volume_truth import FLUID
    from mri_interpret.simulation.atrophy import fractions_of
    from mri_interpret.simulation.template_anatomy import template_anatomy
    from torch.nn import functional

    from Testing.benchmarks.attribution_networks import SHAPES

    anatomy = template_anatomy()
    given = simulate_subject(anatomy, fractions_of(anatomy), "AD", seed=5, index=2)
    parts = torch.stack(
        (given.image[0, 0], torch.from_numpy(given.mask).float(), torch.from_numpy(given.shares[FLUID]))
    )
    spacing = [2.0] * 3
    if size != "2 mm":
        fine = functional.interpolate(parts[None], scale_factor=2, mode="trilinear", align_corners=False)[0]
        i, j, k = SHAPES[size]
        parts, spacing = fine[:, :i, :j, :k].contiguous(), [1.0] * 3
    image, mask, fluid = parts
    return {"x": image[None, None], "brain_mask": mask > 0.5, "fluid": fluid, "spacing": spacing}


if __name__ == "__main__":
    main()
