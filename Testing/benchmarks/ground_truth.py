"""The study: `mri-interpret benchmark` with the settings whose tables lie in ground_truth/. See README.md here.

    python -m Testing.benchmarks.ground_truth SEED1 SEED2 SEED3 --label-maps DIR -o results --disease stylised
    python -m Testing.benchmarks.ground_truth BUNDLE --label-maps DIR -o results     # fresh subjects, published disease

SEED1 ... are bundles of one network trained with different seeds, none of them on the anatomies 02, 08, 13, 17 of DIR.
The same call goes on after a stop; with several processes, give each its own bundle and the same folder, then all.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mri_interpret.benchmark.design import SEED, BenchmarkDesign
from mri_interpret.command_line.benchmark import benchmark_command
from mri_interpret.simulation.anatomy import DISEASES, PUBLISHED

HELD_OUT = ("02", "08", "13", "17")
STUDY = BenchmarkDesign(
    subjects=200,
    seed=SEED,
    faithfulness=24,
    random_network=12,
    randomisation=8,
    stability=8,
    slow_methods=4,
    pictured=24,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", help="bundles' folders")
    parser.add_argument("--label-maps", type=Path, required=True, help="folder with the held-out label maps")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="where simulated subjects are kept")
    parser.add_argument("--seed", type=int, default=SEED, help="of the subjects; another one gives fresh subjects")
    parser.add_argument("--disease", choices=DISEASES, default=PUBLISHED, help="of the subjects")
    parser.add_argument("--subjects", type=int, default=STUDY.subjects)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args()
    benchmark_command(
        options.output,
        options.bundles,
        replace(STUDY, seed=options.seed, subjects=options.subjects),
        label_maps=options.label_maps,
        names=HELD_OUT,
        device=options.device,
        cache=options.cache,
        disease=options.disease,
    )


if __name__ == "__main__":
    main()
