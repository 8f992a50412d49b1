"""Does the segmentation say where it is unsure? Scans that are good, and scans that nobody should segment.

    python -m Testing.benchmarks.segmentation_uncertainty LABEL_MAPS [--bundle FOLDER] [--out FILE.md]

Simulated scans of held-out anatomies, as they are and made bad in five ways. For every structure of every scan: the
mean entropy, and whether the structure was found (Dice with the truth from 0.6 on). The threshold is the one that tells
found from missed structures best (Youden's index) on the first half of the anatomies; the table is of the other half.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.anatomy.segmentation import DEFAULT_BUNDLE, segment
from mri_interpret.anatomy.segmentation_bundle import load_segmentation_bundle
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.simulation.anatomy import choose_label_maps, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.groups import GROUPS, draw_subject
from mri_interpret.simulation.head_scan import head_scan
from mri_interpret.simulation.simulate import SimulatedScan, simulated_scan
from mri_interpret.simulation.structures import NAMES, code_of_label, member
from mri_interpret.thresholds import UNSURE_ENTROPY
from scipy import ndimage

from Testing.benchmarks.segmentation import HELD_OUT, SAME

FOUND = 0.6
CONDITIONS = ("as it is", "6 mm slices", "half of the brain", "lesion in a hemisphere", "no ventricles", "much noise")


def scan_of(made: SimulatedScan, condition: str, rng: np.random.Generator) -> tuple[Volume, np.ndarray]:
    """The scan, and the truth as codes; what cannot be seen has the code 0."""
    scan, codes = made.scan, np.asarray(made.labels.array)
    voxels = np.array(scan.array, np.float32)
    right = np.arange(scan.shape[0])[:, None, None] >= scan.shape[0] // 2
    if condition == "6 mm slices":
        axis = int(rng.integers(3))
        thick = ndimage.uniform_filter1d(voxels, 6, axis)
        step = np.ones(3, int)
        step[axis] = 6
        affine = scan.affine @ np.diag([*step, 1.0])
        shape = tuple(-(-n // int(s)) for n, s in zip(scan.shape, step, strict=True))
        coarse = resample(scan.with_array(thick), Grid(shape, affine))  # type: ignore[arg-type]
        back = resample(made.labels, coarse.grid, order=0)
        return coarse, np.asarray(back.array)
    if condition == "half of the brain":
        return scan.with_array(np.where(right, 0, voxels)), np.where(right, 0, codes)
    if condition == "lesion in a hemisphere":
        inside = right & (codes > 0) & member(*_CEREBRUM)[codes]
        core = ndimage.binary_opening(ndimage.binary_closing(inside, iterations=4), iterations=8)
        dark = np.percentile(voxels[member("Lateral-Ventricle")[codes]], 50)
        filled = np.where(core, dark + rng.normal(0, 0.05 * dark + 1, voxels.shape), voxels)
        return scan.with_array(filled.astype(np.float32)), np.where(core, 0, codes)
    if condition == "no ventricles":
        white = code_of_label()[np.array([2, 41])]
        fluid = member("Lateral-Ventricle", "Inf-Lat-Vent", "3rd-Ventricle", "choroid-plexus")[codes]
        filled = np.where(fluid, np.where(right, white[1], white[0]), codes).astype(np.uint8)
        return scan.with_array(head_scan(filled, made.seed % 1000, whole_head=True)[0]), filled
    if condition == "much noise":
        top = np.percentile(voxels[codes > 0], 99)
        return scan.with_array(np.abs(voxels + rng.normal(0, 0.35 * top, voxels.shape)).astype(np.float32)), codes
    return scan, codes


_CEREBRUM = (
    "Cerebral-White-Matter", "Cerebral-Cortex", "Thalamus", "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala",
    "Lateral-Ventricle", "Inf-Lat-Vent", "Accumbens-area", "VentralDC", "choroid-plexus",
)  # fmt: skip


def rows_of(name: str, condition: str, scan: Volume, codes: np.ndarray, to_template: np.ndarray, bundle) -> list[dict]:
    found = segment(scan, to_template, bundle=bundle)
    rows = []
    for structure in found.structures:
        side, _, plain = structure.name.partition("-")
        own_codes = [
            code
            for code, other in enumerate(NAMES)
            if other == structure.name or f"{side}-{SAME.get(other.partition('-')[2], '')}" == structure.name
        ]
        if not own_codes or plain.endswith(("Cortex", "White-Matter")) or structure.name == "CSF":
            continue
        truth, own = np.isin(codes, own_codes), found.labels.array == structure.label
        both = np.count_nonzero(truth) + np.count_nonzero(own)
        rows.append(
            {
                "anatomy": name,
                "condition": condition,
                "structure": structure.name,
                "entropy": 1.0 if np.isnan(structure.entropy) else structure.entropy,
                "dice": 2 * np.count_nonzero(truth & own) / both if both else 1.0,
                "nothing there": not truth.any() and not own.any(),
            }
        )
    return rows


def best_threshold(frame: pd.DataFrame) -> float:
    """The entropy that tells found from missed structures best."""
    values = np.unique(frame["entropy"].round(3))
    missed = frame["dice"] < FOUND
    index = [((frame["entropy"] >= v) & missed).sum() / max(missed.sum(), 1)
             - ((frame["entropy"] >= v) & ~missed).sum() / max((~missed).sum(), 1) for v in values]  # fmt: skip
    return float(values[int(np.argmax(index))])


def table(frame: pd.DataFrame, threshold: float) -> str:
    lines = [
        "| scan | median entropy | Dice | structures missed | of these called unsure | of those found called unsure |",
        "|---|---|---|---|---|---|",
    ]
    for condition in CONDITIONS:
        own = frame[frame["condition"] == condition]
        missed = own[own["dice"] < FOUND]
        good = own[own["dice"] >= FOUND]
        called = [f"{(part['entropy'] >= threshold).mean():.0%}" if len(part) else "-" for part in (missed, good)]
        lines.append(
            f"| {condition} | {own['entropy'].median():.3f} | {own['dice'].mean():.2f} | {len(missed) / len(own):.0%} "
            f"| {called[0]} | {called[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--subjects", nargs="+", default=HELD_OUT)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    bundle = load_segmentation_bundle(options.bundle)
    rows: list[dict] = []
    for number, path in enumerate(choose_label_maps(options.label_maps, options.subjects)):
        anatomy = read_anatomy(path)
        rng = np.random.default_rng([number, 8])
        subject = draw_subject(rng, GROUPS[number % len(GROUPS)])
        made = simulated_scan(
            anatomy, fractions_of(anatomy), subject, rng, whole_head=True, healthy_twin=False, in_template=True
        )
        for condition in CONDITIONS:
            scan, codes = scan_of(made, condition, rng)
            rows += rows_of(anatomy.name, condition, scan, codes, np.eye(4), bundle)
            print(anatomy.name, condition, f"{np.mean([r['dice'] for r in rows[-20:]]):.2f}", flush=True)
    frame = pd.DataFrame(rows)
    if options.rows:
        frame.to_csv(options.rows, index=False)
    names = list(dict.fromkeys(frame["anatomy"]))
    first = frame["anatomy"].isin(names[: len(names) // 2])
    chosen = best_threshold(frame[first])
    text = (
        f"Best threshold on {', '.join(names[: len(names) // 2])}: {chosen:.3f}; in use: {UNSURE_ENTROPY:g}.\n\n"
        f"On {', '.join(names[len(names) // 2 :])}, with the one in use:\n\n{table(frame[~first], UNSURE_ENTROPY)}\n"
    )
    print(text)
    if options.out:
        options.out.write_text("# Where the segmentation is unsure\n\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
