"""Does the verdict tell an alignment that is right from one that is wrong?

Simulated heads over the label maps (two each, the second with a strong bias field) and real scans go through mask, bias
correction and registration. Each is judged in place, and again as if the registration had been wrong: turned by 10
degrees about each axis, shifted by 10 mm along each axis, scaled by 15 %, mirrored left to right, all in either
direction and in template space, so that nothing can repair it. The threshold is the geometric mean of the highest
offset in place and the lowest misaligned on every second anatomy; the others and the real scans are reported.

    python -m Testing.benchmarks.alignment_verdict LABEL_MAPS [--scans SCAN ...] [--heads 30] [--keep FOLDER]

``--keep`` keeps masks and transforms, so that a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mri_interpret as mi
import numpy as np
import torch
from mri_interpret.images.volume import Affine, Volume
from mri_interpret.preprocessing.alignment import Aligner, Alignment
from mri_interpret.preprocessing.cache import PreprocessingCache, content_hash
from mri_interpret.preprocessing.match import brain_on_template, offset_mm
from mri_interpret.progress import silent
from mri_interpret.resources import resource
from mri_interpret.simulation.acquisition import smooth_gain
from mri_interpret.simulation.anatomy import Anatomy, list_label_maps, read_anatomy
from mri_interpret.simulation.head_scan import head_scan, scanner_affine
from mri_interpret.thresholds import GOOD_OFFSET_MM

CENTRE = np.array([0.0, -18.0, 8.0])
STRONG_BIAS = 0.6  # amplitude of the field's logarithm


def about_centre(matrix: np.ndarray) -> Affine:
    """A turn, scale or mirror that leaves the template brain's centre where it is; 4 x 4."""
    move = np.eye(4)
    move[:3, :3] = matrix
    move[:3, 3] = CENTRE - matrix @ CENTRE
    return move


def turn(axis: int, degrees: float) -> Affine:
    """About the axis through the brain's centre."""
    first, second, angle = (axis + 1) % 3, (axis + 2) % 3, np.radians(degrees)
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return about_centre(matrix)


def moves() -> dict[str, list[Affine]]:
    """Kinds of misalignment, in template space."""
    found: dict[str, list[Affine]] = {"in place": [np.eye(4)]}
    for axis, name in enumerate(("pitch", "roll", "yaw")):
        found[f"turned by 10 degrees ({name})"] = [turn(axis, degrees) for degrees in (10, -10)]
    for axis, name in enumerate(("left or right", "forward or back", "up or down")):
        shifts = [np.eye(4), np.eye(4)]
        shifts[0][axis, 3], shifts[1][axis, 3] = 10, -10
        found[f"shifted by 10 mm ({name})"] = shifts
    found["scaled by 15 %"] = [about_centre(np.eye(3) * factor) for factor in (1.15, 1 / 1.15)]
    found["mirrored left to right"] = [np.diag([-1.0, 1, 1, 1])]
    return found


def simulated(anatomy: Anatomy, seed: int, strong_bias: bool) -> Volume:
    """A head over a label map, in a scanner."""
    values, _ = head_scan(anatomy.labels, seed, whole_head=True)
    if strong_bias:
        gain = smooth_gain(values.shape, torch.Generator().manual_seed(seed), STRONG_BIAS, 0.03).numpy()
        values = np.clip(values * gain, 0, 32767).astype(np.int16)
    return Volume(values, scanner_affine(anatomy.scale, seed), f"{anatomy.name}, seed {seed}")


def scans(label_maps: Path, real: list[Path], heads: int) -> Iterator[tuple[str, Volume]]:
    """Group and scan; the anatomies are split in two by turns."""
    yield "real", mi.as_volume(Path(resource("SampleData", "colin27_T1.nii.gz")))
    for path in real:
        yield "real", mi.as_volume(path)
    paths = list_label_maps(label_maps)
    for strong in (False, True):
        for number, path in enumerate(paths):
            if strong * len(paths) + number == heads:
                return
            group = "simulated, for the threshold" if number % 2 == 0 else "simulated, others"
            yield group, simulated(read_anatomy(path), 100 + 2 * number + strong, strong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    parser.add_argument("--heads", type=int, default=10_000, help="simulate so many heads at most")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows: list[tuple[str, str, float]] = []
    in_place: list[Alignment] = []
    with tempfile.TemporaryDirectory() as folder:
        cache = PreprocessingCache(options.keep or Path(folder))
        for group, scan in scans(options.label_maps, options.scans, options.heads):
            aligner = Aligner(scan, content_hash(scan), "cpu", cache, silent, [])
            found = aligner.align("auto", "auto")
            in_place.append(found)
            brain = brain_on_template(aligner.corrected(found.brain.volume), found.brain.volume, found.to_template)
            for kind, made in moves().items():
                rows += [(group, kind, offset_mm(Volume(brain.array, move @ brain.affine))) for move in made]
            print(scan.name, found.sentence, flush=True)
    print(table(rows))
    for name in ("correlation", "overlap"):
        values = [getattr(found.match, name) for found in in_place]
        print(f"{name} in place: {min(values):.2f} to {max(values):.2f}")


def table(rows: list[tuple[str, str, float]]) -> str:
    """Markdown: per group and kind, verdicts and the offsets' range; then what the threshold lies between."""
    lines = [
        f"| scans | alignment | n | offset at most {GOOD_OFFSET_MM:.0f} mm | offset, mm |",
        "|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(row[0] for row in rows):
        for kind in dict.fromkeys(row[1] for row in rows):
            offsets = [row[2] for row in rows if row[:2] == (group, kind)]
            good = sum(offset <= GOOD_OFFSET_MM for offset in offsets)
            lines.append(f"| {group} | {kind} | {len(offsets)} | {good} | {min(offsets):.2f} to {max(offsets):.2f} |")
    fitted = [row for row in rows if row[0] == "simulated, for the threshold"]
    if fitted:
        right = max(row[2] for row in fitted if row[1] == "in place")
        wrong = min(row[2] for row in fitted if row[1] not in ("in place", "mirrored left to right"))
        lines.append(
            f"\nHighest offset in place {right:.2f} mm, lowest misaligned {wrong:.2f} mm, geometric "
            f"mean {np.sqrt(right * wrong):.2f} mm (simulated, for the threshold)."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
