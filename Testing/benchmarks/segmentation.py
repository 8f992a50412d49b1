"""How well the segmentation finds structures, through the whole path of the product: brain mask, alignment, network.

    python -m Testing.benchmarks.segmentation [--bundle FOLDER] [--real FOLDER] [--label-maps FOLDER] [--out FILE.md]

Real scans (``--real``) lie beside their segmentations as ``*_T1w.nii.gz`` and ``*_dseg.nii.gz`` with MUSE's labels.
Simulated scans are made from label maps that were kept from training (``--subjects``), one subject of each group per
map, every second as a brain without its head. ``--affine-atlas`` measures the affinely placed atlas instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mri_interpret.anatomy import freesurfer, network_segmentation
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.segmentation import DEFAULT_BUNDLE, segment
from mri_interpret.anatomy.segmentation_bundle import load_segmentation_bundle
from mri_interpret.images.reading import read_volume
from mri_interpret.images.volume import Volume, resample
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.simulation.anatomy import MODEL_GRID, choose_label_maps, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.groups import GROUPS, draw_subject
from mri_interpret.simulation.simulate import simulated_scan
from mri_interpret.simulation.structures import NAMES
from scipy import ndimage

HELD_OUT = ("02", "08", "13", "17")
REAL = "Real adults"
# MUSE's value of the right and the left structure.
MUSE = {
    "Hippocampus": (47, 48), "Amygdala": (31, 32), "Inf-Lat-Vent": (49, 50), "Lateral-Ventricle": (51, 52),
    "Thalamus": (59, 60), "Caudate": (36, 37), "Putamen": (57, 58), "Pallidum": (55, 56), "Accumbens-area": (23, 30),
    "Cerebellum-Cortex": (38, 39), "Cerebellum-White-Matter": (40, 41), "VentralDC": (61, 62),
}  # fmt: skip
MUSE_MIDLINE = {"3rd-Ventricle": 4, "4th-Ventricle": 11, "Brain-Stem": 35}
# The volume in use, and the ways to measure it: sum of probabilities, that sum near the structure, count of voxels.
WAYS = ("ml", "sum_ml", "near_ml", "counted_ml")
# The simulator's structures that a segmentation has under another name.
SAME = {"choroid-plexus": "Lateral-Ventricle", "Lesion": "Cerebral-White-Matter", "vessel": "Putamen"}


def real_scans(folder: Path) -> Iterator[tuple[str, Volume, dict[str, np.ndarray]]]:
    for path in sorted(folder.glob("*_T1w.nii.gz")):
        truth = read_volume(path.with_name(path.name.replace("_T1w", "_dseg"))).array
        masks = {
            f"{side}-{name}": truth == value
            for name, values in MUSE.items()
            for side, value in zip(("Right", "Left"), values, strict=True)
        }
        masks |= {name: truth == value for name, value in MUSE_MIDLINE.items()}
        yield path.name.split("_")[0], read_volume(path), masks


def simulated_scans(folder: Path, subjects: tuple[str, ...]) -> Iterator[tuple[str, Volume, dict[str, np.ndarray]]]:
    for number, path in enumerate(choose_label_maps(folder, subjects)):
        anatomy = read_anatomy(path)
        fractions = fractions_of(anatomy)
        for index, group in enumerate(GROUPS):
            rng = np.random.default_rng([number, index, 5])
            made = simulated_scan(
                anatomy, fractions, draw_subject(rng, group), rng,
                whole_head=(number + index) % 2 == 0, healthy_twin=False, in_template=False,
            )  # fmt: skip
            codes = np.asarray(made.labels.array)
            masks: dict[str, np.ndarray] = {}
            for code, name in enumerate(NAMES):
                side, _, plain = name.partition("-")
                name = f"{side}-{SAME[plain]}" if plain in SAME else name
                masks[name] = masks.get(name, False) | (codes == code)
            yield f"{anatomy.name} {group}", made.scan, masks


def atlas_bundle(bundle: Any) -> Any:
    """The affinely placed atlas as a bundle: a network that answers the same whatever it is shown."""
    atlas = resample(load_default_atlas().volume, bundle.grid, order=0).array.astype(np.int16)
    for cortex, base in ((freesurfer.LEFT_CORTEX, 1000), (freesurfer.RIGHT_CORTEX, 2000)):
        atlas[(atlas > base) & (atlas < base + 1000)] = cortex
    logits = torch.stack([torch.from_numpy((atlas == label) * np.float32(9)) for label in bundle.labels])[None]
    logits[0, 0] += 1e-3

    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return logits

    return dataclasses.replace(bundle, network=Constant(), hash="atlas")


class Answers:
    """Keeps the class probabilities of the last segmentation, to compare ways of measuring volumes."""

    def __init__(self) -> None:
        self._measured = network_segmentation.measured_structures
        network_segmentation.measured_structures = self

    def __call__(self, labels: Volume, probabilities: np.ndarray, bundle: Any, to_template: np.ndarray) -> Any:
        self.probabilities, self.bundle, self.to_template = probabilities, bundle, to_template
        return self._measured(labels, probabilities, bundle, to_template)

    def volumes(self) -> dict[int, tuple[float, float]]:
        """Label to ml: the sum of its probabilities, and that sum over the voxels within 2 mm of where it wins."""
        voxel_ml = self.bundle.grid.voxel_volume / abs(np.linalg.det(self.to_template[:3, :3])) / 1000
        winner = self.probabilities.argmax(0)
        found = {}
        for number, label in enumerate(self.bundle.labels):
            near = ndimage.binary_dilation(winner == number)
            own = self.probabilities[number]
            found[label] = own.sum(dtype=float) * voxel_ml, own[near].sum(dtype=float) * voxel_ml
        return found


def measure(
    name: str, scan: Volume, truth: dict[str, np.ndarray], bundle: Any, cache: PreprocessingCache, answers: Answers
) -> list[dict]:
    prepared = preprocess(scan, MODEL_GRID, cache=cache)
    begun = time.perf_counter()
    found = segment(prepared.scan, prepared.to_template, brain_mask=prepared.mask.volume, bundle=bundle)
    seconds = time.perf_counter() - begun
    rows, volumes = [], answers.volumes()
    labels, voxel_ml = found.labels.array, scan.grid.voxel_volume / 1000
    for structure in found.structures:
        expected = truth.get(structure.name)
        if expected is None or not expected.any():
            continue
        own = np.isin(labels, whole(structure.label, labels))
        both = np.count_nonzero(own) + np.count_nonzero(expected)
        rows.append(
            {
                "scan": name,
                "structure": structure.name,
                "dice": 2 * np.count_nonzero(own & expected) / both if both else np.nan,
                "covered": np.count_nonzero(own & expected) / np.count_nonzero(expected),
                "ml": structure.ml,
                "sum_ml": volumes[structure.label][0],
                "near_ml": volumes[structure.label][1],
                "counted_ml": np.count_nonzero(own) * voxel_ml,
                "truth_ml": np.count_nonzero(expected) * voxel_ml,
                "entropy": structure.entropy,
                "seconds": seconds,
            }
        )
    hippocampi = [row["dice"] for row in rows if "Hippocampus" in row["structure"]]
    print(f"{name}: hippocampus {np.mean(hippocampi):.3f}, all {np.nanmean([r['dice'] for r in rows]):.3f}", flush=True)
    return rows


def whole(label: int, labels: np.ndarray) -> list[int]:
    """The label, and for the cortex its parcels'."""
    base = {freesurfer.LEFT_CORTEX: 1000, freesurfer.RIGHT_CORTEX: 2000}.get(label)
    return [label] if base is None else [label, *range(base + 1, base + 1000)]


def table(rows: list[dict]) -> str:
    """Markdown: structures without side, means over scans and sides."""
    frame = pd.DataFrame(rows)
    frame["name"] = frame["structure"].str.replace(r"^(Left|Right)-", "", regex=True)
    lines = [
        "| structure | Dice | lowest (one scan) | of the truth covered | volume error | r of volumes "
        "| errors of sum / near / count | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, own in frame.groupby("name", sort=False):
        per_scan = own.groupby("scan")[["dice"]].mean()
        sums = own.groupby("scan")[["ml", "truth_ml"]].sum()
        errors = {key: ((own[key] - own["truth_ml"]).abs() / own["truth_ml"]).mean() for key in WAYS}
        r = sums["ml"].corr(sums["truth_ml"]) if len(sums) > 2 else np.nan
        ways = " / ".join(f"{errors[key]:.0%}" for key in WAYS[1:])
        lines.append(
            f"| {name} | {per_scan['dice'].mean():.3f} | {per_scan['dice'].min():.3f} | {own['covered'].mean():.0%} "
            f"| {errors['ml']:.1%} | {r:.3f} | {ways} | {len(per_scan)} |"
        )
    return "\n".join(lines)


def amygdala_ceiling(rows: list[dict], label_maps: Path) -> str:
    """What Dice an amygdala of FreeSurfer's size can reach with MUSE's, which is drawn smaller.

    FreeSurfer's size is the mean of the label maps whose hippocampi are no smaller than those of any of these adults.
    """
    real = pd.DataFrame(rows)
    side = real.pivot_table(index="scan", columns="structure", values="truth_ml")
    smallest = float((side["Left-Hippocampus"] + side["Right-Hippocampus"]).min())
    sizes, used = [], []
    for path in choose_label_maps(label_maps, ()):
        labels = read_volume(path)
        count = np.bincount(np.asarray(labels.array).astype(int).ravel()) * labels.grid.voxel_volume / 1000
        if count[17] + count[53] >= smallest:
            sizes += [float(count[18]), float(count[54])]
            used.append(path.name.split(".")[0])
    larger = float(np.mean(sizes))
    own = real[real["structure"].str.endswith("Amygdala")]
    ceiling = 2 * own["truth_ml"] / (own["truth_ml"] + larger)
    as_ours = ceiling * own["covered"]  # of that size, holding no more of MUSE's than ours does
    maps, ours = ", ".join(used), own[["truth_ml", "ml", "covered", "dice"]].mean()
    return (
        f"**Amygdala.** MUSE's has {ours['truth_ml']:.2f} ml (mean of {len(own)}). FreeSurfer's has {larger:.2f} ml in "
        f"{maps}, the label maps whose hippocampi are no smaller than any of these adults' ({smallest:.1f} ml). "
        f"An amygdala of FreeSurfer's mean size that holds all of MUSE's has a Dice of {ceiling.mean():.2f} with "
        f"it ({ceiling.min():.2f} to {ceiling.max():.2f}). Ours has {ours['ml']:.2f} ml, covers {ours['covered']:.0%} "
        f"of MUSE's, and has a Dice of {ours['dice']:.2f}; with FreeSurfer's mean size it would have "
        f"{as_ours.mean():.2f}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--label-maps", type=Path)
    parser.add_argument("--subjects", nargs="+", default=HELD_OUT)
    parser.add_argument("--affine-atlas", action="store_true")
    parser.add_argument("--cache", type=Path, help="where masks and alignments are kept; the user's cache if left out")
    parser.add_argument("--rows", type=Path, help="a CSV of every scan and structure")
    parser.add_argument("--out", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()

    bundle = load_segmentation_bundle(options.bundle)
    bundle = atlas_bundle(bundle) if options.affine_atlas else bundle
    cache, answers = PreprocessingCache(options.cache), Answers()
    parts, rows = [], []
    sets = [(REAL, real_scans(options.real))] if options.real else []
    if options.label_maps:
        sets.append(("Simulated scans of held-out anatomies", simulated_scans(options.label_maps, options.subjects)))
    for title, scans in sets:
        own = [row for name, scan, truth in scans for row in measure(name, scan, truth, bundle, cache, answers)]
        seconds = np.median([row["seconds"] for row in own])
        parts.append(f"## {title}\n\n{table(own)}\n\nMedian {seconds:.1f} s per scan.\n")
        if title == REAL and options.label_maps:
            parts[-1] += "\n" + amygdala_ceiling(own, options.label_maps)
        rows += own
        print(f"\n{parts[-1]}", flush=True)
    if options.rows:
        pd.DataFrame(rows).to_csv(options.rows, index=False)
    if options.out:
        options.out.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
