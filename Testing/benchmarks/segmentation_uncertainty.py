"""Does the segmentation say where it is unsure, and stay quiet where it need not? Chooses each structure's threshold.

    python -m Testing.benchmarks.segmentation_uncertainty LABEL_MAPS [--scans SCAN ...] [--out FILE.md] [--write]

Simulated heads over the anatomies that were kept from training, as users have them: wide anatomies, T1-like contrasts,
half under a strong bias field, at 1 to 3 mm or in thick slices, a little misaligned, masks tight or generous; and heads
that nobody should segment (:mod:`.bad_heads`). A structure is unsure from a mean entropy on that one in twenty good
heads *of an anatomy that was not seen* should reach. Logarithms of entropies vary between the heads of an anatomy, for
each structure by its own variance, and between anatomies, by a variance that all structures share, because a structure
alone has too few anatomies for one: the threshold is the upper 95 % prediction limit of both. It is fitted to the
``--choose`` anatomies; all tables are of the others. Nothing is chosen on bad heads or on real scans. ``--write`` puts
the thresholds into the bundle's metadata; ``--from-rows`` repeats all but the simulation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.measured_structures import normalised_entropy
from mri_interpret.anatomy.network_segmentation import class_probabilities, network_input
from mri_interpret.anatomy.parcels import with_parcels
from mri_interpret.anatomy.segmentation import DEFAULT_BUNDLE
from mri_interpret.anatomy.segmentation_bundle import SegmentationBundle, load_segmentation_bundle
from mri_interpret.images.conversion import as_volume
from mri_interpret.images.volume import Volume, resample
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import MODEL_GRID, Anatomy, choose_label_maps, is_called, read_anatomy
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.structures import NAMES
from mri_interpret.training.anatomies import cached_anatomy
from scipy.stats import norm

from Testing.benchmarks.bad_heads import BAD, bad_head
from Testing.benchmarks.segmentation import HELD_OUT, SAME
from Testing.benchmarks.user_heads import RESOLUTIONS, UserHead, user_head

FOUND = 0.6  # Dice from which on a structure counts as found
ALARMS = 0.05  # of good heads, for any structure
QUANTILE = 1 - ALARMS
PARCELS_EVERY = 3  # heads: parcels take as long as the rest


def rows_of(head: UserHead, bundle: SegmentationBundle, about: dict[str, object], parcels: bool) -> list[dict]:
    """A row for each structure: mean entropy, and Dice with the truth on the network's grid."""
    image = network_input(head.scan, head.to_template, bundle, head.mask)
    probabilities = class_probabilities(bundle, image, "cpu", silent)
    entropy = normalised_entropy(probabilities)
    winner = np.array(bundle.labels, np.int16)[probabilities.argmax(0)]
    codes = resample(head.codes, bundle.grid, np.linalg.inv(head.to_template), order=0).array
    rows = []
    for label in bundle.labels[1:]:
        own, truth = winner == label, np.isin(codes, codes_of(label))
        both = np.count_nonzero(own) + np.count_nonzero(truth)
        if both:
            rows.append(
                {"label": label, "entropy": mean(entropy, own), "dice": 2 * np.count_nonzero(own & truth) / both}
            )
    if parcels:
        named = with_parcels(Volume(winner, bundle.grid.affine), np.eye(4)).array
        found = [label for label in np.unique(named) if freesurfer.is_parcel(int(label))]
        rows += [{"label": int(label), "entropy": mean(entropy, named == label), "dice": np.nan} for label in found]
    return [about | row | {"plain": plain(row["label"])} for row in rows]


def mean(entropy: np.ndarray, inside: np.ndarray) -> float:
    """Nothing found counts as knowing nothing, as the product says it."""
    return float(entropy[inside].mean()) if inside.any() else 1.0


def codes_of(label: int) -> list[int]:
    """The simulator's codes of a structure."""
    name = freesurfer.name_of(label)
    side = name.partition("-")[0]
    return [
        code
        for code, other in enumerate(NAMES)
        if other == name or (f"{side}-{SAME.get(other.partition('-')[2], '')}" == name and other.startswith(side))
    ]


def plain(label: int) -> str:
    """The name without a side: both sides share a threshold."""
    name = freesurfer.name_of(label)
    for side in ("Left-", "Right-", "ctx-lh-", "ctx-rh-"):
        name = name.removeprefix(side)
    return f"parcel {name}" if freesurfer.is_parcel(label) else name


def prediction_limits(frame: pd.DataFrame) -> tuple[pd.Series, float]:
    """Of each structure, the entropy that one in twenty good heads of a new anatomy reaches.

    Parameters
    ----------
    frame
        Good heads: columns ``plain``, ``anatomy``, ``entropy``.

    Returns
    -------
    limits
        Entropy by structure.
    between
        Standard deviation between anatomies, of the logarithm, that all structures share.
    """
    own = frame.assign(log=np.log(frame["entropy"].clip(lower=1e-4)))
    groups = own.groupby(["plain", "anatomy"])["log"]
    means, counts = groups.mean().unstack(), groups.count().unstack()
    squares = groups.var(ddof=0).unstack() * counts
    # Rows of both sides of a head are not independent; with heads counted once the limits would be a little wider.
    within = squares.sum(axis=1) / (counts.sum(axis=1) - counts.notna().sum(axis=1))
    structures = ~means.index.str.startswith("parcel")  # parcels have fewer heads
    between = float((means.var(axis=1) - within / counts.mean(axis=1))[structures].clip(lower=0).mean())
    spread = np.sqrt(within + between * (1 + 1 / frame["anatomy"].nunique()))
    return np.exp(means.mean(axis=1) + norm.ppf(QUANTILE) * spread).clip(upper=1.0), float(np.sqrt(between))


def alarms(frame: pd.DataFrame, thresholds: pd.Series) -> pd.Series:
    """Whether each row is called unsure."""
    return frame["entropy"] >= frame["plain"].map(thresholds)


def good_table(frame: pd.DataFrame) -> str:
    """Markdown: per structure and per resolution, how often good heads are called unsure."""
    own = frame[frame["condition"].isin(list(RESOLUTIONS)) & ~frame["plain"].str.startswith("parcel")]
    lines = ["| structure | called unsure | Dice | n |", "|---|---|---|---|"]
    for name, part in own.groupby("plain", sort=False):
        lines.append(f"| {name} | {part['alarm'].mean():.1%} | {part['dice'].mean():.2f} | {len(part)} |")
    lines += ["", "| voxels | called unsure | Dice | heads | with a structure called unsure |", "|---|---|---|---|---|"]
    for name, part in own.groupby("condition", sort=False):
        heads = part.groupby(["anatomy", "head"])["alarm"].any()
        lines.append(
            f"| {name} | {part['alarm'].mean():.1%} | {part['dice'].mean():.2f} | {len(heads)} | {heads.mean():.0%} |"
        )
    return "\n".join(lines)


def bad_table(frame: pd.DataFrame) -> str:
    """Markdown: per condition, what is missed and what is called unsure."""
    lines = [
        "| head | Dice | structures missed | of these unsure | of those found unsure | heads with a warning | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for condition in BAD:
        own = frame[(frame["condition"] == condition) & ~frame["plain"].str.startswith("parcel")]
        missed, found = own[own["dice"] < FOUND], own[own["dice"] >= FOUND]
        called = [f"{part['alarm'].mean():.0%}" if len(part) else "-" for part in (missed, found)]
        heads = own.groupby(["anatomy", "head"])["alarm"].any()
        lines.append(
            f"| {condition} | {own['dice'].mean():.2f} | {len(missed) / len(own):.0%} | {called[0]} | {called[1]} "
            f"| {heads.mean():.0%} | {len(heads)} |"
        )
    return "\n".join(lines)


def real_lines(paths: list[Path], bundle: SegmentationBundle, thresholds: pd.Series, cache: Path | None) -> str:
    """What is called unsure in real scans, through the product's own mask and alignment."""
    lines = []
    for path in paths:
        prepared = preprocess(as_volume(path), MODEL_GRID, cache=PreprocessingCache(cache))
        nothing = prepared.scan.with_array(np.zeros(prepared.scan.shape, np.uint8))
        head = UserHead(prepared.scan, nothing, prepared.mask.volume, prepared.to_template)
        frame = pd.DataFrame(rows_of(head, bundle, {}, parcels=False))
        names = [freesurfer.name_of(label) for label in frame.loc[alarms(frame, thresholds), "label"]]
        lines.append(f"- {path.name.split('_T1')[0]}: {', '.join(names) or 'nothing'}")
    return "\n".join(lines)


def write_thresholds(bundle: SegmentationBundle, thresholds: pd.Series) -> None:
    """Into the bundle's metadata, for either side."""
    path = bundle.path / "configs" / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    parcels = [label for label in freesurfer.LABELS if freesurfer.is_parcel(label)]
    metadata["mri_interpret"]["unsure_entropy"] = {
        freesurfer.name_of(label): round(min(1.0, float(thresholds[plain(label)])), 4)
        for label in [*bundle.labels[1:], *parcels]
        if plain(label) in thresholds
    }
    path.write_text(json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def simulated_rows(
    anatomies: list[tuple[Anatomy, bool]], heads: int, bad_heads: int, bundle: SegmentationBundle
) -> pd.DataFrame:
    """Good heads of all anatomies, and bad ones of those that nothing is chosen on."""
    rows: list[dict] = []
    for anatomy, choosing in anatomies:
        fractions = fractions_of(anatomy)
        for number in range(heads):
            resolution = list(RESOLUTIONS)[number % len(RESOLUTIONS)]
            about = {"anatomy": anatomy.name, "choosing": choosing, "head": number, "condition": resolution}
            head = user_head(anatomy, fractions, number, resolution)
            found = rows_of(head, bundle, about, parcels=number % PARCELS_EVERY == 0)
            rows += found
            print(anatomy.name, number, resolution, f"{np.nanmean([row['dice'] for row in found]):.2f}", flush=True)
        for number in range(0 if choosing else bad_heads):
            for condition in BAD:
                about = {"anatomy": anatomy.name, "choosing": choosing, "head": number, "condition": condition}
                rows += rows_of(bad_head(anatomy, fractions, 100 + number, condition), bundle, about, parcels=False)
            print(anatomy.name, number, "bad heads", flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--subjects", nargs="+", default=HELD_OUT)
    parser.add_argument("--choose", nargs="+", default=["02", "13"])
    parser.add_argument("--heads", type=int, default=12, help="good heads per anatomy")
    parser.add_argument(
        "--bad-heads", type=int, default=3, help="per anatomy that is reported, each made bad in every way"
    )
    parser.add_argument("--scans", type=Path, nargs="*", default=[], help="real scans, which choose nothing")
    parser.add_argument("--keep", type=Path, help="a folder in which registered label maps are kept")
    parser.add_argument("--cache", type=Path, help="where masks and alignments of --scans are kept")
    parser.add_argument("--rows", type=Path, help="keep what was measured in this CSV")
    parser.add_argument("--from-rows", type=Path, help="take what was measured from this CSV")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--write", action="store_true", help="put the thresholds into the bundle's metadata")
    options = parser.parse_args()
    bundle = load_segmentation_bundle(options.bundle)
    if options.from_rows:
        frame = pd.read_csv(options.from_rows)
    else:
        anatomies = [
            (
                cached_anatomy(path, options.keep) if options.keep else read_anatomy(path),
                is_called(path, options.choose),
            )
            for path in choose_label_maps(options.label_maps, options.subjects)
        ]
        frame = simulated_rows(anatomies, options.heads, options.bad_heads, bundle)
    if options.rows:
        frame.to_csv(options.rows, index=False)  # before anything is chosen, so that no rule can lose them
    chosen = frame[frame["choosing"]]
    thresholds, between = prediction_limits(chosen)
    frame["alarm"] = alarms(frame, thresholds)
    rest = frame[~frame["choosing"]]
    text = (
        f"# Where the segmentation is unsure\n\nThresholds: the {QUANTILE:.0%} prediction limit of each structure's "
        f"entropy for an anatomy that was not seen, from {chosen.groupby(['anatomy', 'head']).ngroups} good heads over "
        f"{', '.join(dict.fromkeys(chosen['anatomy']))}; from one anatomy to another it changes by a factor of "
        f"{np.exp(between):.2f} (standard deviation).\n\n"
        f"## Good heads over {', '.join(dict.fromkeys(rest['anatomy']))}\n\n{good_table(rest)}\n\n"
        f"## Heads that nobody should segment, over the same\n\n{bad_table(rest)}\n"
    )
    if options.scans:
        text += f"\n## Called unsure in real scans\n\n{real_lines(options.scans, bundle, thresholds, options.cache)}\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if options.write:
        write_thresholds(bundle, thresholds)


if __name__ == "__main__":
    main()
