"""Is the intracranial volume right? The segmentation against the truth, by how much of the scan the network is shown.

    python -m Testing.benchmarks.intracranial LABEL_MAPS [--real FOLDER] [--heads 2] [--rows FILE.csv] [--out FILE.md]

Simulated heads as users have them (:mod:`.user_heads`) over anatomies that were kept from training, once with their
true outline as the brain mask, which is tight, and once with deepbet's, which is wide on them: their skull is as bright
as brain. The network is shown what lies within some millimetres of the mask; how many is chosen on the ``--choose``
anatomies by the mean absolute error over both masks. ``--real`` names scans with MUSE's segmentations; all of MUSE's
labels together are the skull's inside. They choose nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.anatomy.measured_structures import intracranial_ml
from mri_interpret.anatomy.network_segmentation import AROUND_MM, class_probabilities, network_input
from mri_interpret.anatomy.segmentation import DEFAULT_BUNDLE
from mri_interpret.anatomy.segmentation_bundle import SegmentationBundle, load_segmentation_bundle
from mri_interpret.images.reading import read_volume
from mri_interpret.images.volume import Affine, Volume, resample
from mri_interpret.preprocessing.brain_mask import find_brain_mask
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import MODEL_GRID, choose_label_maps, is_called, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.structures import INTRACRANIAL
from mri_interpret.training.anatomies import cached_anatomy

from Testing.benchmarks.segmentation import HELD_OUT
from Testing.benchmarks.segmentation_uncertainty import codes_of
from Testing.benchmarks.user_heads import RESOLUTIONS, user_head

MARGINS = (2.0, 4.0, 6.0)  # mm
OUTLINE, DEEPBET = "true outline", "deepbet"
JUDGED = (17, 53, 18, 54, 10, 49, 11, 50, 12, 51, 4, 43)


def rows_of(
    about: dict, scan: Volume, to_template: Affine, mask: Volume, truth_ml: float, codes: Volume | None,
    bundle: SegmentationBundle,
) -> list[dict]:  # fmt: skip
    """A row per margin: intracranial volume over the truth, less 1; and the mean Dice of deep structures."""
    rows = []
    mask_ml = np.count_nonzero(mask.array) * mask.grid.voxel_volume / 1000
    for margin in MARGINS:
        image = network_input(scan, to_template, bundle, mask, around_mm=margin)
        probabilities = class_probabilities(bundle, image, "cpu", silent)
        error = intracranial_ml(probabilities, bundle, to_template) / truth_ml - 1
        row = about | {"margin": margin, "error": error, "mask": mask_ml / truth_ml - 1, "dice": np.nan}
        if codes is not None:
            winner = np.array(bundle.labels)[probabilities.argmax(0)]
            truth = resample(codes, bundle.grid, np.linalg.inv(to_template), order=0).array
            row["dice"] = float(np.mean([dice(winner == label, np.isin(truth, codes_of(label))) for label in JUDGED]))
        rows.append(row)
    return rows


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


def table(frame: pd.DataFrame) -> str:
    """Markdown: per mask and margin, errors in per cent."""
    lines = [
        "| heads | mask | its volume | shown around it | intracranial volume, error | lowest to highest | Dice | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (group, kind, margin), own in frame.groupby(["group", "kind", "margin"], sort=False):
        lines.append(
            f"| {group} | {kind} | {own['mask'].mean():+.1%} | {margin:g} mm | {own['error'].mean():+.1%} "
            f"| {own['error'].min():+.1%} to {own['error'].max():+.1%} "
            f"| {'-' if own['dice'].isna().all() else format(own['dice'].mean(), '.3f')} | {len(own)} |"
        )
    return "\n".join(lines)


def best_margin(frame: pd.DataFrame) -> float:
    """Of the simulated heads given, the margin with the smallest mean absolute error over both masks."""
    return float(frame.assign(size=frame["error"].abs()).groupby("margin")["size"].mean().idxmin())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--heads", type=int, default=2, help="per anatomy")
    parser.add_argument("--choose", nargs="+", default=["02", "13"])
    parser.add_argument("--keep", type=Path, help="a folder in which registered label maps are kept")
    parser.add_argument("--cache", type=Path, help="where masks and alignments of real scans are kept")
    parser.add_argument("--rows", type=Path, help="a CSV that is added to; scans that it holds are not done again")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    bundle = load_segmentation_bundle(DEFAULT_BUNDLE)
    frame = pd.read_csv(options.rows) if options.rows and options.rows.exists() else pd.DataFrame()

    def add(rows: list[dict]) -> None:
        nonlocal frame
        frame = pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)
        if options.rows:
            frame.to_csv(options.rows, index=False)
        print(*[f"{row['scan']} {row['kind']} {row['margin']:g} mm {row['error']:+.1%}" for row in rows], flush=True)

    def done(scan: str, kind: str) -> bool:
        return bool(len(frame)) and bool(((frame["scan"] == scan) & (frame["kind"] == kind)).any())

    paths = choose_label_maps(options.label_maps, HELD_OUT)
    anatomies = [cached_anatomy(path, options.keep) if options.keep else read_anatomy(path) for path in paths]
    for number in range(options.heads):
        for place, (path, anatomy) in enumerate(zip(paths, anatomies, strict=True)):
            name = f"{anatomy.name} {number}"
            if done(name, DEEPBET):
                continue
            resolution = list(RESOLUTIONS)[(2 * number + place) % len(RESOLUTIONS)]
            head = user_head(anatomy, fractions_of(anatomy), 50 + number, resolution, wider_mm=0)
            truth = np.count_nonzero(INTRACRANIAL[head.codes.array]) * head.codes.grid.voxel_volume / 1000
            group = "for the choice" if is_called(path, options.choose) else "others"
            for kind, mask in ((OUTLINE, head.mask), (DEEPBET, find_brain_mask(head.scan).volume)):
                about = {"group": group, "scan": name, "kind": kind}
                add(rows_of(about, head.scan, head.to_template, mask, truth, head.codes, bundle))
    for path in sorted(options.real.glob("*_T1w.nii.gz")) if options.real else []:
        name = path.name.split("_")[0]
        if done(name, DEEPBET):
            continue
        labels = read_volume(path.with_name(path.name.replace("_T1w", "_dseg")))
        truth = np.count_nonzero(labels.array) * labels.grid.voxel_volume / 1000
        found = preprocess(read_volume(path), MODEL_GRID, cache=PreprocessingCache(options.cache))
        about = {"group": "real", "scan": name, "kind": DEEPBET}
        add(rows_of(about, found.scan, found.to_template, found.mask.volume, truth, None, bundle))
    best = best_margin(frame[frame["group"] == "for the choice"])
    text = (
        "# The intracranial volume against the truth\n\n"
        f"{table(frame)}\n\nSmallest mean absolute error over both masks, for the choice: {best:g} mm; in use: "
        f"{AROUND_MM:g} mm.\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
