"""What a model says of real, healthy scans, whether its maps add up, and how alike its mean maps are to a reference.

    python -m Testing.benchmarks.real_scans --model MODEL [--scans DIR] --out FOLDER [--trust fast] [--methods lrp]
    python -m Testing.benchmarks.real_scans --compare FOLDER --with OTHER_FOLDER

The first explains AD - CN (or ``--target``) of Colin27, which ships, and of the ``*_T1w.nii.gz`` of DIR; a scan that is
in FOLDER already, by the same weights, is not explained again. It prints a row for each scan, and for each map how many
of its checks fail. The second compares the mean maps of two folders over the scans that both have: rank correlation by
region of their sizes, beside the reference mirrored, shifted, and random maps. Nothing is chosen by these scans.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mri_interpret as mi
import numpy as np
import pandas as pd
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.atomic import replacing, write_text
from mri_interpret.attribution.registry import DEFAULT_METHODS
from mri_interpret.checks.reference_map import compare, read_references
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.models.registry import DEFAULT_MODEL, find_model
from mri_interpret.simulation.anatomy import MODEL_GRID

from Testing.benchmarks.volume_real_scans import scan_paths


def explain(path: Path, options: argparse.Namespace, weights: str) -> dict[str, Any]:
    """One scan's facts; its maps on the model's grid are stored beside them."""
    name = path.name.split(".")[0]
    kept = options.out / f"{name}.json"
    if kept.exists():
        facts: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if facts["weights"] == weights:
            return facts
    found = mi.explain(path, model=options.model, target=options.target, methods=options.methods, trust=options.trust)
    anatomy = found.anatomy
    assert anatomy is not None
    hippocampi = sum(anatomy.structure(f"{side}-Hippocampus").ml for side in ("Left", "Right"))
    facts = {
        "scan": name,
        "weights": weights,
        "answer": found.prediction.predicted,
        "probabilities": found.prediction.probabilities,
        "explained": found.target.value,
        "hippocampal fraction, per mille": 1e3 * hippocampi / anatomy.intracranial_ml,
        "sums": {key: float(np.sum(one.template.array, dtype=np.float64)) for key, one in found.maps.items()},
        "verdicts": [[row.method, row.check, row.verdict, row.value, row.sentence] for row in found.verdicts],
        "excluded": found.summary_details.excluded,
    }
    maps = {key: one.template for key, one in found.maps.items()} | {"summary": found.summary_template}
    first = next(iter(maps.values()))
    with replacing(options.out / f"{name}.npz") as aside:
        arrays = {key: one.array.astype(np.float32) for key, one in maps.items()}
        np.savez_compressed(aside, affine=first.affine, inside=found.model_input.array > 0, **arrays)
    write_text(kept, json.dumps(facts, indent=1) + "\n")
    return facts


def answers_table(facts: list[dict[str, Any]]) -> str:
    """A row for each scan."""
    lines = [
        "| scan | answer | AD probability | explained value | hippocampal fraction, per mille | LRP's sum |",
        "|---|---|---|---|---|---|",
    ]
    for one in facts:
        chance = one["probabilities"].get("AD", float("nan"))
        total = one["sums"].get("lrp", float("nan"))
        lines.append(
            f"| {one['scan']} | {one['answer']} | {chance:.3f} | {one['explained']:.3f} "
            f"| {one['hippocampal fraction, per mille']:.2f} | {total:.3f} ({total / one['explained'] - 1:+.1%}) |"
        )
    return "\n".join(lines)


def checks_table(facts: list[dict[str, Any]]) -> str:
    """For each map (or the model) and check, on how many scans it fails, of how many it applies to."""
    rows = pd.DataFrame(
        [(one["scan"], *row[:4]) for one in facts for row in one["verdicts"]],
        columns=["scan", "map", "check", "verdict", "value"],
    )
    applies = rows[rows["verdict"] != "not applicable"]
    lines = ["| map | check | fails | values |", "|---|---|---|---|"]
    for (name, check), part in applies.groupby(["map", "check"], sort=False):
        failed = int((part["verdict"] == "fail").sum())
        if failed:
            values = ", ".join(f"{value:.2f}" for value in part["value"])
            lines.append(f"| {name} | {check} | {failed} of {len(part)} | {values} |")
    return "\n".join(lines)


def mean_maps(folder: Path, scans: list[str]) -> tuple[dict[str, Volume], np.ndarray]:
    """Mean over scans of the sizes of each map, each divided by its mean in the brain, on the grid of the first; and
    where all of them have brain."""
    total: dict[str, np.ndarray] = {}
    affine, brain = np.eye(4), np.ones(1, dtype=bool)
    for name in scans:
        with np.load(folder / f"{name}.npz") as stored:
            affine, inside = stored["affine"], stored["inside"]
            brain = inside if brain.size == 1 else brain & inside
            for key in set(stored.files) - {"affine", "inside"}:
                size = np.abs(stored[key])
                total[key] = total.get(key, 0.0) + np.where(inside, size / size[inside].mean(), 0) / len(scans)
    return {key: Volume(values.astype(np.float32), affine, key) for key, values in total.items()}, brain


def compared(folder: Path, other: Path) -> pd.DataFrame:
    """Mean maps of one folder against the mean maps of the other, by voxel and by region, on the simulator's grid."""
    scans = sorted({path.stem for path in folder.glob("*.json")} & {path.stem for path in other.glob("*.json")})
    (mine, brain), (theirs, _) = mean_maps(folder, scans), mean_maps(other, scans)
    first = next(iter(mine.values()))
    grid: Grid = MODEL_GRID
    labels = np.asarray(resample(load_default_atlas().volume, grid, order=0).array)
    inside = resample(Volume(brain.astype(np.float32), first.affine), grid, order=0).array > 0
    maps = {key: np.asarray(resample(one, grid).array) for key, one in mine.items()}
    print(f"{len(scans)} scans: {', '.join(scans)}")
    return compare(maps, read_references(theirs), inside, labels, grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name, or a bundle's folder")
    parser.add_argument("--scans", type=Path, help="folder of further real scans; skipped where it is absent")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--target", default="AD-CN")
    parser.add_argument("--methods", nargs="+", default=list(DEFAULT_METHODS))
    parser.add_argument("--trust", default="fast", choices=("off", "fast", "full"))
    parser.add_argument("--compare", type=Path, help="folder of a former run")
    parser.add_argument("--with", dest="other", type=Path, help="folder of another model's run")
    options = parser.parse_args()
    if options.compare and options.other:
        print(compared(options.compare, options.other).to_string(index=False))
        return
    if options.out is None:
        parser.error("give --out, or --compare and --with")
    options.out.mkdir(parents=True, exist_ok=True)
    weights = find_model(options.model).hash
    facts = []
    for path in scan_paths(options.scans):
        facts.append(explain(path, options, weights))
        print(facts[-1]["scan"], "done", flush=True)
    print(answers_table(facts), "\n\n", checks_table(facts), sep="")


if __name__ == "__main__":
    main()
