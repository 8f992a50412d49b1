"""Does the segmentation say where it is unsure? Scans that are good, and scans that nobody should segment.

    python -m Testing.benchmarks.segmentation_uncertainty LABEL_MAPS [--bundle FOLDER] [--out FILE.md] [--write]

Simulated scans of held-out anatomies, as they are and made bad in five ways. For every structure of every scan: the
mean entropy, and whether the structure was found (Dice with the truth from 0.6 on). A structure is unsure from a
multiple of its median entropy in good scans on; the multiple is the one that tells found from missed structures best
(Youden's index) on the first half of the anatomies, and the table is of the other half. ``--write`` puts each
structure's threshold into the bundle's metadata.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.anatomy.segmentation import DEFAULT_BUNDLE, Structure, segment
from mri_interpret.anatomy.segmentation_bundle import SegmentationBundle, load_segmentation_bundle
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.simulation.anatomy import brain_envelope, choose_label_maps, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.groups import GROUPS, draw_subject
from mri_interpret.simulation.head_scan import head_scan
from mri_interpret.simulation.simulate import SimulatedScan, simulated_scan
from mri_interpret.simulation.structures import NAMES, code_of_label, member
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


def rows_of(name: str, condition: str, scan: Volume, codes: np.ndarray, bundle: SegmentationBundle) -> list[dict]:
    """A row for each structure, with its Dice where the simulator knows the structure."""
    mask = Volume(brain_envelope(codes, scan.grid.spacing).astype(np.uint8), scan.affine)
    found = segment(scan, np.eye(4), brain_mask=mask, bundle=bundle)
    return [
        {
            "anatomy": name,
            "condition": condition,
            "structure": structure.name,
            "entropy": 1.0 if np.isnan(structure.entropy) else structure.entropy,
            "dice": dice_with_truth(structure, found.labels.array, codes),
        }
        for structure in found.structures
    ]


def dice_with_truth(structure: Structure, labels: np.ndarray, codes: np.ndarray) -> float:
    """NaN for structures that are not judged: parcels, cortex, white matter, fluid; or that are not there, rightly."""
    side, _, _ = structure.name.partition("-")
    own_codes = [
        code
        for code, other in enumerate(NAMES)
        if other == structure.name or f"{side}-{SAME.get(other.partition('-')[2], '')}" == structure.name
    ]
    if not own_codes or structure.name.endswith(("Cortex", "White-Matter", "CSF")):
        return np.nan
    truth, own = np.isin(codes, own_codes), labels == structure.label
    both = np.count_nonzero(truth) + np.count_nonzero(own)
    return 2 * np.count_nonzero(truth & own) / both if both else np.nan


def best_multiple(frame: pd.DataFrame) -> float:
    """The multiple of the typical entropy that tells found from missed structures best."""
    judged = frame.dropna(subset="dice")
    missed = judged["dice"] < FOUND
    values = np.arange(1.02, 3.0, 0.02)
    index = [(judged["ratio"] >= value)[missed].mean() - (judged["ratio"] >= value)[~missed].mean() for value in values]
    return float(values[int(np.nanargmax(index))])


def table(frame: pd.DataFrame, multiple: float) -> str:
    lines = [
        "| scan | entropy over the typical one | Dice | structures missed | of these unsure | of those found unsure |",
        "|---|---|---|---|---|---|",
    ]
    for condition in CONDITIONS:
        own = frame[frame["condition"] == condition].dropna(subset="dice")
        missed, good = own[own["dice"] < FOUND], own[own["dice"] >= FOUND]
        called = [f"{(part['ratio'] >= multiple).mean():.0%}" if len(part) else "-" for part in (missed, good)]
        lines.append(
            f"| {condition} | {own['ratio'].median():.2f} | {own['dice'].mean():.2f} | {len(missed) / len(own):.0%} "
            f"| {called[0]} | {called[1]} |"
        )
    return "\n".join(lines)


def write_thresholds(bundle: SegmentationBundle, typical: pd.Series, multiple: float) -> None:
    path = bundle.path / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    thresholds = {str(name): round(min(1.0, value * multiple), 4) for name, value in typical.items() if value > 0}
    metadata["mri_interpret"]["unsure_entropy"] = thresholds
    path.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--subjects", nargs="+", default=HELD_OUT)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", action="store_true", help="put the thresholds into the bundle's metadata")
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
            found = rows_of(anatomy.name, condition, scan, codes, bundle)
            rows += found
            print(anatomy.name, condition, f"{np.nanmean([row['dice'] for row in found]):.2f}", flush=True)
    frame = pd.DataFrame(rows)
    # Both sides of a structure share what is typical of it.
    frame["plain"] = frame["structure"].str.replace(r"^(Left|Right|ctx-[lr]h)-", "", regex=True)
    typical = frame[frame["condition"] == CONDITIONS[0]].groupby("plain")["entropy"].median()
    frame["ratio"] = frame["entropy"] / frame["plain"].map(typical)
    if options.rows:
        frame.to_csv(options.rows, index=False)
    names = list(dict.fromkeys(frame["anatomy"]))
    first = frame["anatomy"].isin(names[: len(names) // 2])
    multiple = best_multiple(frame[first])
    text = (
        f"Best multiple on {', '.join(names[: len(names) // 2])}: {multiple:.2f} times the typical entropy.\n\n"
        f"On {', '.join(names[len(names) // 2 :])}:\n\n{table(frame[~first], multiple)}\n"
    )
    print(text)
    if options.out:
        options.out.write_text("# Where the segmentation is unsure\n\n" + text, encoding="utf-8")
    if options.write:
        by_name = frame.drop_duplicates("structure").set_index("structure")["plain"].map(typical)
        write_thresholds(bundle, by_name, multiple)


if __name__ == "__main__":
    main()
