"""Does the verdict tell an alignment that is right from one that is wrong?

Simulated heads over the label maps (two each, the second with a strong bias field) and real scans go through mask, bias
correction and registration. Each is judged in place, and again as if the registration had been wrong: turned by 10
degrees about each axis, shifted by 10 mm along each axis, scaled by 15 %, mirrored left to right, all in either
direction and in template space, so that nothing can repair it. The threshold is the geometric mean of the highest
offset in place and the lowest misaligned on every second anatomy; the others and the real scans are reported.

    python -m Testing.benchmarks.alignment_verdict LABEL_MAPS [--scans SCAN ...] [--keep FOLDER]

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
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Affine, Volume
from mri_interpret.preprocessing.alignment import Aligner
from mri_interpret.preprocessing.cache import PreprocessingCache, content_hash
from mri_interpret.preprocessing.match import Match, measure_match
from mri_interpret.preprocessing.verdict import registration_verdict
from mri_interpret.progress import silent
from mri_interpret.resources import resource
from mri_interpret.simulation.acquisition import smooth_gain
from mri_interpret.simulation.anatomy import Anatomy, list_label_maps, read_anatomy
from mri_interpret.simulation.head_scan import head_scan, scanner_affine

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


def scans(label_maps: Path, real: list[Path]) -> Iterator[tuple[str, Volume]]:
    """Group and scan; the anatomies are split in two by turns."""
    yield "real", mi.as_volume(Path(resource("SampleData", "colin27_T1.nii.gz")))
    for path in real:
        yield "real", mi.as_volume(path)
    for number, path in enumerate(list_label_maps(label_maps)):
        anatomy = read_anatomy(path)
        for strong in (False, True):
            group = "simulated, for the threshold" if number % 2 == 0 else "simulated, others"
            yield group, simulated(anatomy, 100 + 2 * number + strong, strong)


def verdict_of(affine: Affine, match: Match) -> str:
    """good, poor or refused."""
    try:
        return registration_verdict("scan", affine, match)[0]
    except UserError:
        return "refused"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows: list[tuple[str, str, Match, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        cache = PreprocessingCache(options.keep or Path(folder))
        for group, scan in scans(options.label_maps, options.scans):
            aligner = Aligner(scan, content_hash(scan), "cpu", cache, silent, [])
            found = aligner.align("auto", "auto")
            corrected = aligner.corrected(found.brain.volume)
            for kind, made in moves().items():
                for move in made:
                    affine = move @ found.to_template
                    match = measure_match(corrected, found.brain.volume, affine)
                    rows.append((group, kind, match, verdict_of(affine, match)))
            print(scan.name, found.sentence, flush=True)
    print(table(rows))


def table(rows: list[tuple[str, str, Match, str]]) -> str:
    """Markdown: per group and kind, verdicts and the measures' ranges; then what the threshold lies between."""
    lines = [
        "| scans | alignment | n | good | offset, mm | correlation | mask overlap |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(row[0] for row in rows):
        for kind in dict.fromkeys(row[1] for row in rows):
            chosen = [row for row in rows if row[:2] == (group, kind)]
            good = np.mean([row[3] == "good" for row in chosen])
            ranges = [
                f"{min(values):.2f} to {max(values):.2f}"
                for values in (
                    [getattr(row[2], name) for row in chosen] for name in ("offset_mm", "correlation", "overlap")
                )
            ]
            lines.append(f"| {group} | {kind} | {len(chosen)} | {good:.0%} | {' | '.join(ranges)} |")
    fitted = [row for row in rows if row[0] == "simulated, for the threshold"]
    if fitted:
        right = max(row[2].offset_mm for row in fitted if row[1] == "in place")
        wrong = min(row[2].offset_mm for row in fitted if row[1] not in ("in place", "mirrored left to right"))
        lines.append(
            f"\nHighest offset in place {right:.2f} mm, lowest misaligned {wrong:.2f} mm, geometric "
            f"mean {np.sqrt(right * wrong):.2f} mm (simulated, for the threshold)."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
