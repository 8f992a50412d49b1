"""Time and memory of the default panel of maps, against the plain forward and backward pass and against the peers.

    python -m Testing.benchmarks.attribution                                  # every network, ours alone
    python -m Testing.benchmarks.attribution --networks ResNet-18 --sizes "2 mm"
    peers/bin/python -m Testing.benchmarks.attribution --networks A B --peers  # beside zennit, captum and MONAI
    peers/bin/python -m Testing.benchmarks.attribution --networks A --lrp      # LRP alone, beside autoLRP

Prints Markdown tables. Unit: 1 FB, one forward and backward-to-input pass of the plain model. All timings of a row are
taken in turns within one process; ratios are formed within a turn, and the median over the turns counts. CPU seconds
are those of all threads: with ``--threads 1`` other work on the machine hardly disturbs them. Memory is the peak of a
process of its own. The peers get the same allocator and threads, and captum's LayerGradCam (MONAI's own Grad-CAM costs
more).
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
from statistics import median
from typing import Any

Work = Callable[[], object]


def plain_pass(model: Any, x: Any) -> None:
    """1 FB."""
    import torch

    from Testing.benchmarks.attribution_networks import TARGET

    leaf = x.clone().requires_grad_()
    torch.autograd.grad(model(leaf)[:, TARGET].sum(), leaf)


def panel(model: Any, x: Any) -> None:
    """The maps that are made by default."""
    from mri_interpret.attribution import Explainer

    from Testing.benchmarks.attribution_networks import TARGET

    Explainer(model).explain(x, TARGET)


def six_maps(model: Any, x: Any) -> None:
    """The six maps of the study, with the LRP composite that the peers have, whatever the default is."""
    from mri_interpret.attribution import Explainer
    from mri_interpret.attribution.methods.combined import LrpGradCamPlusPlus
    from mri_interpret.attribution.methods.lrp import LRP

    from Testing.benchmarks.attribution_networks import TARGET

    relevance = LRP(composite="epsilon-plus")
    methods = ["guided_backprop", "grad_cam", "grad_cam_pp", "guided_grad_cam_pp"]
    Explainer(model).explain(x, TARGET, [relevance, *methods, LrpGradCamPlusPlus(fine=relevance)])


def one_more(model: Any, x: Any) -> Work:
    """One more gradient-type map over a graph that is there already."""
    from mri_interpret.attribution import Explainer

    from Testing.benchmarks.attribution_networks import TARGET

    run = Explainer(model).record(x, TARGET, {})
    return lambda: run._backpropagate(run.weights, run.x, "gradient")


def in_turns(repeats: int, *works: Work) -> list[list[tuple[float, float]]]:
    """Wall-clock and CPU seconds of each work, turn by turn, after a turn that does not count."""
    turns = []
    for _ in range(repeats + 1):
        turn = []
        for work in works:
            started = time.perf_counter(), time.process_time()
            work()
            turn.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        turns.append(turn)
    return turns[1:]


def ratio(turns: list[list[tuple[float, float]]], work: int, clock: int, to: int = 0) -> float:
    """Median over the turns of a work's time in units of another's; clock 0 is wall-clock time, 1 CPU time."""
    return median(turn[work][clock] / turn[to][clock] for turn in turns)


def times(cases: list[tuple[str, str]], repeats: int, with_peers: bool) -> None:
    """Print the table of times."""
    from Testing.benchmarks.attribution_networks import network, volume

    columns = ["network, input", "FB", "FB, CPU", "panel / FB", "panel / FB, CPU", "first scan / FB, CPU"]
    columns += ["six maps / FB, CPU", "one more map / FB, CPU", *(["peers / FB", "six / peers"] if with_peers else [])]
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, size in cases:
        model, x = network(name), volume(size)
        plain_pass(model, x)
        started = time.process_time()
        panel(model, x)
        first = time.process_time() - started
        works = [partial(plain_pass, model, x), partial(panel, model, x), partial(six_maps, model, x)]
        works.append(one_more(model, x))
        if with_peers:
            from Testing.benchmarks.attribution_peers import same_methods

            works.append(partial(same_methods, model, x, name))
        turns = in_turns(repeats, *works)
        wall, cpu = (median(turn[0][clock] for turn in turns) for clock in (0, 1))
        found = [f"{wall:.2f} s", f"{cpu:.2f} s", *(f"{ratio(turns, 1, clock):.2f}" for clock in (0, 1))]
        found += [f"{first / cpu:.2f}", *(f"{ratio(turns, work, 1):.2f}" for work in (2, 3))]
        if with_peers:
            found += [f"{ratio(turns, 4, 0):.2f}", f"{ratio(turns, 2, 0, 4):.2f}"]
        print(f"| {name}, {size} | {' | '.join(found)} |", flush=True)
    print()


def memory(cases: list[tuple[str, str]], threads: int, with_peers: bool) -> None:
    """Print the table of peak memory."""
    kinds = ["plain", "panel", *(["peers"] if with_peers else [])]
    print(f"| network, input | peak memory in MB (before the first pass): {' | '.join(kinds)} |")
    print("|---|" + "---|" * len(kinds))
    for name, size in cases:
        found = " | ".join(peak_of(kind, name, size, threads) for kind in kinds)
        print(f"| {name}, {size} | {found} |", flush=True)
    print()


def peak_of(kind: str, name: str, size: str, threads: int) -> str:
    """Peak resident memory in MB of our panel, the plain pass or the peers' methods in a process of its own."""
    command = [sys.executable, "-m", "Testing.benchmarks.attribution", "--threads", str(threads)]
    command += ["--one", kind, name, size]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1800).stdout.strip()


def one(kind: str, name: str, size: str) -> None:
    """Run one kind of work once and print this process's peak memory in MB, and what it held before."""
    from Testing.benchmarks.attribution_networks import network, volume

    work = {"plain": plain_pass, "panel": panel}.get(kind)
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
    from Testing.benchmarks.attribution_networks import CASES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="measure zennit, captum and MONAI too (networks A and B)")
    parser.add_argument("--lrp", action="store_true", help="instead: LRP alone, ours and autoLRP's")
    parser.add_argument("--sizes", nargs="+", default=sorted({size for _, size in CASES}))
    parser.add_argument("--networks", nargs="+", default=list(dict.fromkeys(name for name, _ in CASES)))
    parser.add_argument("--repeats", type=int, default=5, help="0: no times, only memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.one:
        one(*options.one)
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.machine()}, {options.repeats} turns,")
    print(f"{os.cpu_count()} cores, load at the start {load:.1f} (well above 0: other work ran on the same cores).\n")
    cases = [(name, size) for name, size in CASES if name in options.networks and size in options.sizes]
    if options.lrp:
        from Testing.benchmarks.attribution_lrp import relevance_alone

        relevance_alone(cases, options.repeats)
        return
    if options.repeats:
        times(cases, options.repeats, options.peers)
    if not options.no_memory:
        memory(cases, options.threads, options.peers)


if __name__ == "__main__":
    main()
