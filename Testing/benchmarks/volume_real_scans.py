"""Real scans with the simulator's atrophy put in by deformation: do the volume methods find back what was put in?

    python -m Testing.benchmarks.volume_real_scans --bundle BUNDLE [--scans DIR] --work DIR -o DIR [--disease stylised]

Colin27, which ships, and the ``*_T1w.nii.gz`` of DIR. The deformation gives the template the published mean effects on
all regions, at severities 0.25 to 1 (or, stylised, shrinks the hippocampi and what goes with them,
``training/real_scans.py``); it hits a scan's own structures as well as the affine registration does. The
counterfactual is asked for the value that the network gave the scan before. Where fluid is, is not told. Nothing is
chosen by these scans.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.atomic import replacing, write_text
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject, strong_effect
from mri_interpret.benchmark.volume_truth import CORRELATION, REACHED, STRUCTURES, structure_shares
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.checks.volume_maps import COUNTERFACTUAL
from mri_interpret.deformation.displacement import COARSE, log_jacobian, resized, warp
from mri_interpret.images.reading import read_scan
from mri_interpret.images.volume import Volume
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.goals import Goal
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.resources import resource
from mri_interpret.simulation.anatomy import MODEL_GRID, PUBLISHED, STYLISED
from mri_interpret.simulation.published import mean_change
from mri_interpret.simulation.regional_drive import drive_regions
from mri_interpret.simulation.regions import NAMES_OF_REGIONS, regional_fractions
from mri_interpret.simulation.template_anatomy import template_anatomy
from mri_interpret.training.real_scans import SEVERITIES, atrophy_field, deformed

from Testing.benchmarks.volume_measurements import map_rows, methods_of
from Testing.benchmarks.volume_methods import FIRST

MEASURES = (
    ("gradient", "times chance"),
    ("volume_gradient", "times chance"),
    ("volume_gradient", CORRELATION),
    (COUNTERFACTUAL, "times chance"),
    (COUNTERFACTUAL, CORRELATION),
    (COUNTERFACTUAL, REACHED),
    (COUNTERFACTUAL, "hippocampus: asked"),
    (COUNTERFACTUAL, "hippocampus: would undo"),
    (COUNTERFACTUAL, "hippocampus: error"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--scans", type=Path, help="folder of further real scans; skipped where it is absent")
    parser.add_argument("--disease", choices=(PUBLISHED, STYLISED), default=PUBLISHED)
    parser.add_argument("--work", type=Path, required=True, help="where rows of each scan are kept")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    one = benchmarked_model(load_bundle(options.bundle), methods=["gradient"], disease=options.disease)
    found = list(scan_rows(one, scan_paths(options.scans), options.work, options.disease))
    rows = pd.concat(found, ignore_index=True)
    with replacing(options.output / "real_scans.csv") as aside:
        rows.to_csv(aside, index=False, float_format="%.4g")
    write_text(options.output / "real_scans.md", table(rows))


def scan_paths(folder: Path | None) -> list[Path]:
    """Colin27, and the T1-weighted scans of a folder if it is there."""
    further = sorted(folder.glob("*_T1w.nii.gz")) if folder is not None and folder.is_dir() else []
    return [resource("SampleData", "colin27_T1.nii.gz"), *further]


def scan_rows(one: BenchmarkedModel, paths: list[Path], work: Path, disease: str) -> Iterator[pd.DataFrame]:
    """The rows of each scan at each severity, measured where they are not in ``work`` yet."""
    for path in paths:
        prepared = None
        for severity in SEVERITIES[1:]:
            kept = work / f"{path.name.split('.')[0]} {severity:g}.csv"
            if not kept.exists():
                prepared = prepared or preprocess(read_scan(path), MODEL_GRID, cache=PreprocessingCache())
                frame = severity_rows(one, prepared.image, prepared.model_mask, severity, disease)
                frame = frame.assign(scan=path.name.split(".")[0], severity=severity)
                with replacing(kept) as aside:
                    frame.to_csv(aside, index=False, float_format="%.6g")
                print(kept.stem, flush=True)
            yield pd.read_csv(kept)


def severity_rows(one: BenchmarkedModel, image: Volume, mask: Volume, severity: float, disease: str) -> pd.DataFrame:
    """Method, measure and value for one scan with atrophy put in; before and after, what the network said."""
    given = with_truth(image, mask, severity, disease)
    under_test = replace(one.under_test, methods=methods_of(FIRST), slow={})
    network, target = under_test.network, list(under_test.target)
    whole = torch.from_numpy(np.ascontiguousarray(image.array, dtype=np.float32))[None, None]
    before, after = (float(explained_values(network, x, target)[0]) for x in (whole, given.image))
    rows = map_rows(under_test, network, given, "")
    back = replace(
        under_test, methods=methods_of((COUNTERFACTUAL,), goal=Goal("what the network said before", level=before))
    )
    rows += map_rows(back, network, given, "")
    frame = pd.DataFrame(rows, columns=["method", "measure", "value"])
    return frame.assign(before=before, after=after)


@lru_cache(maxsize=len(SEVERITIES))
def published_field(severity: float) -> torch.Tensor:
    """The displacement (3, i, j, k) in mm, backwards, that gives the template so much of AD's mean effects."""
    changes = {name: severity * mean_change(name, "AD") for name in NAMES_OF_REGIONS}
    return drive_regions(regional_fractions(template_anatomy()), torch.zeros(3, *COARSE), changes).u


def with_truth(image: Volume, mask: Volume, severity: float, disease: str) -> SimulatedSubject:
    """A preprocessed scan with atrophy of a severity, and what was done to it, as the benchmark knows subjects."""
    u = published_field(severity) if disease == PUBLISHED else atrophy_field(severity)
    seen, inside = deformed(image, mask, u)
    # Shares, not labels: the template's labels lie on the grid, where nearest neighbours hide moves below half a voxel.
    healthy = structure_shares(template_anatomy().labels)
    moved = warp(torch.from_numpy(np.stack([healthy[name] for name in STRUCTURES])), resized(u, MODEL_GRID.shape))
    shares = dict(zip(STRUCTURES, moved.numpy(), strict=True))
    effect = resized(-log_jacobian(u)[None], MODEL_GRID.shape)[0].numpy()
    return SimulatedSubject(
        name=f"{image.name} {severity:g}",
        group="AD",
        anatomy=image.name,
        image=seen[None, None],
        mask=inside.numpy(),
        effect=effect,
        truth=strong_effect(effect, inside.numpy()),
        hippocampus=shares["hippocampus"] >= 0.5,
        fraction=float("nan"),
        shares=shares,
        undoing={name: math.log(float(healthy[name].sum()) / float(shares[name].sum())) for name in STRUCTURES},
    )


def table(rows: pd.DataFrame) -> str:
    """Markdown: a line per severity with means (range over scans), then a line per scan and severity."""
    heads = [f"{method}: {measure}" for method, measure in MEASURES]
    lines = [
        f"Real scans with the simulated disease put in: {', '.join(rows['scan'].unique())}. Mean (range over scans).",
        "",
        f"| severity | AD less CN before | after | {' | '.join(heads)} |",
        "|---" * (len(heads) + 3) + "|",
    ]
    lines += [_line(f"{severity:g}", part) for severity, part in rows.groupby("severity")]
    lines += ["", f"| scan, severity | before | after | {' | '.join(heads)} |", "|---" * (len(heads) + 3) + "|"]
    lines += [_line(f"{scan}, {severity:g}", part) for (scan, severity), part in rows.groupby(["scan", "severity"])]
    return "\n".join(lines) + "\n"


def _line(title: str, part: pd.DataFrame) -> str:
    once = part.drop_duplicates("scan")
    cells = [_cell(once[name]) for name in ("before", "after")]
    for method, measure in MEASURES:
        cells.append(_cell(part[(part["method"] == method) & (part["measure"] == measure)]["value"]))
    return f"| {title} | {' | '.join(cells)} |"


def _cell(values: pd.Series) -> str:
    kept = values.dropna()
    if kept.empty:
        return ""
    span = f" ({kept.min():.2f} to {kept.max():.2f})" if len(kept) > 1 else ""
    return f"{kept.mean():.2f}{span}"


if __name__ == "__main__":
    main()
