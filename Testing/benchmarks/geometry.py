"""Do training scans lie as preprocessing leaves scans? Masks, extents and centres in template space, three ways.

For each simulated subject over the named anatomies: (a) the training scan that the bank delivers, (b) its whole
head, turned and shifted in a scanner, through the product's whole preprocessing; and (c) real scans through it.
For the published disease, also how far the short cut to an alignment is from the product's own.

    python -m Testing.benchmarks.geometry LABEL_MAPS [--subjects 02 13 08 17] [--heads 3] [--disease published]
        [--keep FOLDER] [--real SCAN ...] [--rows FILE.csv]

Chosen on 02 and 13 (SDs of misalignment, envelope and volume of masks), reported on 08 and 17. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import mri_interpret as mi
import numpy as np
import torch
from mri_interpret.deformation.displacement import warp
from mri_interpret.images.volume import Affine, Volume
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.simulation.acquisition import acquire
from mri_interpret.simulation.anatomy import Anatomy, list_label_maps, read_anatomy
from mri_interpret.simulation.atrophy import Fractions
from mri_interpret.simulation.bank import pack
from mri_interpret.simulation.disease import PUBLISHED, draw, fractions_for
from mri_interpret.simulation.grids import FINE_GRID, MODEL_GRID
from mri_interpret.simulation.groups import GROUPS
from mri_interpret.simulation.head_scan import head_scan, scanner_affine
from mri_interpret.simulation.structures import BRAIN
from mri_interpret.simulation.subject import simulate_brain
from mri_interpret.simulation.template_alignment import affine_part
from mri_interpret.training.anatomies import cached_anatomy

MEASURES = ("mask ml", "R mm", "A mm", "S mm", "centre R", "centre A", "centre S", "brain ml")
TRAINING, PREPROCESSED, REAL = "training scan", "whole preprocessing", "real, whole preprocessing"


def measures(mask: np.ndarray, brain_ml: float) -> list[float]:
    """Volume, extent (percentiles 0.5 to 99.5) and centre of a mask on the model's grid, and the brain's volume."""
    places = np.argwhere(mask) * MODEL_GRID.spacing + MODEL_GRID.affine[:3, 3]
    low, high = np.percentile(places, [0.5, 99.5], axis=0)
    return [mask.sum() * 8 / 1000, *(high - low), *places.mean(0), brain_ml]


def shortcut_error_mm(found: Affine, u: torch.Tensor, fractions: Fractions) -> float:
    """Root mean square over the brain of the product's affine less the short cut's."""
    inside = warp(fractions.intracranial[None], u)[0]
    matrix = affine_part(u, inside).numpy().astype(np.float64)
    centre = FINE_GRID.affine[:3, 3] + (np.array(FINE_GRID.shape) - 1) / 2
    square = np.eye(4)
    square[:3, :3] = matrix[:, :3]
    square[:3, 3] = matrix[:, 3] + centre - matrix[:, :3] @ centre
    expected = np.linalg.inv(square)
    brain = warp(fractions.brain[None], u)[0].numpy() > 0.5
    spacing = FINE_GRID.shape[0] / brain.shape[0]
    places = np.argwhere(brain) * spacing + (spacing - 1) / 2 + FINE_GRID.affine[:3, 3]
    gap = (found - expected)[:3] @ np.c_[places, np.ones(len(places))].T
    return float(np.sqrt((gap**2).sum(0).mean()))


def rows_of(anatomy: Anatomy, fractions: Fractions, index: int, disease: str) -> list[dict[str, object]]:
    """One subject, both ways."""
    rng = np.random.default_rng([17, index, *map(ord, anatomy.name)])
    subject = draw(rng, GROUPS[index % 3], disease)
    brain_seed, scan_seed = (int(value) for value in rng.integers(2**31, size=2))
    facts = {"anatomy": anatomy.name, "group": subject.group}
    aligned = simulate_brain(anatomy, fractions, subject, brain_seed)
    scan = acquire(pack(aligned, anatomy.name, brain_seed), torch.Generator().manual_seed(scan_seed))
    volume = BRAIN[aligned.labels].sum() / 1000
    rows = [{**facts, "way": TRAINING, **dict(zip(MEASURES, measures(scan.mask.numpy(), volume), strict=True))}]
    head = simulate_brain(anatomy, fractions, subject, brain_seed, align=False)
    voxels, _ = head_scan(head.labels, scan_seed, whole_head=True, any_head=disease != PUBLISHED)
    affine = scanner_affine(anatomy.scale, scan_seed)
    done = preprocess(Volume(voxels, affine, anatomy.name), MODEL_GRID, space="native")
    found = done.to_template @ affine @ np.linalg.inv(FINE_GRID.affine)
    volume = BRAIN[head.labels].sum() / 1000 * float(np.linalg.det(found[:3, :3]))
    mask = np.asarray(done.model_mask.array) > 0
    row = {**facts, "way": PREPROCESSED, **dict(zip(MEASURES, measures(mask, volume), strict=True))}
    if disease == PUBLISHED:
        row["short cut, mm"] = shortcut_error_mm(found, head.deformation, fractions)
    return [*rows, row]


def table(rows: list[dict[str, object]]) -> str:
    """Mean and SD of each measure by way and half of the anatomies."""
    lines = [f"| | n | {' | '.join(MEASURES)} | short cut, mm |", "|---" * (len(MEASURES) + 3) + "|"]
    for key in dict.fromkeys((row["half"], row["way"]) for row in rows):
        here = [row for row in rows if (row["half"], row["way"]) == key]
        cells = []
        for measure in (*MEASURES, "short cut, mm"):
            values = np.array([row[measure] for row in here if row.get(measure) is not None], dtype=float)
            cells.append(f"{values.mean():.1f} ({values.std():.1f})" if values.size else "")
        lines.append(f"| {key[0]}: {key[1]} | {len(here)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--subjects", nargs="*", default=["02", "13", "08", "17"])
    parser.add_argument("--heads", type=int, default=3, help="per label map")
    parser.add_argument("--disease", default=PUBLISHED)
    parser.add_argument("--keep", type=Path, help="folder of registered label maps")
    parser.add_argument("--real", nargs="*", type=Path, default=[])
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for path in list_label_maps(options.label_maps):
        name = path.name.split(".")[0].split("_")[-1]
        if name not in options.subjects:
            continue
        read = cached_anatomy(path, options.keep, disease=options.disease) if options.keep else None
        anatomy = read or read_anatomy(path, options.disease)
        fractions = fractions_for(anatomy, options.disease)
        for index in range(options.heads):
            half = "02, 13" if name in ("02", "13") else "08, 17"
            rows += [{**row, "half": half} for row in rows_of(anatomy, fractions, index, options.disease)]
            print(*rows[-2:], sep="\n", flush=True)
    for path in options.real:
        done = preprocess(mi.as_volume(path), MODEL_GRID)
        found = measures(np.asarray(done.model_mask.array) > 0, float("nan"))[:-1]
        rows.append({"anatomy": path.name, "way": REAL, "half": "real", **dict(zip(MEASURES, found, strict=False))})
    if options.rows:
        with options.rows.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["half", "anatomy", "group", "way", *MEASURES, "short cut, mm"])
            writer.writeheader()
            writer.writerows(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
