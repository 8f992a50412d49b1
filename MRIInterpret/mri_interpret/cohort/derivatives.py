"""An explanation as BIDS derivatives: NIfTI maps with sidecars, tables, the prediction and the report page."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pandas as pd

from .. import __version__
from ..atomic import replacing, write_text
from ..explanation.explanation import Explanation
from ..images.volume import Volume
from ..images.writing import Space, save_nifti
from ..report.jsonable import prediction_record, provenance_record, to_json
from ..report.page import report_page
from .bids import NATIVE_SPACE, TEMPLATE_SPACE, derivative

_DRAWING = threading.Lock()  # matplotlib's settings are global: one page at a time in a process
README = """MRIInterpret: relevance maps of a cohort, as BIDS derivatives.

sub-*/anat/*_relevance.nii.gz   attribution maps, raw, in logit units; desc- names the method, or the summary score
sub-*/anat/*_dseg.nii.gz        consensus labels: top voxels of at least 1 half, 2 two thirds, 3 all of the methods
sub-*/anat/*_T1w.nii.gz         what the network saw
sub-*/*_regions.tsv             relevance per atlas region
sub-*/*_prediction.json         the model's answer
sub-*/*_report.html             the subject's page
group/                          group maps and tables
report.html                     the cohort's page

space-{template}: ICBM152 2009a symmetric. space-{native}: the scan's own grid.
Research use only, not for diagnosis.
"""


def write_derivatives(
    explanation: Explanation, folder: Path, prefix: str, *, native: bool = True, page: bool = True
) -> dict[str, Path]:
    """Write one subject.

    Parameters
    ----------
    explanation
        What the main job returned.
    folder
        The subject's (session's) folder; anat/ is made in it.
    prefix
        "sub-01" or "sub-01_ses-a".
    native
        Write the maps on the scan's grid too.
    page
        Write the report page.

    Returns
    -------
    dict
        Path by what it is: "template/<method>", "template/summary", "native/<method>", "regions", "prediction", ...
    """
    anat = folder / "anat"
    written: dict[str, Path] = {}
    for space, world in (("template", TEMPLATE_SPACE), ("native", NATIVE_SPACE)):
        if space == "native" and not native:
            continue
        code: Space = "mni" if space == "template" or explanation.registration.method == "none" else "scanner"
        for name, volume, about in _maps(explanation, space):
            suffix = "dseg" if name == "consensus" else "relevance"
            path = anat / derivative(prefix, suffix, space=world, desc=name)
            save_nifti(volume, path, space=code, labels=suffix == "dseg", description=f"MRIInterpret {name}")
            written[f"{space}/{name}"] = path
            sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
            write_text(sidecar, to_json(about))
            written[f"{space}/{name}/sidecar"] = sidecar
    written["template/T1w"] = save_nifti(
        explanation.model_input, anat / derivative(prefix, "T1w", space=TEMPLATE_SPACE, desc="preproc"), space="mni"
    )
    written["native/mask"] = save_nifti(
        explanation.mask, anat / derivative(prefix, "mask", space=NATIVE_SPACE, desc="brain"), labels=True
    )
    for name, frame in (("regions", explanation.region_table), ("agreement", explanation.agreement)):
        written[name] = write_tsv(frame, folder / f"{prefix}_{name}.tsv")
    records = {"prediction": prediction_record(explanation), "provenance": provenance_record(explanation)}
    for name, record in records.items():
        written[name] = folder / f"{prefix}_{name}.json"
        write_text(written[name], to_json(record))
    if page:
        with _DRAWING:
            text = report_page(explanation, in_3d=False)  # a quarter of the time of the page
        written["page"] = folder / f"{prefix}_report.html"
        write_text(written["page"], text)
    return written


def _maps(explanation: Explanation, space: str) -> list[tuple[str, Volume, dict[str, Any]]]:
    """Name, volume and sidecar of each map."""
    template = space == "template"
    scan = {"Sources": [explanation.scan.name], "SkullStripped": True, "SpatialReference": "MNI152NLin2009aSym"}
    if not template:
        scan["SpatialReference"] = "orig"
    maps = [
        (
            name,
            method.template if template else method.native,
            {
                "Description": f"{method.title}: {method.details.get('description', '')}".strip(": "),
                "Units": method.units,
                "Signed": method.signed,
                "Reference": str(method.details.get("reference", "")),
                "Target": explanation.target.name,
                **scan,
            },
        )
        for name, method in explanation.maps.items()
    ]
    score = explanation.summary_template if template else explanation.summary
    consensus = explanation.consensus_template if template else explanation.consensus
    labels = {"1": "at least half of the methods", "2": "at least two thirds", "3": "all methods"}
    return [
        *maps,
        (
            "summary",
            score,
            {
                "Description": "Summary score over all methods",
                "Units": "share of the highest value in the brain, 0 to 1",
                **scan,
            },
        ),
        ("consensus", consensus, {"Description": "Voxels in the top 5 % of several methods", "Levels": labels, **scan}),
    ]


def write_dataset(output: Path, sources: list[str]) -> None:
    """The files that make a folder a BIDS derivatives data set."""
    description = {
        "Name": "MRIInterpret relevance maps",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "MRIInterpret", "Version": __version__, "Description": "Attribution maps of a 3D CNN"}
        ],
        "SourceDatasets": [{"URL": source} for source in sources],
    }
    write_text(output / "dataset_description.json", to_json(description))
    write_text(output / "README", README.format(template=TEMPLATE_SPACE, native=NATIVE_SPACE))
    ignored = [
        "group/",
        "logs/",
        "report.html",
        "cohort.mrb",
        "failures.tsv",
        "sub-*/**/*_result.json",
        "**/*_relevance.*",
    ]
    ignored += ["sub-*/**/*_report.html", "**/*_prediction.json", "**/*_provenance.json", "**/*_regions.tsv"]
    write_text(output / ".bidsignore", "\n".join([*ignored, "**/*_agreement.tsv"]) + "\n")


def write_tsv(frame: pd.DataFrame, path: Path) -> Path:
    """A table as BIDS wants it: tab-separated, n/a for what is missing."""
    with replacing(path) as aside:
        frame.to_csv(aside, sep="\t", index=False, na_rep="n/a", lineterminator="\n", encoding="utf-8")
    return path
