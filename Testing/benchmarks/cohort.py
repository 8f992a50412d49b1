"""Time per subject at 1 and 2 workers, peak memory, and the memory of group maps at 20 and 200 subjects.

    python -m Testing.benchmarks.cohort TABLE [--model NAME] [--space mni] [--mask none] [--subjects 6] [--native]
    python -m Testing.benchmarks.cohort --maps

The first prints a Markdown table from real runs of `mri-interpret cohort` on the first subjects of TABLE, each into a
fresh folder, nothing cached, group results included, with the load of the machine beside it. The second measures, each
in a process of its own, the peak resident memory that group maps and the test of the difference need.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def time_runs(table: Path, model: str, space: str, mask: str, subjects: int, native: bool) -> None:
    """Run the command at 1 and 2 workers and print a row for each."""
    lines = table.read_text(encoding="utf-8-sig").splitlines()[: subjects + 1]
    heads = ["Workers", "Subjects", "Wall s", "Wall s per subject", "CPU s per subject", "Peak memory of a worker"]
    print("|", " | ".join([*heads, "Load before"]), "|")
    print("|" + " --- |" * 7, flush=True)
    for workers in (1, 2):
        with tempfile.TemporaryDirectory(dir=table.parent) as folder:
            part = table.parent / f"{Path(folder).name}.tsv"
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")
            command = [sys.executable, "-m", "mri_interpret", "cohort", str(part), "-o", folder]
            command += ["--workers", str(workers), "--space", space, "--mask", mask, "--no-cache", "--no-scene"]
            command += ["--permutations", "0", "--json", *(["--model", model] if model else [])]
            command += ["--native" if native else "--no-native"]
            load, start, used = os.getloadavg()[0], time.monotonic(), _cpu_of_children()
            environment = os.environ | {"PYTHONPATH": str(ROOT / "MRIInterpret")}
            try:
                subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            finally:
                part.unlink()
            wall = time.monotonic() - start
            units = [json.loads(path.read_text()) for path in Path(folder).rglob("*_unit.json")]
            cpu = (_cpu_of_children() - used) / len(units)
            peak = max(unit["peak_memory_bytes"] for unit in units) / 2**30
            row = [workers, len(units), f"{wall:.0f}", f"{wall / len(units):.1f}", f"{cpu:.1f}"]
            print("|", " | ".join(map(str, [*row, f"{peak:.2f} GiB", f"{load:.1f}"])), "|", flush=True)


def _cpu_of_children() -> float:
    """CPU seconds of the processes that ended, with their own: the command, its scheduler and its workers."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def maps_of(subjects: int) -> None:
    """Group maps and difference of random maps on the model's grid; prints the growth of peak memory in MiB."""
    import numpy as np
    from mri_interpret.cohort.group_difference import permutation_difference
    from mri_interpret.cohort.group_maps import group_maps, memberships
    from mri_interpret.images.volume import Grid
    from nilearn.mass_univariate import permuted_ols

    grid = Grid((96, 112, 96), np.diag([2.0, 2, 2, 1]))
    inside = np.zeros(grid.shape, dtype=bool)
    inside[16:80, 16:96, 20:70] = True
    half = subjects // 2
    members = memberships(["CN"] * half + ["AD"] * half, ["AD"] * subjects, ("CN", "MCI", "AD"))

    def read(index: int) -> np.ndarray:
        return np.random.default_rng(index).random(int(inside.sum()), dtype=np.float32)

    rng = np.random.default_rng(0)  # what nilearn loads when first used is not the maps'
    permuted_ols(rng.random((8, 1)), rng.random((8, 10)), n_perm=5, output_type="dict")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        group_maps(read, members, subjects, Path(folder))
        after_maps = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        first, second = list(range(half)), list(range(half, subjects))
        permutation_difference(read, first, second, inside, grid, Path(folder), permutations=20)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"| {subjects} | {(after_maps - before) / 1024:.0f} | {(after - before) / 1024:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--model", default="")
    parser.add_argument("--space", default="auto")
    parser.add_argument("--mask", default="auto")
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--native", action="store_true", help="maps on each scan's grid too")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--maps-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.maps_of:
        maps_of(options.maps_of)
    elif options.maps:
        print("| Subjects | Group maps: MiB more | With the test: MiB more |\n| --- | --- | --- |", flush=True)
        for subjects in (20, 200):
            subprocess.run([sys.executable, "-m", "Testing.benchmarks.cohort", "--maps-of", str(subjects)], check=True)
    elif options.table:
        time_runs(options.table.resolve(), options.model, options.space, options.mask, options.subjects, options.native)
    else:
        parser.error("give a table, or --maps")


if __name__ == "__main__":
    main()
