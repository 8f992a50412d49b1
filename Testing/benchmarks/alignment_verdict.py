"""Does the verdict tell an alignment that is right from one that is wrong?

Real scans and simulated heads over label maps go through mask, bias correction and registration. Each is judged in
place, and again as if the registration had been wrong: turned by 10 degrees about each axis, shifted by 10 mm along
each, scaled by 15 % (the directions by turns), mirrored left to right; all in template space, so that nothing can
repair it. One mask, one bias field and one registration serve all verdicts on a scan, and for a misaligned one the
offset alone is measured where that says poor.

Every head of an anatomy is another brain (the segmentation's wide anatomies) with another contrast, every second under
a strong bias field, four of five at 2 mm, every fifth without its head. In real scans and in every tenth simulated one
deepbet finds the brain; the others have their true outline, which spares the study a third of its time.

The threshold is the geometric mean of the highest offset in place and the lowest misaligned on the ``--choose``
anatomies; the others and the real scans are reported.

    python -m Testing.benchmarks.alignment_verdict LABEL_MAPS [--scans SCAN ...] [--rows FILE.csv] [--out FILE.md]

A run that was interrupted goes on with what ``--rows`` holds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Literal

import mri_interpret as mi
import numpy as np
import pandas as pd
import torch
from mri_interpret.images.volume import Affine, Volume
from mri_interpret.preprocessing.alignment import Aligner
from mri_interpret.preprocessing.cache import PreprocessingCache, content_hash
from mri_interpret.preprocessing.match import Match, brain_on_template, measure_match, offset_mm
from mri_interpret.preprocessing.registration import Misaligned
from mri_interpret.preprocessing.verdict import registration_verdict
from mri_interpret.progress import silent
from mri_interpret.resources import resource
from mri_interpret.simulation.acquisition import smooth_gain
from mri_interpret.simulation.anatomy import (
    FINE_GRID,
    Anatomy,
    brain_envelope,
    is_called,
    list_label_maps,
    read_anatomy,
)
from mri_interpret.simulation.atrophy import Fractions, fractions_of
from mri_interpret.simulation.head_scan import head_scan, scanner_affine
from mri_interpret.simulation.wide_anatomies import FINE_BOX, wide_labels
from mri_interpret.thresholds import GOOD_OFFSET_MM
from mri_interpret.training.anatomies import cached_anatomy

CENTRE = np.array([0.0, -18.0, 8.0])
STRONG_BIAS = 0.6  # amplitude of the field's logarithm
IN_PLACE, MIRRORED = "in place", "mirrored left to right"
REAL, CHOOSING, REPORTED = "real", "simulated, for the threshold", "simulated, others"
COLUMNS = ("group", "scan", "alignment", "correlation", "overlap", "offset_mm", "covered", "verdict")


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


def moves(number: int) -> dict[str, Affine]:
    """Kinds of misalignment in template space, for the scan with this number: one direction of each, by turns."""
    found: dict[str, Affine] = {IN_PLACE: np.eye(4)}
    sign = 1 if number % 2 == 0 else -1
    for axis, name in enumerate(("pitch", "roll", "yaw")):
        found[f"turned by 10 degrees ({name})"] = turn(axis, sign * 10)
    for axis, name in enumerate(("left or right", "forward or back", "up or down")):
        shift = np.eye(4)
        shift[axis, 3] = sign * 10
        found[f"shifted by 10 mm ({name})"] = shift
    found["scaled by 15 %"] = about_centre(np.eye(3) * 1.15**sign)
    found[MIRRORED] = np.diag([-1.0, 1, 1, 1])
    return found


def simulated(anatomy: Anatomy, fractions: Fractions, number: int) -> tuple[Volume, Volume | Literal["auto"]]:
    """A head over a label map, in a scanner, and its brain; deepbet is to find every tenth one's."""
    labels = np.zeros(FINE_GRID.shape, np.uint8)
    labels[FINE_BOX] = wide_labels(anatomy, fractions, (sum(map(ord, anatomy.name)), number))
    seed = 1000 * number + sum(map(ord, anatomy.name))
    values, _ = head_scan(labels, seed, whole_head=number % 5 != 4)
    if number % 2:
        gain = smooth_gain(values.shape, torch.Generator().manual_seed(seed), STRONG_BIAS, 0.03).numpy()
        values = np.clip(values * gain, 0, 32767).astype(np.int16)
    scan = Volume(values, scanner_affine(anatomy.scale, seed), f"{anatomy.name}, head {number}")
    mask = scan.with_array(brain_envelope(labels, FINE_GRID.spacing).astype(np.float32))
    if number % 5:
        scan, mask = at_two_mm(scan), at_two_mm(mask)
    return scan, "auto" if number % 10 == 0 else mask.with_array((mask.array > 0.5).astype(np.uint8))


def at_two_mm(scan: Volume) -> Volume:
    """Each voxel the mean of eight."""
    i, j, k = (size // 2 for size in scan.shape)
    means = scan.array[: 2 * i, : 2 * j, : 2 * k].reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = scan.affine @ np.diag([2.0, 2, 2, 1])
    affine[:3, 3] += scan.affine[:3, :3] @ [0.5, 0.5, 0.5]
    return Volume(means, affine, scan.name)


def scans(
    label_maps: Path, real: list[Path], heads: int, choose: list[str], keep: Path | None
) -> Iterator[tuple[str, str, int, Callable[[], tuple[Volume, Volume | Literal["auto"]]]]]:
    """Group, name, number, and what makes the scan."""
    for number, path in enumerate([Path(resource("SampleData", "colin27_T1.nii.gz")), *real]):
        yield REAL, path.name.split("_T1")[0], number, lambda path=path: (mi.as_volume(path), "auto")
    paths = list_label_maps(label_maps)
    anatomies = [cached_anatomy(path, keep) if keep else read_anatomy(path) for path in paths]
    fractions = [fractions_of(anatomy) for anatomy in anatomies]
    for number in range(heads):
        for path, anatomy, own in zip(paths, anatomies, fractions, strict=True):
            group = CHOOSING if is_called(path, choose) else REPORTED
            yield group, f"{anatomy.name}, head {number}", number, partial(simulated, anatomy, own, number)


def rows_of(group: str, name: str, number: int, scan: Volume, mask: Volume | Literal["auto"]) -> list[tuple]:
    """A row per alignment, as ``COLUMNS``."""
    with tempfile.TemporaryDirectory() as folder:  # the bias field is fitted once
        aligner = Aligner(scan, content_hash(scan), "cpu", PreprocessingCache(Path(folder)), silent, [])
        try:
            found = aligner.align(mask, "auto")
        except Misaligned:
            return [(group, name, IN_PLACE, *[np.nan] * 4, "refused")]
        corrected = aligner.corrected(found.brain.volume)
    brain = brain_on_template(corrected, found.brain.volume, found.to_template)
    rows = []
    for kind, move in moves(number).items():
        match, to_template = found.match, move @ found.to_template
        if kind != IN_PLACE:
            offset = offset_mm(Volume(brain.array, move @ brain.affine))
            match = Match(np.nan, np.nan, offset, np.nan)
            if offset <= GOOD_OFFSET_MM:
                match = measure_match(corrected, found.brain.volume, to_template)
        rows.append((group, name, kind, *astuple(match), verdict_of(to_template, match)))
    return rows


def verdict_of(to_template: Affine, match: Match) -> str:
    """As a user gets it: good, poor, or refused, which is not told from poor where the offset alone is known."""
    if np.isnan(match.correlation):
        return "poor"
    try:
        return registration_verdict("", to_template, match)[0]
    except Misaligned:
        return "refused"


def table(frame: pd.DataFrame) -> str:
    """Markdown: per group and kind the verdicts, with Wilson's 95 % interval of the share that is right."""
    from scipy import stats

    lines = [
        "| scans | alignment | n | good | poor or refused | right | 95 % interval | offset, mm | correlation | mask |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (group, kind), own in frame.groupby(["group", "alignment"], sort=False):
        good = (own["verdict"] == "good").sum()
        right = good if kind == IN_PLACE else len(own) - good
        interval = stats.binomtest(int(right), len(own)).proportion_ci(method="wilson")
        share = f"{right / len(own):.1%} | {interval.low:.1%} to {interval.high:.1%}"
        ranges = " | ".join(
            "-" if own[column].isna().any() else f"{own[column].min():.2f} to {own[column].max():.2f}"
            for column in ("offset_mm", "correlation", "overlap")
        )
        lines.append(
            f"| {group} | {kind} | {len(own)} | {good} | {len(own) - good} "
            f"| {'cannot be told | -' if kind == MIRRORED else share} | {ranges} |"
        )
    return "\n".join(lines)


def pooled(frame: pd.DataFrame) -> str:
    """The same in one sentence: what was in place, and all that was turned, shifted or scaled."""
    from scipy import stats

    sentences = []
    for name, own in (("In place", frame[frame["alignment"] == IN_PLACE]), ("Misaligned", _misaligned(frame))):
        right = (own["verdict"] == "good") == (name == "In place")
        interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        sentences.append(f"{name}: {right.sum()} of {len(right)} right, {interval.low:.1%} to {interval.high:.1%}.")
    return " ".join(sentences)


def chosen_threshold(frame: pd.DataFrame) -> str:
    """What the offset's threshold lies between."""
    right = float(frame.loc[frame["alignment"] == IN_PLACE, "offset_mm"].max())
    wrong = float(_misaligned(frame)["offset_mm"].min())
    return (
        f"Highest offset in place {right:.2f} mm, lowest misaligned {wrong:.2f} mm, geometric mean "
        f"{np.sqrt(right * wrong):.2f} mm; the threshold in use is {GOOD_OFFSET_MM:g} mm."
    )


def _misaligned(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["alignment"].isin([IN_PLACE, MIRRORED])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    parser.add_argument("--heads", type=int, default=10, help="heads per label map")
    parser.add_argument("--choose", nargs="+", default=["02", "13"], help="the threshold is chosen on these")
    parser.add_argument("--keep", type=Path, help="a folder in which registered label maps are kept")
    parser.add_argument("--rows", type=Path, help="a CSV that is added to; scans that it holds are not done again")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    frame = pd.read_csv(options.rows) if options.rows and options.rows.exists() else pd.DataFrame(columns=list(COLUMNS))
    done = set(frame["scan"])
    all_scans = scans(options.label_maps, options.scans, options.heads, options.choose, options.keep)
    for group, name, number, make in all_scans:
        if name in done:
            continue
        added = pd.DataFrame(rows_of(group, name, number, *make()), columns=list(COLUMNS))
        frame = pd.concat([frame, added], ignore_index=True) if len(frame) else added
        print(name, *added.iloc[0, 3:].tolist(), flush=True)
        if options.rows:
            frame.to_csv(options.rows, index=False)
    chosen, rest = frame[frame["group"] == CHOOSING], frame[frame["group"] != CHOOSING]
    text = f"{table(frame)}\n\nThe threshold, on {CHOOSING}: {chosen_threshold(chosen)}\n\nThe rest. {pooled(rest)}\n"
    print(text)
    if options.out:
        options.out.write_text(
            "# The verdict on an alignment: does it tell right from wrong?\n\n" + text, encoding="utf-8"
        )


if __name__ == "__main__":
    main()
