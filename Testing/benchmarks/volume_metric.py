"""Which changes of volume should be cheap for a counterfactual: metrics on simulated twins.

    python -m Testing.benchmarks.volume_metric --labels DIR [--folder DIR] [--subjects 4]

A simulated AD subject has a healthy twin, so the change of volume that would heal it is known. For each metric, the
direction of the first step that the counterfactual takes (AD - CN, the network that ships) is compared with it: the
metric is chosen on the anatomies 02 and 13, and reported on 08 and 17. One gradient per subject serves all metrics.
DIR (--labels) holds labels_02.nii.gz and so on; --folder keeps the subjects. The table goes to volume_metric.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mri_interpret.atomic import write_text
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.gradient import Gradient
from mri_interpret.benchmark.simulated_subjects import strong_effect
from mri_interpret.deformation.displacement import log_jacobian, resized
from mri_interpret.deformation.giving import Giving
from mri_interpret.deformation.head import Head, head_of
from mri_interpret.deformation.metric import Metric
from mri_interpret.models.registry import find_model
from mri_interpret.simulation.acquisition import AcquisitionRange, acquire
from mri_interpret.simulation.anatomy import MODEL_GRID, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.bank import pack
from mri_interpret.simulation.groups import draw_subject
from mri_interpret.simulation.structures import member
from mri_interpret.simulation.subject import simulate_brain
from torch import Tensor

SEED = 555
HALVES = {"choosing": ("02", "13"), "reporting": ("08", "17")}
STRUCTURES = {
    "hip": ("Hippocampus",),
    "amy": ("Amygdala",),
    "ilv": ("Inf-Lat-Vent",),
    "lv": ("Lateral-Ventricle", "choroid-plexus"),
}
FLUID = ("CSF", "Ventricle", "choroid-plexus", "Inf-Lat-Vent")
OUT = Path(__file__).with_suffix(".md")


def metrics() -> dict[str, Callable[[Head, Tensor], Metric]]:
    """By title: one kind of matter; tissue and fluid apart; and fluid (and a little tissue) giving what others take."""

    def one(sigma: float) -> Callable[[Head, Tensor], Metric]:
        return lambda head, _fluid: Metric(head.inside[None], None, sigma, head.box)

    def two(sigma: float) -> Callable[[Head, Tensor], Metric]:
        return lambda head, fluid: Metric(_kinds(head, fluid), None, sigma, head.box)

    def giving(sigma: float, tissue: float, reach: float) -> Callable[[Head, Tensor], Metric]:
        def made(head: Head, fluid: Tensor) -> Metric:
            weights = fluid * head.inside + tissue * head.inside
            return Metric(_kinds(head, fluid), Giving(weights, head.box, reach), sigma, head.box)

        return made

    return {
        **{f"one kind of matter, {sigma:g} mm": one(sigma) for sigma in (6, 4)},
        **{f"tissue and fluid apart, {sigma:g} mm": two(sigma) for sigma in (6, 4)},
        **{f"apart and giving (tissue 0.12, 12 mm), {sigma:g} mm": giving(sigma, 0.12, 12) for sigma in (6, 5, 4, 3)},
        "apart and giving (tissue 0.05, 12 mm), 5 mm": giving(5, 0.05, 12),
        "apart and giving (tissue 0.12, 8 mm), 4 mm": giving(4, 0.12, 8),
        "apart and giving (tissue 0.12, 6 mm), 6 mm": giving(6, 0.12, 6),
        **{f"apart and giving (fluid alone, {reach:g} mm), 6 mm": giving(6, 0.0, reach) for reach in (12, 6)},
    }


def _kinds(head: Head, fluid: Tensor) -> Tensor:
    wet = fluid * head.inside
    return torch.stack((head.inside - wet, wet))


def twins(labels: Path, name: str, number: int, folder: Path | None) -> dict[str, np.ndarray]:
    """An AD subject's scan and its healthy twin's, mask, effect and structures, and their volumes in both."""
    path = folder / f"{name}_{number}.npz" if folder else None
    if path is not None and path.exists():
        with np.load(path) as stored:
            return {key: stored[key] for key in stored.files}
    anatomy = read_anatomy(labels / f"labels_{name}.nii.gz")
    rng = np.random.default_rng([SEED, int(name), number])
    subject, seed = draw_subject(rng, "AD"), int(rng.integers(2**31))
    brain = simulate_brain(anatomy, fractions_of(anatomy), subject, seed, with_healthy=True)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    ranges = AcquisitionRange(shift_mm=0.0, angle_deg=0.0, scale=0.0, flip=0.0)
    begin = generator.get_state()
    scan = acquire(pack(brain, anatomy.name, seed), generator, ranges)
    assert brain.healthy_labels is not None
    generator.set_state(begin)  # the same contrast, bias and noise
    well = acquire(pack(replace(brain, labels=brain.healthy_labels), anatomy.name, seed), generator, ranges)
    tables = {key: member(*names) for key, names in STRUCTURES.items()}
    volumes = [
        [float(table[codes].sum()) for codes in (brain.labels, brain.healthy_labels)] for table in tables.values()
    ]
    found = {
        "sick": scan.image[0].numpy(),
        "well": well.image[0].numpy(),
        "mask": scan.mask.numpy(),
        "effect": resized(brain.effect[None], MODEL_GRID.shape)[0].numpy(),
        "vols": np.array(volumes),
        **{key: _share(table, brain.labels) for key, table in (tables | {"fluid": member(*FLUID)}).items()},
    }
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **found)
    return found


def _share(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    i, j, k = MODEL_GRID.shape
    return table[labels].reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5)).astype(np.float16)


def compared(found: dict[str, np.ndarray], explainer: Explainer, target: list[float]) -> list[list[float]]:
    """For each metric: times chance, correlation with what heals, log-volumes of structures and their errors.

    The direction has no length, so it is scaled until the hippocampus changes as it should.
    """
    mask = found["mask"]
    head = head_of(torch.from_numpy(mask), MODEL_GRID.spacing.tolist())
    scan = torch.from_numpy(found["sick"])[None]
    gradient = explainer.explain(scan[None], target, Gradient())["gradient"].map
    by_volume = head.step_gradient(scan, gradient)
    heals, truth = -found["effect"], strong_effect(found["effect"], mask)
    right = np.log(found["vols"][:, 1] / found["vols"][:, 0])
    fluid = torch.from_numpy(found["fluid"].astype(np.float32))
    rows = []
    for metric in metrics().values():
        change = -metric(head, fluid).direction(by_volume)
        made = -log_jacobian(head.displacement(0.02 * change / change.abs().max()), head.box).numpy()
        size = np.abs(made) * mask
        chance = size[truth].sum() / size.sum() * mask.sum() / truth.sum()
        shares = [found[key].astype(np.float32) for key in STRUCTURES]
        volumes = np.array([(made * share).sum() / share.sum() for share in shares])
        volumes *= right[0] / volumes[0]
        rows.append([chance, np.corrcoef(made[mask], heals[mask])[0, 1], *volumes[1:], *np.abs(volumes - right)[1:]])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--subjects", type=int, default=4, help="of each anatomy")
    options = parser.parse_args()
    bundle = find_model("atrophy_cnn")
    explainer = Explainer(bundle.network)
    classes = bundle.metadata.classes
    target = [float(name == "AD") - float(name == "CN") for name in classes]
    lines = []
    for half, names in HALVES.items():
        subjects = [
            twins(options.labels, name, number, options.folder) for name in names for number in range(options.subjects)
        ]
        rows = np.array([compared(one, explainer, target) for one in subjects])
        right = np.mean([np.log(one["vols"][:, 1] / one["vols"][:, 0]) for one in subjects], 0)
        lines += [
            f"\n## {half.capitalize()} half: anatomies {' and '.join(names)}, {len(subjects)} AD subjects\n",
            f"Truth (mean log-volume): hippocampus {right[0]:+.2f}, amygdala {right[1]:+.2f}, inferior horn "
            f"{right[2]:+.2f}, lateral ventricle {right[3]:+.2f}.\n",
            "| metric | times chance | r with what heals | amygdala | inferior horn | lateral ventricle | error of the "
            "inferior horn |",
            "|---|---|---|---|---|---|---|",
        ]
        for title, mean in zip(metrics(), rows.mean(0), strict=True):
            chance, r, amygdala, horn, ventricle, _, error, _ = mean
            lines.append(
                f"| {title} | {chance:.1f} | {r:.3f} | {amygdala:+.2f} | {horn:+.2f} | {ventricle:+.2f} | {error:.2f} |"
            )
    print("\n".join(lines))
    intro = OUT.read_text(encoding="utf-8").split("\n## ")[0].rstrip() if OUT.exists() else "# The metric of volumes"
    write_text(OUT, "\n".join([intro, *lines, ""]))


if __name__ == "__main__":
    main()
