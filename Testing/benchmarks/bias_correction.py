"""Does N4 help the classifier that ships? Its answers with and without the step ``bias_correction`` in its list.

Simulated subjects over the anatomies that were kept from its training, in template space and masked by their true
outline, so that only intensities differ: each under the simulator's own bias field, and again under a strong one.

    python -m Testing.benchmarks.bias_correction LABEL_MAPS [--brains 24] [--rows FILE.csv] [--out FILE.md]

``--brains`` counts per label map, the groups by turns. Whether the bundle should list the step is decided on the
``--choose`` anatomies and reported on the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.images.volume import Volume
from mri_interpret.metrics.classification import auc
from mri_interpret.models.bundle import ModelBundle, load_bundle
from mri_interpret.models.registry import DEFAULT_MODEL
from mri_interpret.preprocessing.steps.chain import StepChain
from mri_interpret.preprocessing.steps.partial_input import ScanInTemplate
from mri_interpret.preprocessing.steps.values import BiasCorrection
from mri_interpret.resources import resource
from mri_interpret.simulation.acquisition import smooth_gain
from mri_interpret.simulation.anatomy import (
    FINE_GRID,
    Anatomy,
    brain_envelope,
    choose_label_maps,
    is_called,
    read_anatomy,
)
from mri_interpret.simulation.atrophy import Fractions, fractions_of
from mri_interpret.simulation.groups import GROUPS, draw_subject
from mri_interpret.simulation.simulate import simulated_scan
from mri_interpret.training.anatomies import cached_anatomy

HELD_OUT = ("02", "08", "13", "17")
STRONG_BIAS = 0.6  # amplitude of the field's logarithm; the simulator draws up to 0.3
FIELDS = ("the simulator's field", "a strong field")
WAYS = ("as it is", "N4")


def rows_of(
    number: int, index: int, anatomy: Anatomy, fractions: Fractions, bundle: ModelBundle, chains: dict[str, StepChain]
) -> list[dict]:
    """Answers on one subject: under either field, with and without N4."""
    rng = np.random.default_rng([number, index, 14])
    group = GROUPS[index % len(GROUPS)]
    made = simulated_scan(
        anatomy, fractions, draw_subject(rng, group), rng, whole_head=True, healthy_twin=False, in_template=True
    )
    codes = np.asarray(made.labels.array)
    brain = Volume(brain_envelope(codes, FINE_GRID.spacing).astype(np.uint8), made.scan.affine)
    about = ScanInTemplate(brain, lambda kind: np.eye(4))
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    gain = smooth_gain(made.scan.shape, generator, STRONG_BIAS, 0.0).numpy()
    rows = []
    for field, scan in zip(FIELDS, (made.scan, made.scan.with_array(made.scan.array * gain)), strict=True):
        for way, chain in chains.items():
            given = chain.run(scan, about).channels
            with torch.inference_mode():
                logits = bundle.network(torch.from_numpy(given)[None])[0].double()
            chances = torch.softmax(logits / float(bundle.metadata.temperature), 0)
            rows.append(
                {
                    "anatomy": anatomy.name,
                    "subject": index,
                    "group": group,
                    "fraction": made.subject.fraction,
                    "field": field,
                    "way": way,
                    "logit": float(logits[-1] - logits[0]),
                    **{f"P({name})": float(p) for name, p in zip(GROUPS, chances, strict=True)},
                }
            )
    return rows


def table(frame: pd.DataFrame) -> str:
    """Markdown: for either field, how well the answers tell the groups apart, and what the field does to them."""
    lines = [
        "| field | input | AUC AD vs CN | AUC MCI vs CN | r with the hippocampal fraction | right class "
        "| change of P(AD) by the strong field | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    who = ["anatomy", "subject"]
    for field in FIELDS:
        for way in WAYS:
            own = frame[(frame["field"] == field) & (frame["way"] == way)]
            plain = frame[(frame["field"] == FIELDS[0]) & (frame["way"] == way)].set_index(who)
            change = (own.set_index(who)["P(AD)"] - plain["P(AD)"]).abs()
            right = (own[[f"P({name})" for name in GROUPS]].to_numpy().argmax(1) == _class(own)).mean()
            lines.append(
                f"| {field} | {way} | {_auc(own, 'AD')} | {_auc(own, 'MCI')} "
                f"| {own['logit'].corr(own['fraction']):.3f} | {right:.0%} "
                f"| {'-' if field == FIELDS[0] else f'{change.mean():.3f}, at most {change.max():.2f}'} | {len(own)} |"
            )
    return "\n".join(lines)


def _class(frame: pd.DataFrame) -> np.ndarray:
    return frame["group"].map(GROUPS.index).to_numpy()


def _auc(frame: pd.DataFrame, group: str) -> str:
    own = frame[frame["group"].isin(["CN", group])]
    return f"{auc(own['logit'].to_numpy(), (own['group'] == group).to_numpy()):.3f}"


def change_by_n4(frame: pd.DataFrame) -> str:
    """How far N4 itself moves the answer, in one sentence."""
    chances = frame.pivot(index=["anatomy", "subject", "field"], columns="way", values="P(AD)")
    moved = (chances["N4"] - chances["as it is"]).abs().groupby("field").agg(["mean", "max"])
    parts = [
        f"{moved.loc[field, 'mean']:.3f} (at most {moved.loc[field, 'max']:.2f}) under {field}" for field in FIELDS
    ]
    return f"N4 changes P(AD) by {' and '.join(parts)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("--brains", type=int, default=24, help="per label map")
    parser.add_argument("--choose", nargs="+", default=["02", "13"])
    parser.add_argument("--keep", type=Path, help="a folder in which registered label maps are kept")
    parser.add_argument("--rows", type=Path, help="a CSV that is added to; subjects that it holds are not done again")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    bundle = load_bundle(resource("Models", DEFAULT_MODEL))
    plain = bundle.metadata.preprocessing
    assert isinstance(plain, StepChain)
    bare = tuple(step for step in plain.steps if not isinstance(step, BiasCorrection))
    chains = {WAYS[0]: StepChain(bare), WAYS[1]: StepChain((BiasCorrection(), *bare))}
    frame = pd.read_csv(options.rows) if options.rows and options.rows.exists() else pd.DataFrame()
    done = set(zip(frame["anatomy"], frame["subject"], strict=True)) if len(frame) else set()
    paths = choose_label_maps(options.label_maps, HELD_OUT)
    anatomies = [cached_anatomy(path, options.keep) if options.keep else read_anatomy(path) for path in paths]
    fractions = [fractions_of(anatomy) for anatomy in anatomies]
    for index in range(options.brains):
        for number, anatomy in enumerate(anatomies):
            if (anatomy.name, index) in done:
                continue
            rows = rows_of(number, index, anatomy, fractions[number], bundle, chains)
            frame = pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)
            print(anatomy.name, index, f"{rows[0]['P(AD)']:.2f} {rows[1]['P(AD)']:.2f}", flush=True)
            if options.rows:
                frame.to_csv(options.rows, index=False)
    choosing = frame["anatomy"].isin([path.name.split(".")[0] for path in paths if is_called(path, options.choose)])
    parts = ["# Does N4 help the bundled classifier?"]
    for title, own in (("For the choice", frame[choosing]), ("The others", frame[~choosing])):
        parts.append(f"## {title} ({', '.join(dict.fromkeys(own['anatomy']))})\n\n{table(own)}\n\n{change_by_n4(own)}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
