"""The whole main job on the sample scan, first and second run: wall-clock time, peak memory, and where the time goes.

    python -m Testing.benchmarks.main_job            # prints the table
    python -m Testing.benchmarks.main_job --write    # and puts it into the README's benchmark section
    python -m Testing.benchmarks.main_job --one-mm B # one first run with a network at 1 mm: 182 x 218 x 182 voxels
    python -m Testing.benchmarks.main_job --one-mm B --icbm  # 193 x 229 x 193 voxels

With --one-mm, a network of the attribution benchmark (A, B, ResNet-18, ...) with random weights becomes a bundle first,
which is not timed. The second run finds mask and transform in the cache; a third one does the model's part alone,
without scene and report. Also timed: the start of the command line until --help has been printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- main_job.py begins -->", "<!-- main_job.py ends -->"


def measured(arguments: list[str], cache: Path) -> tuple[float, float, str]:
    """Run the command line in a process of its own: seconds, peak resident memory in GB, stdout."""
    environment = os.environ | {"MRI_INTERPRET_CACHE": str(cache)}
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "mri_interpret", *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode()
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {text}")
    return seconds, usage.ru_maxrss * 1024 / 1e9, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--model", default="", help="a model other than the bundled one")
    parser.add_argument("--one-mm", default="", help="a network of the attribution benchmark, on a grid of 1 mm")
    parser.add_argument("--icbm", action="store_true", help="with --one-mm: the grid of ICBM 2009c, 193 x 229 x 193")
    options = parser.parse_args()
    if options.one_mm:
        print("\n".join(_one_mm(options.one_mm, options.icbm)))
        return
    model = ["--model", options.model] if options.model else []
    with tempfile.TemporaryDirectory() as folder:
        cache, out = Path(folder) / "cache", Path(folder) / "out"
        explain = ["explain", "--sample", "-o", str(out), "--json", *model]
        runs = {
            "first run, everything written": measured(explain, cache),
            "second run, preprocessing from the cache": measured(explain, cache),
            "second run, without the Slicer scene": measured([*explain, "--no-scene"], cache),
        }
        starts = sorted(measured(["--help"], cache)[0] for _ in range(5))
        steps = {name: json.loads(text)["seconds"] for name, (_, _, text) in runs.items()}
    table = "\n".join(_table(runs, steps, starts))
    print(table)
    if options.write:
        _write(table)


def _one_mm(name: str, icbm: bool) -> list[str]:
    """The table of one first run with a network whose input is a whole head at 1 mm."""
    import mri_interpret as mi

    from Testing.benchmarks.attribution_networks import network

    shape, origin = ([193, 229, 193], [-96, -132, -78]) if icbm else ([182, 218, 182], [-90, -126, -72])
    steps = [
        {"step": "mask"},
        {"step": "registration", "shape": shape, "spacing": [1, 1, 1], "origin": origin},
        {"step": "intensity", "method": "zscore"},
    ]
    with tempfile.TemporaryDirectory() as folder:
        bundle, out = Path(folder) / "bundle", Path(folder) / "out"
        mi.save_bundle(bundle, network(name), input={"preprocessing": steps}, output={"classes": ["CN", "MCI", "AD"]})
        before = os.times()
        seconds, memory, text = measured(
            ["explain", "--sample", "-o", str(out), "--json", "--model", str(bundle)], Path(folder) / "cache"
        )
        after = os.times()
    spent = json.loads(text)["seconds"]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    size = " x ".join(map(str, shape))
    lines = ["| sample scan, network, input | time | CPU | peak memory |", "|---|---|---|---|"]
    lines += [
        f"| {name}, {size}, first run, everything written | {seconds:.0f} s | {cpu:.0f} s | {memory:.1f} GB |",
        "",
    ]
    lines += ["| step | seconds |", "|---|---|"]
    lines += [f"| {step} | {value:.1f} |" for step, value in spent.items() if value >= 0.05]
    lines.append(f"| start, files, report and scene | {seconds - sum(spent.values()):.1f} |")
    return [
        *lines,
        "",
        f"Measured on {os.cpu_count()} CPU cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}.",
    ]


def _table(
    runs: dict[str, tuple[float, float, str]], steps: dict[str, dict[str, Any]], starts: list[float]
) -> list[str]:
    lines = ["| sample scan (Colin27, 1 mm) | time | peak memory |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.0f} s | {memory:.1f} GB |" for name, (seconds, memory, _) in runs.items()]
    lines.append(f"| command line until `--help` (median of {len(starts)}) | {starts[len(starts) // 2]:.2f} s | |")
    first = next(iter(steps))
    spent = steps[first]
    lines += ["", "Where the first run's time goes:", "", "| step | seconds |", "|---|---|"]
    lines += [f"| {name} | {seconds:.1f} |" for name, seconds in spent.items() if seconds >= 0.05]
    rest = runs[first][0] - sum(spent.values())
    lines.append(f"| start, files, report and scene | {rest:.1f} |")
    lines += ["", f"Measured on {os.cpu_count()} CPU cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}."]
    return lines


def _write(table: str) -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest:
        raise SystemExit(f"README.md lacks the line {BEGIN}")
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
