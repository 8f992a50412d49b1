"""Time and memory of the study's six methods, against the plain forward and backward pass and against the peers.

    python -m Testing.benchmarks.attribution                          # ours alone
    peers/bin/python -m Testing.benchmarks.attribution --peers        # beside zennit, captum and MONAI

Prints Markdown tables. Unit: 1 FB, one forward and backward-to-input pass of the plain model. All timings of a row are
taken in turns within one process and the fastest of each counts; memory is the peak of a process of its own. The peers
get the same allocator and threads, and captum's LayerGradCam (MONAI's own Grad-CAM costs more).
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path


def plain_pass(model: object, x: object) -> None:
    """1 FB."""
    import torch

    from Testing.benchmarks.attribution_networks import TARGET

    leaf = x.clone().requires_grad_()
    torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)


def our_methods(model: object, x: object) -> None:
    """The six maps from one recorded pass."""
    from mri_interpret.attribution import Explainer
    from mri_interpret.attribution.methods.combined import LrpGradCamPlusPlus
    from mri_interpret.attribution.methods.lrp import LRP

    from Testing.benchmarks.attribution_networks import TARGET

    # The composite that the peers have, whatever the default is.
    relevance = LRP(composite="epsilon-plus")
    methods = ["guided_backprop", "grad_cam", "grad_cam_pp", "guided_grad_cam_pp"]
    Explainer(model).explain(x, TARGET, [relevance, *methods, LrpGradCamPlusPlus(fine=relevance)])


def our_gradient_map_more(model: object, x: object) -> Callable[[], object]:
    """One more gradient-type map over a graph that is there already."""
    from mri_interpret.attribution import Explainer

    from Testing.benchmarks.attribution_networks import TARGET

    run = Explainer(model).record(x, TARGET, {})
    return lambda: run._backpropagate(run.weights, run.x, "gradient")


def best_of(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The fastest run of each, taken in turns."""
    best = [float("inf")] * len(works)
    for _ in range(repeats):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def peak_of(kind: str, name: str, size: str, threads: int) -> str:
    """Peak resident memory in MB of our methods, the plain pass or the peers' methods in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "Testing.benchmarks.attribution",
        "--threads",
        str(threads),
        "--one",
        kind,
        name,
        size,
    ]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1800).stdout.strip()


def one(kind: str, name: str, size: str) -> None:
    """Run one kind of work once and print this process's peak memory in MB, and what it held before."""
    from Testing.benchmarks.attribution_networks import network, volume

    work = {"plain": plain_pass, "ours": our_methods}.get(kind)
    if work is None:
        from Testing.benchmarks.attribution_peers import same_methods

        work = partial(same_methods, name=name)
    else:
        import mri_interpret.attribution.explainer  # noqa: F401  what is imported counts for the plain pass too
    model, x = network(name), volume(size)
    before = resident("VmRSS")
    work(model, x)
    print(f"{resident('VmHWM')} ({before})")


def resident(which: str) -> int:
    """This process's own memory in MB. (ru_maxrss will not do: a child inherits the peak of a large parent.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) >> 10
    raise SystemExit("memory is measured on Linux only")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="measure zennit, captum and MONAI too")
    parser.add_argument("--sizes", nargs="+", default=["2 mm", "1 mm"])
    parser.add_argument("--networks", nargs="+", default=["A", "B"])
    parser.add_argument("--repeats", type=int, default=4, help="0: no times, only memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.one:
        one(*options.one)
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"torch {torch.__version__}, {platform.processor() or platform.machine()}, {options.threads} threads, float32;"
    )
    print(f"{os.cpu_count()} cores, load at the start {load:.1f} (well above 0: other work ran on the same cores).\n")
    cases = [(name, size) for name in options.networks for size in options.sizes]
    if options.repeats:
        times(cases, options.repeats, options.peers)
    kinds = ["plain", "ours", *(["peers"] if options.peers else [])]
    print("| network, input | peak memory in MB (before the first pass): FB | ours |" + " peers |" * options.peers)
    print("|---|" + "---|" * len(kinds))
    for name, size in cases:
        found = " | ".join(peak_of(kind, name, size, options.threads) for kind in kinds)
        print(f"| {name}, {size} | {found} |", flush=True)


def times(cases: list[tuple[str, str]], repeats: int, with_peers: bool) -> None:
    """Print the table of times."""
    from Testing.benchmarks.attribution_networks import network, volume

    columns = ("network, input", "FB", "six methods", "six / FB", "one more map / FB", "peers / FB", "six / peers")
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, size in cases:
        model, x = network(name), volume(size)
        works = [partial(plain_pass, model, x), partial(our_methods, model, x), our_gradient_map_more(model, x)]
        if with_peers:
            from Testing.benchmarks.attribution_peers import same_methods

            works.append(partial(same_methods, model, x, name))
        base, ours, extra, *rest = best_of(repeats, *works)
        peers = f"{rest[0] / base:.2f} | {ours / rest[0]:.2f}" if rest else "- | -"
        row = f"{base:.2f} s | {ours:.2f} s | {ours / base:.2f} | {extra / base:.2f} | {peers}"
        print(f"| {name}, {size} | {row} |", flush=True)
    print()


if __name__ == "__main__":
    main()
