"""How well parcels of the cortex are found: by the atlas laid over affinely, and bent onto this brain's structures.

    python -m Testing.benchmarks.parcels [--real FOLDER] [--simulated 8] [--out Testing/benchmarks/parcels.md]

Two truths, neither of which is perfect. *Simulated*: the template's own anatomy with the atlas's parcels, deformed at
random and aged by the simulator; the truth is known, but the folding is the template's own. *Real* (``--real``): the
gyri of MUSE's protocol that have the same names; their borders are another protocol's, so no method reaches 1, but
their folding is these people's own. Segmentations are the truth's in both, so that parcels alone are measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mri_interpret.anatomy import freesurfer, parcels
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.atlas_alignment import GRID
from mri_interpret.images.reading import read_volume
from mri_interpret.images.volume import Affine, Volume, resample
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.simulation.anatomy import FINE_GRID, MODEL_GRID, Anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.groups import GROUPS, draw_subject
from mri_interpret.simulation.structures import STRUCTURES
from mri_interpret.simulation.subject import simulate_brain, warp_labels
from mri_interpret.simulation.template_anatomy import template_anatomy

WAYS = ("laid over affinely", "affine, nearest in the cortex", "bent onto the structures")
# MUSE's right-hand values (the left is one more) of the gyri that have a parcel of the same name.
GYRI = {
    "precentral": (182, 150), "postcentral": (176, 148), "precuneus": (168,), "cuneus": (114,), "pericalcarine": (108,),
    "lingual": (134,), "fusiform": (122, 160), "entorhinal": (116,), "parahippocampal": (170,), "insula": (102, 172),
    "superiortemporal": (200,), "middletemporal": (154,), "inferiortemporal": (132,), "supramarginal": (194,),
    "superiorparietal": (198,), "superiorfrontal": (190, 152), "inferiorparietal": (106,), "parsopercularis": (162,),
    "parstriangularis": (204,), "transversetemporal": (206,), "temporalpole": (202,),
}  # fmt: skip
# MUSE's right-hand value and FreeSurfer's name; the left is one more. Lobes' white matter, then all others.
MUSE = {
    "Hippocampus": 47, "Amygdala": 31, "Inf-Lat-Vent": 49, "Lateral-Ventricle": 51, "Thalamus": 59, "Caudate": 36,
    "Putamen": 57, "Pallidum": 55, "Cerebellum-Cortex": 38, "Cerebellum-White-Matter": 40, "VentralDC": 61,
}  # fmt: skip
MUSE_WHITE = (81, 83, 85, 87, 91, 93)
MUSE_MIDLINE = {4: 14, 11: 15, 35: 16}


def simulated(count: int) -> Iterator[tuple[str, Volume, Affine, dict[int, np.ndarray]]]:
    anatomy = template_anatomy()
    fractions = fractions_of(anatomy)
    labels = np.array([structure.labels[0] for structure in STRUCTURES], np.int16)
    labels[labels >= 500] = 0
    base = Volume(labels[anatomy.labels], FINE_GRID.affine)
    at_rest = parcels_by_the_affine_atlas(base, np.eye(4)).array
    known = np.unique(at_rest[at_rest > 1000])
    codes = np.zeros(3000, np.uint8)
    codes[known] = np.arange(1, len(known) + 1)
    for seed in range(count):
        rng = np.random.default_rng([seed, 3])
        brain = simulate_brain(anatomy, fractions, draw_subject(rng, GROUPS[seed % len(GROUPS)]), seed)
        moved = warp_labels(Anatomy("parcels", codes[at_rest]), brain.deformation)
        truth = {int(label): moved == number for number, label in enumerate(known, start=1)}
        yield f"simulated {seed}", Volume(labels[brain.labels], FINE_GRID.affine), np.eye(4), truth


def real(folder: Path, cache: PreprocessingCache) -> Iterator[tuple[str, Volume, Affine, dict[int, np.ndarray]]]:
    for path in sorted(folder.glob("*_T1w.nii.gz")):
        muse = np.asarray(read_volume(path.with_name(path.name.replace("_T1w", "_dseg"))).array).astype(int)
        prepared = preprocess(read_volume(path), MODEL_GRID, cache=cache)
        labels = np.zeros(muse.shape, np.int16)
        labels[(muse >= 100) & (muse % 2 == 0)] = freesurfer.RIGHT_CORTEX
        labels[(muse >= 100) & (muse % 2 == 1)] = freesurfer.LEFT_CORTEX
        for side, offset in (("Right", 0), ("Left", 1)):
            for name, value in MUSE.items():
                labels[muse == value + offset] = freesurfer.label_of(f"{side}-{name}")
            labels[np.isin(muse, np.array(MUSE_WHITE) + offset)] = freesurfer.label_of(f"{side}-Cerebral-White-Matter")
        for value, label in MUSE_MIDLINE.items():
            labels[muse == value] = label
        truth = {
            freesurfer.label_of(f"ctx-{side}-{name}"): np.isin(muse, np.array(values) + offset)
            for name, values in GYRI.items()
            for side, offset in (("rh", 0), ("lh", 1))
        }
        yield path.name.split("_")[0], Volume(labels, prepared.scan.affine), prepared.to_template, truth


def parcels_by_the_affine_atlas(labels: Volume, to_template: Affine) -> Volume:
    """What the bent atlas does, with the atlas as it is."""
    bend = parcels.atlas_to_brain
    parcels.atlas_to_brain = lambda groups: np.zeros((3, *GRID.shape), np.float32)
    try:
        return parcels.with_parcels(labels, to_template)
    finally:
        parcels.atlas_to_brain = bend


def measure(labels: Volume, to_template: Affine, truth: dict[int, np.ndarray]) -> tuple[np.ndarray, float]:
    """Dice, a row for each way and a column for each parcel; and the seconds that the last way takes."""
    laid_over = resample(load_default_atlas().volume, labels.grid, to_template, order=0).array
    nearest = parcels_by_the_affine_atlas(labels, to_template).array
    begun = time.process_time()
    bent = parcels.with_parcels(labels, to_template).array
    seconds = time.process_time() - begun
    rows = [[dice(found == label, mask) for label, mask in truth.items()] for found in (laid_over, nearest, bent)]
    return np.array(rows), seconds


def dice(a: np.ndarray, b: np.ndarray) -> float:
    both = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / both if both else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--simulated", type=int, default=8)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sets = {"simulated": simulated(options.simulated)} if options.simulated else {}
    if options.real:
        sets["real"] = real(options.real, PreprocessingCache(options.cache))
    lines = [f"| brains | {' | '.join(WAYS)} | better in | CPU s |", "|---|---|---|---|---|---|"]
    for name, brains in sets.items():
        found = []
        for subject, labels, to_template, truth in brains:
            table, seconds = measure(labels, to_template, truth)
            found.append((table, seconds))
            print(subject, np.nanmean(table, 1).round(3), f"{seconds:.1f} s", flush=True)
        tables = np.stack([table for table, _ in found])
        means = " | ".join(f"{value:.3f}" for value in np.nanmean(tables, (0, 2)))
        per_parcel = np.nanmean(tables, 0)
        better = f"{np.count_nonzero(per_parcel[2] > per_parcel[0])} of {per_parcel.shape[1]} parcels"
        seconds = np.median([seconds for _, seconds in found])
        lines.append(f"| {len(found)} {name} | {means} | {better} | {seconds:.1f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text("# Parcels of the cortex: mean Dice\n\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
