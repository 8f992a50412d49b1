"""A simulated cohort on disk, laid out like a BIDS dataset: scans, effect maps, participants.tsv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic import write_text
from ..images.writing import save_nifti
from ..progress import ProgressCallback, silent
from .anatomy import Anatomy
from .atrophy import Fractions
from .disease import PUBLISHED, draw, fractions_for
from .groups import GROUPS, Subject
from .regions import NAMES_OF_REGIONS
from .simulate import simulated_scan
from .structures import INTRACRANIAL, NAMES, member
from .subject import SimulatedBrain

COLUMNS: tuple[str, ...] = (
    "participant_id",
    "path",
    "group",
    "age",
    "severity",
    "subtype",
    "hippocampal_fraction_per_mille",
    "left_hippocampus_mm3",
    "right_hippocampus_mm3",
    "amygdala_mm3",
    "lateral_ventricles_mm3",
    "inferior_lateral_ventricles_mm3",
    "cortex_mm3",
    "intracranial_mm3",
    "effect_map",
    "regions",
    "healthy_path",
    "base_anatomy",
    "seed",
)


@dataclass(frozen=True)
class CohortOptions:
    """What to write beside the scans of the diseased brains."""

    whole_head: bool = False
    healthy_twins: bool = False  # also each subject's scan without disease, same contrast and noise
    label_maps: bool = False
    in_template: bool = False  # scans as they lie in template space, not in a scanner
    disease: str = PUBLISHED


def write_cohort(
    folder: str | Path,
    anatomies: Sequence[Anatomy],
    number: int,
    seed: int,
    options: CohortOptions | None = None,
    progress: ProgressCallback = silent,
) -> Path:
    """Simulate ``number`` subjects; a subject depends on the seed, its number and its anatomy alone.

    Returns
    -------
    The participants table, written last.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    folder, options = Path(folder), options or CohortOptions()
    _write_description(folder, seed)  # first: a folder that cannot be written is told before any work is done
    prepared: dict[str, Fractions] = {}
    rows = []
    order = np.random.default_rng(seed).permutation(number)  # groups equally frequent, in no order
    for index in range(number):
        progress(f"Simulating subject {index + 1} of {number}", index / number)
        anatomy = anatomies[index % len(anatomies)]
        if anatomy.name not in prepared:
            prepared[anatomy.name] = fractions_for(anatomy, options.disease)
        rng = np.random.default_rng([seed, index])
        subject = draw(rng, GROUPS[int(order[index]) % len(GROUPS)], options.disease)
        rows.append(_write_subject(folder, index, anatomy, prepared[anatomy.name], subject, rng, options))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "participants.tsv", stream.getvalue())
    progress("Simulating subjects", 1.0)
    return folder / "participants.tsv"


def _write_subject(
    folder: Path,
    index: int,
    anatomy: Anatomy,
    fractions: Fractions,
    subject: Subject,
    rng: np.random.Generator,
    options: CohortOptions,
) -> dict[str, object]:
    made = simulated_scan(
        anatomy, fractions, subject, rng,
        whole_head=options.whole_head, healthy_twin=options.healthy_twins, in_template=options.in_template,
    )  # fmt: skip
    name = f"sub-{index + 1:04d}"
    anat, truth = Path(name) / "anat", Path("derivatives") / "truth" / name
    scan_path, effect_path = anat / f"{name}_T1w.nii.gz", truth / f"{name}_effect.nii.gz"
    save_nifti(made.scan, folder / scan_path)
    save_nifti(made.effect, folder / effect_path)
    healthy_path = ""
    if made.healthy is not None:
        healthy_path = str(truth / f"{name}_desc-healthy_T1w.nii.gz")
        save_nifti(made.healthy, folder / healthy_path)
    regions_path = ""
    if subject.is_published:
        regions_path = (truth / f"{name}_regions.tsv").as_posix()
        write_text(folder / regions_path, regions_table(made.brain))
    if options.label_maps:
        save_nifti(made.labels, folder / truth / f"{name}_dseg.nii.gz", labels=True)
    return {
        "participant_id": name,
        "path": scan_path.as_posix(),
        "group": subject.group,
        "age": f"{subject.age:.1f}",
        "severity": f"{subject.severity:.3f}",
        "subtype": subject.subtype or "n/a",
        **_volumes(made.brain, anatomy.scale * made.brain.scale),
        "effect_map": effect_path.as_posix(),
        "regions": regions_path or "n/a",
        "healthy_path": Path(healthy_path).as_posix() if healthy_path else "n/a",
        "base_anatomy": anatomy.name,
        "seed": made.seed,
    }


def regions_table(brain: SimulatedBrain) -> str:
    """What was drawn for each region of the published disease and what the brain reached, tab-separated, in log-volume.

    ``ageing_and_chance`` is against the healthy mean at 73 years, ``disease`` what the disease was to change,
    ``reached`` what it changed.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(("region", "ageing_and_chance", "disease", "reached"))
    for region in NAMES_OF_REGIONS:
        found = (
            brain.subject.variation[region],
            brain.subject.disease.get(region, 0.0),
            brain.changes.get(region, 0.0),
        )
        writer.writerow((region, *(f"{value:.4f}" for value in found)))
    return stream.getvalue()


def _volumes(brain: SimulatedBrain, scale: float) -> dict[str, str]:
    """mm^3 in the subject's own space."""
    counts = np.bincount(brain.labels.ravel(), minlength=len(NAMES)) / scale
    groups = {
        "left_hippocampus_mm3": np.array(NAMES) == "Left-Hippocampus",
        "right_hippocampus_mm3": np.array(NAMES) == "Right-Hippocampus",
        "amygdala_mm3": member("Amygdala"),
        "lateral_ventricles_mm3": member("Lateral-Ventricle"),
        "inferior_lateral_ventricles_mm3": member("Inf-Lat-Vent"),
        "cortex_mm3": member("Cerebral-Cortex"),
        "intracranial_mm3": INTRACRANIAL,
    }
    volumes = {name: f"{counts[table].sum():.0f}" for name, table in groups.items()}
    return {"hippocampal_fraction_per_mille": f"{brain.fraction:.3f}", **volumes}


def _write_description(folder: Path, seed: int) -> None:
    description = {
        "Name": "Simulated atrophy",
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "mri-interpret simulate", "Description": f"seed {seed}"}],
        "HowToAcknowledge": "Simulated scans: research use only, no patient was scanned.",
    }
    write_text(folder / "dataset_description.json", json.dumps(description, indent=2) + "\n")
    columns = {
        "group": {"Description": "CN, MCI or AD: drawn first; it sets the hippocampal fraction that is then reached"},
        "subtype": {"Description": "of the published disease: typical, limbic-predominant ...; n/a without disease"},
        "regions": {
            "Description": "log-volume of each region: drawn by age and chance, drawn and reached by the disease"
        },
        "severity": {"Description": "of the simulated disease: 0 in CN"},
        "hippocampal_fraction_per_mille": {"Description": "both hippocampi over the intracranial volume, counted"},
        "effect_map": {
            "Description": "change of log-volume by the disease alone at each place: negative where tissue shrank, "
            "positive where CSF took its place, 0 everywhere without disease"
        },
        "healthy_path": {"Description": "the same brain without the disease, same contrast, bias and noise"},
    }
    write_text(folder / "participants.json", json.dumps(columns, indent=2) + "\n")
