"""What the bundled network's inputs looked like in training, and whether the input check notices wrong steps.

The ranges come from simulated training scans alone. Then the sample and any real scans given are prepared as the bundle
says (no warning should come) and in ten wrong ways (each should bring a warning).

    python -m Testing.benchmarks.input_check LABEL_MAPS [--scans SCAN ...] [--brains 60] [--write]
    python -m Testing.benchmarks.input_check --bank TRAINING_BANK [--scans SCAN ...] [--brains 60] [--write]

Brains of the published disease, simulated over the label maps, or the first ones of a bank that a training left
(``mri-interpret train --work``). ``--write`` puts the ranges into the bundle's metadata.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import mri_interpret as mi
import numpy as np
from mri_interpret.models.registry import DEFAULT_MODEL
from mri_interpret.preprocessing.input_check import compare_with_training, statistics_of
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.preprocessing.steps.chain import default_steps, read_steps
from mri_interpret.preprocessing.steps.partial_input import ScanInTemplate
from mri_interpret.resources import resource
from mri_interpret.simulation.anatomy import PUBLISHED, list_label_maps, read_anatomy
from mri_interpret.simulation.fill_bank import fill_bank
from mri_interpret.training.samples import BankSamples
from scipy import ndimage

SCANS_A_BRAIN = 3
HERE = Path(__file__).parent


def wrong_chains(grid) -> dict:
    """The bundle's own steps with one of them wrong."""
    spacing, origin = grid.spacing.tolist(), grid.affine[:3, 3].tolist()
    placed = {"step": "registration", "shape": list(grid.shape), "spacing": spacing, "origin": origin}
    mask, scaled = {"step": "mask"}, {"step": "intensity", "low": 0.5, "high": 99.5}

    def intensity(**arguments):
        return [mask, placed, {"step": "intensity", **arguments}]

    moved = {**placed, "origin": [origin[0], origin[1], origin[2] + 30]}
    return {
        "intensities as they are": intensity(method="none"),
        "z-score in the brain": intensity(method="zscore"),
        "z-score over the volume": intensity(method="zscore", over="volume"),
        "divided by the mean of the volume": intensity(method="mean", over="volume", clip=[0, 8]),
        "lowest and highest of the volume": intensity(method="minmax", over="volume"),
        "percentiles 10 and 90": intensity(method="percentile", low=10, high=90),
        "percentiles of the volume": intensity(method="percentile", over="volume"),
        "to 0..255": intensity(method="range", low=0, high=0.004),
        "without the mask": [placed, scaled],
        "grid shifted by 30 mm": [mask, moved, scaled],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path, nargs="?")
    parser.add_argument("--bank", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path(resource("Models", DEFAULT_MODEL)))
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    parser.add_argument("--brains", type=int, default=60)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if (options.label_maps is None) == (options.bank is None):
        parser.error("give label maps, or a bank")

    bundle = options.bundle
    with tempfile.TemporaryDirectory() as folder:
        bank = options.bank or Path(folder)
        if options.bank is None:
            anatomies = [read_anatomy(path, PUBLISHED) for path in list_label_maps(options.label_maps)]
            fill_bank(bank, anatomies, options.brains, 11, disease=PUBLISHED, any_age_share=0.3)
        samples = BankSamples(bank, options.brains, options.brains * SCANS_A_BRAIN, 12, in_order=True)
        images = [samples[index]["image"][0].numpy() for index in range(len(samples))]
    training = statistics_of((image, ndimage.binary_fill_holes(image > 0)) for image in images)
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    if options.write:
        metadata["mri_interpret"]["input_statistics"] = training.as_json()
        path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")

    percentiles = (metadata["mri_interpret"]["intensity"]["low"], metadata["mri_interpret"]["intensity"]["high"])
    grid = mi.load_bundle(bundle).metadata.grid
    lines = ["| scan | right | wrong steps noticed | not noticed |", "|---|---|---|---|"]
    for scan_path in [Path(resource("SampleData", "colin27_T1.nii.gz")), *options.scans]:
        prepared = preprocess(mi.as_volume(scan_path), grid)
        about = ScanInTemplate(prepared.mask.volume, lambda kind, found=prepared.to_template: found)

        def warned(chain, prepared=prepared, about=about) -> bool:
            made = chain.run(prepared.scan, about)
            return bool(compare_with_training(made.image.array, made.inside.array, training))

        right = warned(default_steps(grid, percentiles))
        missed = [name for name, steps in wrong_chains(grid).items() if not warned(read_steps(steps, name))]
        count = len(wrong_chains(grid))
        lines.append(
            f"| {scan_path.name} | {'warned' if right else 'silent'} | {count - len(missed)} of {count} "
            f"| {', '.join(missed) or '-'} |"
        )
    print("\n".join(lines))
    print(json.dumps(training.as_json()))
    print(f"numpy {np.__version__}; {options.brains} brains, {len(images)} training scans")


if __name__ == "__main__":
    main()
