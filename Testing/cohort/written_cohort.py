"""A finished cohort by formula: maps with a blob in the left hippocampus that grows from CN to AD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.freesurfer import name_of, reader_name
from mri_interpret.anatomy.region_statistics import RegionStatistics
from mri_interpret.anatomy.segmentation import Segmentation, Structure
from mri_interpret.anatomy.volumes import volume_table
from mri_interpret.cohort.derivatives import write_dataset, write_tsv
from mri_interpret.cohort.group_maps import template_brain
from mri_interpret.cohort.planning import Options, Plan, make_plan
from mri_interpret.cohort.subject_result import write_record
from mri_interpret.cohort.subjects import Subject
from mri_interpret.images.volume import Array, Grid, Volume, resample
from mri_interpret.images.writing import save_nifti
from scipy import ndimage

from Testing.cohort.cohort_scans import write_scan

GROUPS = ["CN"] * 5 + ["MCI"] + ["AD"] * 5
WRONG = {1: "AD", 9: "CN"}  # subjects (from 0) that the model is made to call otherwise
ERRORS = [2.0, -1.0, 0.5, 3.0, -2.0, 0.0, 4.0, 1.0, -3.0, 2.5, -0.5]  # of a model that returns the age, in years
STRENGTH = {"CN": 0.0, "MCI": 3.0, "AD": 12.0}
METHODS = ("lrp", "grad_cam")
NOISE_MM = 4.0  # Gaussian sigma: smoother noise would stand out in small regions
INTRACRANIAL_ML = 1500.0  # of the first subject; one more for each other


def anatomy_of(place: int) -> Segmentation:
    """A brain whose left hippocampus is the smaller, the stronger the blob, and whose right one is not."""
    left = 4.0 - 0.1 * STRENGTH[GROUPS[place]] - 0.01 * place
    ml = {17: left, 53: 4.0 + 0.01 * (place % 3), 14: 1.0 + 0.1 * place, 1006: 2.0, 2006: 2.1}
    whole = INTRACRANIAL_ML + place
    structures = [
        Structure(label, name, reader_name(name), volume, volume / whole, 0.1, True)
        for label, volume in ml.items()
        for name in [name_of(label)]
    ]
    nothing = Volume(np.zeros((1, 1, 1), np.int16), np.eye(4))
    return Segmentation(nothing, tuple(sorted(structures, key=lambda one: one.label)), whole, "network")


def map_of(grid: Grid, place: int, method: str) -> Array:
    """Smooth noise of the subject's own, and the blob, inside the brain: (I, J, K), float32."""
    rng = np.random.default_rng(100 * place + len(method))
    noise = ndimage.gaussian_filter(rng.normal(size=grid.shape), NOISE_MM / grid.spacing[0])
    index = np.moveaxis(np.indices(grid.shape), 0, -1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    blob = np.exp(-0.5 * (np.linalg.norm(index - [-26, -20, -15], axis=-1) / 7) ** 2)
    values = (noise / noise.std() + STRENGTH[GROUPS[place]] * blob) * template_brain(grid)
    return np.round(values, 2).astype(np.float32)  # rounded, because that is quicker to compress


def write_finished_cohort(folder: Path, bundle: Path) -> Plan:
    """Write scans, table and complete subjects; the plan then has nothing left to run."""
    scan = write_scan(folder / "scan.nii.gz", 0)
    rows = [
        "\t".join(
            [f"S{place:02d}", group, str(60 + place), "FM"[place % 2], f"{4000 - 100 * STRENGTH[group]:.0f}", scan.name]
        )
        for place, group in enumerate(GROUPS)
    ]
    head = "participant_id\tgroup\tage\tsex\tLeft-Hippocampus\tpath"
    (folder / "participants.tsv").write_text("\n".join([head, *rows]) + "\n")
    options = Options(model=str(bundle), methods=METHODS, mask="none", space="mni", native=False, permutations=60)
    table, output = folder / "participants.tsv", folder / "out"
    plan = make_plan(table, output, options)
    write_dataset(output, [])
    atlas = load_default_atlas()
    labels = resample(atlas.volume, plan.grid, order=0)
    statistics = RegionStatistics(labels, labels.array > 0, atlas, "template")
    for place, subject in enumerate(plan.cohort.subjects):
        _write_subject(plan, subject, place, statistics)
    again = make_plan(table, output, options)
    assert not again.jobs
    return again


def _write_subject(plan: Plan, subject: Subject, place: int, statistics: RegionStatistics) -> None:
    folder = plan.output / subject.folder
    maps = {method: map_of(plan.grid, place, method) for method in METHODS}
    maps["summary"] = np.clip(maps["lrp"] / 10 + 0.5, 0, 1)
    files = {}
    for name, array in maps.items():
        path = folder / "anat" / f"{subject.name}_{name}.nii.gz"
        files[f"template/{name}"] = save_nifti(Volume(array, plan.grid.affine), path, space="mni")
    table = statistics.table(maps)
    files["regions"] = write_tsv(pd.concat([table, table.assign(space="native")]), folder / "regions.tsv")
    files["page"] = folder / f"{subject.name}_report.html"
    files["page"].write_text("<!DOCTYPE html><title>a subject</title>")
    files["provenance"] = folder / f"{subject.name}_provenance.json"
    summary = {"weights": {"lrp": 1.0}, "excluded": {"grad_cam": "it does not find what was changed"}}
    record = {"parameters": {"summary": summary}, "anatomy": {"intracranial_ml": INTRACRANIAL_ML + place}}
    files["provenance"].write_text(json.dumps(record))
    files["volumes"] = write_tsv(volume_table(anatomy_of(place)), folder / f"{subject.name}_volumes.tsv")
    write_record(folder, subject, plan.keys[subject.name], {**_answer(plan, subject, place), **_ABOUT}, files)


def deviation_of(place: int, name: str) -> float:
    """Standard deviation of a class's probability over the networks of the model."""
    return 0.01 * (1 + place) + 0.001 * len(name)


def _members(plan: Plan, place: int) -> dict[str, Any]:
    """How far three networks disagree; nothing of the first subject, as in a record of an earlier version."""
    deviations = {name: deviation_of(place, name) for name in plan.cohort.classes}
    return {"members_sd": deviations, "members": 3} if place else {}


_ABOUT = {
    "methods": {
        "lrp": {"title": "LRP", "signed": True, "units": "logit per model voxel"},
        "grad_cam": {"title": "Grad-CAM", "signed": False, "units": "logit"},
    },
    "registration": "good",
    "warnings": [],
    "seconds": {"explaining": 3.0, "writing": 1.0},
    "peak_memory_bytes": 10**9,
}


def _answer(plan: Plan, subject: Subject, place: int) -> dict[str, Any]:
    if plan.model.output.is_quantity:
        (name,) = plan.model.output.classes
        value = 60 + place + ERRORS[place]
        prediction = {"predicted": f"{name} {value:g} years", "probabilities": {}, "logits": {name: value}}
        prediction |= {"members_sd": {name: 1.5}, "members": 3}
        return {"prediction": prediction, "target": {"name": name, "value": value}}
    predicted = WRONG.get(place, subject.group)
    sure = 0.5 + 0.03 * place
    probabilities = {name: sure if name == predicted else (1 - sure) / 2 for name in plan.cohort.classes}
    return {
        "prediction": {
            "predicted": predicted,
            "probabilities": probabilities,
            "logits": {name: float(np.log(value)) for name, value in probabilities.items()},
            **_members(plan, place),
        },
        "target": {"name": "AD - CN", "value": float(np.log(probabilities["AD"] / probabilities["CN"]))},
    }
