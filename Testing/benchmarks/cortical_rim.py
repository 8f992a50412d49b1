"""How much of what a map shows above a threshold is a thin rim: ``python -m Testing.benchmarks.cortical_rim DIR``.

DIR holds label maps. Simulated subjects over two anatomies for choosing and over two others for reporting, and the
sample (which chooses nothing), are explained; for each share of the voxels that *Show top* may show, printed are

- edge: the share of the shown voxels within one voxel of the brain mask's edge, over that of the whole brain (1 is what
  a map without preference has);
- thin: the share of the shown voxels in no cube of 2 x 2 x 2 shown voxels, that is in sheets and specks of one voxel.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import mri_interpret as mi
import numpy as np
import pandas as pd
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.options import DEFAULTS
from mri_interpret.resources import resource
from mri_interpret.scene_content.display_range import top_value
from numpy.typing import NDArray
from scipy import ndimage

CHOOSING, REPORTING = ("02", "13"), ("08", "17")
PERCENTS = (10.0, 7.0, 5.0, 3.0)
CUBE = np.ones((2, 2, 2), bool)


def thin_share(shown: NDArray[np.bool_]) -> float:
    """Of the shown voxels, the share that lies in no 2 x 2 x 2 cube of shown ones."""
    count = np.count_nonzero(shown)
    return 1 - np.count_nonzero(ndimage.binary_opening(shown, CUBE)) / count if count else 0.0


def rows_of(explanation: Explanation, half: str) -> list[dict[str, object]]:
    """The measures of every map of one explanation, on the scan's grid."""
    whole = np.asarray(explanation.mask.array) > 0
    box = ndimage.find_objects(np.pad(whole, 1).astype(np.uint8))[0]  # with a voxel around it
    brain = np.pad(whole, 1)[tuple(slice(part.start - 1, part.stop + 1) for part in box)]
    edge = brain & ~ndimage.binary_erosion(brain, ndimage.generate_binary_structure(3, 3))
    usual = np.count_nonzero(edge) / np.count_nonzero(brain)
    maps = {"summary": explanation.summary} | {name: one.native for name, one in explanation.maps.items()}
    rows = []
    for name, volume in maps.items():
        values = np.pad(np.abs(volume.array), 1)[tuple(slice(part.start - 1, part.stop + 1) for part in box)]
        magnitudes = np.where(brain, values, 0)
        for percent in PERCENTS:
            shown = brain & (magnitudes >= top_value(magnitudes[brain], percent)) & (magnitudes > 0)
            at_edge = np.count_nonzero(shown & edge) / max(np.count_nonzero(shown), 1)
            rows.append(
                {
                    "half": half, "map": name, "percent": percent, "edge": at_edge / usual, "thin": thin_share(shown),
                    "edge share": at_edge,
                }
            )  # fmt: skip
    return rows


def table(rows: pd.DataFrame) -> str:
    """Means over subjects, a line for each half, map and share."""
    means = rows.groupby(["half", "map", "percent"], sort=False)[["edge", "edge share", "thin"]].mean().reset_index()
    lines = [
        "| half | map | top (%) | edge (times the brain's) | edge (share) | thin (share) |",
        "|---|---|---|---|---|---|",
    ]
    for row in means.itertuples(index=False):
        lines.append(f"| {row[0]} | {row[1]} | {row[2]:g} | {row[3]:.2f} | {row[4]:.2f} | {row[5]:.3f} |")
    return "\n".join(lines)


def main(
    label_maps: Path, subjects: int = 6, methods: str = ",".join(DEFAULTS.methods), saved: str | None = None
) -> None:
    """``subjects`` of each half; ``saved`` is a result of the sample that is there already."""
    rows: list[dict[str, object]] = []
    options = {"methods": methods.split(","), "device": "cpu", "trust": "off", "regions": "atlas", "target": "AD-CN"}
    with tempfile.TemporaryDirectory() as folder:
        for half, names in (("choosing", CHOOSING), ("reporting", REPORTING)):
            output = Path(folder) / half
            mi.simulate_cohort(subjects, 20261126, output, label_maps, only=names, in_template=True)
            for scan in sorted(output.glob("sub-*/anat/*_T1w.nii.gz")):
                rows += rows_of(mi.explain(scan, mask="none", space="mni", **options), half)
                print(half, scan.name, file=sys.stderr, flush=True)
        if saved is None:
            rows += rows_of(mi.explain(resource("SampleData", "colin27_T1.nii.gz"), **options), "sample")
        else:
            rows += rows_of(mi.load(saved), "sample")
    print(table(pd.DataFrame(rows)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("subjects", type=int, nargs="?", default=6)
    parser.add_argument("methods", nargs="?", default=",".join(DEFAULTS.methods))
    parser.add_argument("saved", nargs="?")
    main(**vars(parser.parse_args()))
