"""Known-signal tasks: networks whose answer is a structure's volume by construction, and where each map puts its mass.

    python -m Testing.benchmarks.known_signal --label-maps DIR --out rows.csv
    python -m Testing.benchmarks.known_signal --tables Testing/benchmarks/known_signal/rows.csv

A trained network may answer rightly for a wrong reason, so that a map is blamed for what the network does. Here nothing
is trained: the network averages 3 x 3 x 3 voxels at every second one, counts by a soft threshold what lies on one side
of an intensity, and adds that up inside a fixed window around the structure. (Siegel et al. 2025, arXiv 2508.02560,
train networks on tasks whose signal is known, on unaltered scans; that takes a training for each.) Two tasks: dark
fluid in a window around the ventricles, and bright tissue in the hippocampi. The answer follows the volume (the table
has the correlation), and every other place is without influence.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.gradient import IntegratedGradients, SmoothGrad
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.benchmark.simulated_subjects import GROUPS, SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.checks.localisation import localise
from mri_interpret.metrics.bootstrap import mean_estimate
from mri_interpret.metrics.similarity import correlation
from mri_interpret.simulation.anatomy import MODEL_GRID, choose_label_maps, read_anatomy
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

ANATOMIES = ("02", "13", "08", "17")
SEED = 20261127
TASKS = ("ventricles", "hippocampi")
METHODS: tuple[Any, ...] = (
    "gradient",
    SmoothGrad(samples=32),
    "gradient_x_input",
    IntegratedGradients(steps=32),
    "lrp",
    LRP(composite="epsilon"),
    "guided_backprop",
    "grad_cam",
    "grad_cam_pp",
    "hires_cam",
    "volume_gradient",
    "edges",
)


class StructureVolume(nn.Module):
    """How much of a window is darker (or brighter) than an intensity, in voxels of the input.

    Parameters
    ----------
    window
        (I, J, K), even sizes: where it counts.
    dark, bright
        Intensities that count nothing and all (``dark`` < ``bright``), or all and nothing for ``counts_dark``.
    counts_dark
        Whether what is dark counts.
    """

    def __init__(self, window: NDArray[np.bool_], dark: float, bright: float, counts_dark: bool) -> None:
        super().__init__()
        self.mean = nn.Conv3d(1, 1, 3, stride=2, padding=1, bias=False)
        self.ramps = nn.Conv3d(1, 2, 1)
        self.difference = nn.Conv3d(2, 1, 1, bias=False)
        # Each value of the coarse grid stands for eight voxels, of which the window may hold some.
        held = torch.nn.functional.avg_pool3d(torch.as_tensor(window.astype(np.float32))[None, None], 2) * 8
        self.count = nn.Linear(held.numel(), 1, bias=False)
        slope = (-1.0 if counts_dark else 1.0) / (bright - dark)
        # A ramp from 0 to 1: the difference of two ramps without end, the second one of which begins where it is 1.
        start, end = (bright, dark) if counts_dark else (dark, bright)
        with torch.no_grad():
            self.mean.weight.fill_(1 / 27)
            self.ramps.weight.copy_(torch.full((2, 1, 1, 1, 1), slope))
            self.ramps.bias.copy_(torch.tensor([-slope * start, -slope * end]))
            self.difference.weight.copy_(torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1, 1))
            self.count.weight.copy_(held.flatten()[None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        share = self.difference(torch.relu(self.ramps(self.mean(x))))
        return self.count(share.flatten(1))


def task(name: str, given: SimulatedSubject) -> tuple[StructureVolume, NDArray[np.bool_], float]:
    """The network of one task for one subject's contrast, the structure's voxels, and its volume in voxels."""
    shares, scan = given.shares, given.image[0, 0].numpy()
    fluid = shares["lateral ventricle"] + shares["inferior lateral ventricle"]
    tissue = given.mask & (shares["fluid"] < 0.1)
    dark, bright = float(scan[fluid > 0.9].mean()), float(scan[tissue].mean())
    share = fluid if name == "ventricles" else shares["hippocampus"]
    structure = np.asarray(share >= 0.5)
    window = ndimage.binary_dilation(structure, iterations=2) if name == "ventricles" else structure
    return StructureVolume(window, dark, bright, name == "ventricles").eval(), structure, float(share.sum())


def measured(given: SimulatedSubject) -> list[dict[str, Any]]:
    """Of each task and method: the mass in the structure, and within a voxel of it, as shares and times chance."""
    rows = []
    for name in TASKS:
        network, structure, volume = task(name, given)
        with torch.inference_mode():
            answer = float(network(given.image))
        found = Explainer(network).explain(
            given.image,
            target=[1.0],
            methods=list(METHODS),
            brain_mask=torch.as_tensor(given.mask),
            spacing=MODEL_GRID.spacing.tolist(),
        )
        near = ndimage.binary_dilation(structure)
        for method, one in found.items():
            size = np.abs(one.map[0].numpy())
            exact, wide = (localise(size, where, given.mask) for where in (structure, near))
            rows.append(
                {
                    "task": name, "subject": given.name, "anatomy": given.anatomy, "answer": answer, "volume": volume,
                    "method": method, "mass": exact.mass, "near": wide.mass, "rank": exact.rank,
                    "times chance": exact.mass / exact.chance,
                }
            )  # fmt: skip
    return rows


def tables(rows: pd.DataFrame) -> str:
    """A table for each task, the method with most mass first; means over subjects with 95 % bootstrap intervals."""
    lines = []
    for name, part in rows.groupby("task", sort=False):
        answers = part.drop_duplicates("subject")
        r = correlation(answers["answer"], answers["volume"])
        lines += [
            "",
            f"**{name}**, {len(answers)} subjects; the answer's correlation with the volume: {r:.2f}",
            "",
            "| map | mass in the structure | within a voxel | rank accuracy | times chance |",
            "|---|---|---|---|---|",
        ]
        means = part.groupby("method")["mass"].mean().sort_values(ascending=False)
        for method in means.index:
            own = part[part["method"] == method]
            cells = [_cell(own[measure]) for measure in ("mass", "near", "rank", "times chance")]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: pd.Series) -> str:
    known = values.dropna()
    if not len(known):
        return "no relevance"
    digits = 2 if known.abs().max() <= 1 else 1
    mean = mean_estimate(known)
    return f"{mean.value:.{digits}f} [{mean.low:.{digits}f}, {mean.high:.{digits}f}]"


def measure(label_maps: Path, out: Path, subjects: int, names: Sequence[str] = ANATOMIES) -> None:
    """Subjects one by one, kept in the file as they come; a run that was stopped goes on."""
    anatomies = [read_anatomy(path) for path in choose_label_maps(label_maps, list(names))]
    stream = SubjectStream(anatomies, SEED)
    rows = pd.read_csv(out) if out.exists() else pd.DataFrame()
    known = set(rows["subject"]) if len(rows) else set()
    for number in range(subjects):
        # Another group and another anatomy each time: three groups, four anatomies.
        index = len(GROUPS) * number + number % len(GROUPS)
        given = stream[index]
        if given.name in known:
            continue
        rows = pd.concat([rows, pd.DataFrame(measured(given))], ignore_index=True)
        rows.to_csv(out, index=False)
        print(given.name, given.anatomy, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--tables", type=Path, help="print the tables of a file of rows")
    options = parser.parse_args()
    if options.tables:
        print(tables(pd.read_csv(options.tables)))
        return
    measure(options.label_maps, options.out, options.subjects)


if __name__ == "__main__":
    main()
