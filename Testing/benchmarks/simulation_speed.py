"""How long simulating takes, and the bundled kind of network: prints a Markdown table.

    python -m Testing.benchmarks.simulation_speed --threads 2 --repeats 5

The goals: one 2 mm training scan in at most 1.5 s on 2 cores, amortised over a bank of deformed anatomies from which
fresh contrasts are drawn; inference in at most 0.3 s. Minima are reported, because a shared machine only adds time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.simulation.acquisition import acquire
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.bank import load_item, pack, save_item
from mri_interpret.simulation.groups import draw_subject
from mri_interpret.simulation.head_scan import head_scan
from mri_interpret.simulation.subject import simulate_brain
from mri_interpret.simulation.template_anatomy import template_anatomy
from mri_interpret.training.fit import FitSettings, _step
from mri_interpret.training.heads import LossWeights, TrainingHeads
from mri_interpret.training.samples import labels_of

SCANS_PER_BRAIN = 12000 / 900  # of the bundled network's training


def _seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    anatomy = template_anatomy()
    fractions = fractions_of(anatomy)
    subject = draw_subject(np.random.default_rng(4), "AD")
    brain = simulate_brain(anatomy, fractions, subject, 5)
    item = pack(brain, "template", 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "item.npz"
        save_item(item, path)
        load = _seconds(lambda: load_item(path), arguments.repeats)
        size = path.stat().st_size / 1e6
    generator = torch.Generator().manual_seed(0)
    deform = _seconds(lambda: pack(simulate_brain(anatomy, fractions, subject, 5), "template", 5), arguments.repeats)
    contrast = _seconds(lambda: acquire(item, generator), arguments.repeats)
    head = _seconds(lambda: head_scan(brain.labels, 3, whole_head=True), arguments.repeats)
    network = PlainCNN3d().eval()
    image = torch.rand(1, 1, 96, 112, 96)
    with torch.no_grad():
        inference = _seconds(lambda: network(image), arguments.repeats)
    heads = TrainingHeads(PlainCNN3d())
    optimiser = torch.optim.AdamW(heads.parameters())
    settings = FitSettings(samples=4, seed=0)
    scans = [acquire(item, generator, margin=8) for _ in range(4)]
    batch = {
        "image": torch.stack([scan.image for scan in scans]),
        "targets": torch.stack([scan.targets for scan in scans]),
        **{name: torch.stack([value] * 4) for name, value in labels_of(item.facts).items()},
    }
    weights = LossWeights.at(0.5)
    step = _seconds(lambda: _step(heads, batch, optimiser, weights, settings, torch.device("cpu")), arguments.repeats)
    amortised = deform / SCANS_PER_BRAIN + load + contrast
    print(
        f"{arguments.threads} threads of {os.cpu_count()} cores, torch {torch.__version__}, "
        f"minimum of {arguments.repeats}"
    )
    print("\n| | seconds |\n|---|---|")
    print(f"| deform an anatomy to its target and pack it ({size:.1f} MB) | {deform:.2f} |")
    print(f"| load a packed brain | {load:.3f} |")
    print(f"| fresh contrast and acquisition at 2 mm | {contrast:.3f} |")
    print(f"| **one training scan, amortised over {SCANS_PER_BRAIN:.0f} scans a brain** | **{amortised:.3f}** |")
    print(f"| whole-head scan at 1 mm, as in a cohort | {head:.2f} |")
    print(f"| training step, a scan (cropped, bfloat16) | {step / 4:.3f} |")
    print(f"| **inference of the network on 96 x 112 x 96** | **{inference:.3f}** |")


if __name__ == "__main__":
    main()
