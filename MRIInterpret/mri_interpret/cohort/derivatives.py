"""A saved explanation as BIDS derivatives: names, sidecars and the report page; and the data set's own files."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .. import __version__
from ..anatomy.segmentation import Segmentation
from ..anatomy.structures_as_regions import as_regions
from ..atomic import replacing, write_text
from ..explanation.explanation import Explanation
from ..explanation.layout import Layout
from ..json_text import to_json
from ..report.page import report_page
from .bids import NATIVE_SPACE, TEMPLATE_SPACE, derivative, label
from .output_folder import MADE_BY

_DRAWING = threading.Lock()  # matplotlib's settings are global: one page at a time in a process
README = """MRIInterpret: relevance maps of a cohort, as BIDS derivatives.

sub-*/anat/*_relevance.nii.gz   attribution maps, raw, units in the sidecars; desc- names the method or summary score
sub-*/anat/*_dseg.nii.gz        desc-consensus: top voxels of at least 1 half, 2 two thirds, 3 all of the methods;
                                desc-aparcaseg: structures of this brain, FreeSurfer's labels (names in its .tsv)
sub-*/anat/*_T1w.nii.gz         what the network saw
                                desc-counterfactual: the scan deformed for another answer
sub-*/anat/*_xfm.nii.gz         the displacement that deforms it
sub-*/*_volume_changes.tsv      what volume methods say of each structure
sub-*/*_volumes.tsv             volume of each structure, and how far to trust it
sub-*/*_regions.tsv             relevance per region: of this brain (native), of the atlas (template)
sub-*/*_prediction.json         the model's answer
sub-*/*_trust.tsv               verdicts of the checks of the maps
sub-*/*_reference.tsv           how alike the maps are to maps from elsewhere
sub-*/*_explanation.json        what opens the subject again: mri-interpret report sub-01, mri_interpret.load("sub-01")
sub-*/*_report.html             the subject's page
group/                          group maps and tables
report.html                     the cohort's page

space-{template}: ICBM152 2009a symmetric. space-{native}: the scan's own grid.
Research use only, not for diagnosis.
"""


# Volumes that are no maps: desc entity and suffix.
_SPECIAL = {
    "template/input": ("preproc", "T1w"),
    "scan/mask": ("brain", "mask"),
    "scan/atlas": ("atlas", "dseg"),
    "anatomy": ("aparcaseg", "dseg"),
    "scan/template": ("template", "T1w"),
}
_COUNTERFACTUAL, _DISPLACEMENT = "counterfactual", "displacement"  # keys begin so


class BidsDerivatives(Layout):
    """The layout of a saved explanation as BIDS derivatives of one subject.

    Parameters
    ----------
    prefix
        "sub-01" or "sub-01_ses-a".
    native
        Store what lies on the scan's grid too; without it, :func:`mri_interpret.load` cannot open the folder again.
    sidecars
        What the JSON file beside each volume says, by the volume's key.
    """

    table_suffix = ".tsv"
    missing = "n/a"
    drawn = ()

    def __init__(self, prefix: str, native: bool, sidecars: Mapping[str, dict[str, Any]]) -> None:
        self.index = f"{prefix}_{Layout.index}"
        self._prefix = prefix
        self._native = native
        self._sidecars = sidecars

    def volume(self, key: str) -> str | None:
        """The scan itself is not copied: it is read again from where it was."""
        place, _, name = key.partition("/")
        if key.startswith(_DISPLACEMENT):
            to = label(key.replace(_DISPLACEMENT, _COUNTERFACTUAL, 1))
            return f"anat/{self._prefix}_from-{NATIVE_SPACE}_to-{to}_mode-image_xfm" if self._native else None
        if key.startswith(_COUNTERFACTUAL):
            name = derivative(self._prefix, "T1w", "", space=NATIVE_SPACE, desc=key)
            return f"anat/{name}" if self._native else None
        if key == "scan/scan" or not (self._native or place == "template" or key in ("scan/mask", "anatomy")):
            return None
        desc, suffix = _SPECIAL.get(key, (name, "dseg" if name == "consensus" else "relevance"))
        space = TEMPLATE_SPACE if place == "template" else NATIVE_SPACE
        return f"anat/{derivative(self._prefix, suffix, '', space=space, desc=desc)}"

    def table(self, name: str) -> str:
        return f"{self._prefix}_{name}{self.table_suffix}"

    def record(self, name: str) -> str:
        return f"{self._prefix}_{name}.json"

    def sidecar(self, key: str) -> dict[str, Any] | None:
        return self._sidecars.get(key)


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
        Path by what it is, see :meth:`Explanation.save`; sidecars as "<volume>/sidecar", the table of the anatomy's
        labels as "anatomy/labels", the report as "page".
    """
    sidecars = _sidecars(explanation, "template", TEMPLATE_SPACE) | _sidecars(explanation, "maps", NATIVE_SPACE)
    if explanation.anatomy is not None:
        sidecars["anatomy"] = {
            "Description": "Structures of this brain, FreeSurfer's labels (aseg, Desikan-Killiany parcels)",
            "Sources": [explanation.scan.name],
            "GeneratedBy": explanation.anatomy.made_by,
            "IntracranialVolume_ml": explanation.anatomy.intracranial_ml,
            "Atlas": "Desikan-Killiany",
            "Manual": False,
        }
    for one in explanation.counterfactuals.values():
        sidecars[f"{_COUNTERFACTUAL}{one.suffix}"] = {
            "Description": f"What this brain would look like to reach {one.goal}",
            "Sources": [explanation.scan.name],
            "SkullStripped": False,
            "SpatialReference": NATIVE_SPACE,
            "Reached": one.reached,
            "Plausible": one.plausible,
        }
    written = explanation.save(folder, layout=BidsDerivatives(prefix, native, sidecars))
    if explanation.anatomy is not None:
        path = folder / "anat" / derivative(prefix, "dseg", ".tsv", space=NATIVE_SPACE, desc="aparcaseg")
        written["anatomy/labels"] = write_tsv(label_table(explanation.anatomy), path)
    if page:
        with _DRAWING:
            text = report_page(explanation, in_3d=False)  # a quarter of the time of the page
        written["page"] = folder / f"{prefix}_report.html"
        write_text(written["page"], text)
    return written


def label_table(anatomy: Segmentation) -> pd.DataFrame:
    """The table that BIDS wants beside a segmentation: index, name, color (hexadecimal)."""
    regions = as_regions(anatomy).regions
    return pd.DataFrame(
        {
            "index": [region.label for region in regions],
            "name": [region.name for region in regions],
            "color": ["#" + "".join(f"{round(255 * part):02X}" for part in region.colour) for region in regions],
        }
    )


def _sidecars(explanation: Explanation, place: str, space: str) -> dict[str, dict[str, Any]]:
    """By the key of each map, what its sidecar says."""
    scan = {"Sources": [explanation.scan.name], "SkullStripped": True, "SpatialReference": space}
    about = {
        f"{place}/{name}": {
            "Description": f"{method.title}: {method.details.get('description', '')}".strip(": "),
            "Units": method.units,
            "Signed": method.signed,
            "Reference": str(method.details.get("reference", "")),
            "Target": explanation.target.name,
            **scan,
        }
        for name, method in explanation.maps.items()
    }
    levels = {"1": "at least half of the methods", "2": "at least two thirds", "3": "all methods"}
    about[f"{place}/summary"] = {
        "Description": "Summary score over all methods",
        "Units": "share of the highest value in the brain, 0 to 1",
        **scan,
    }
    about[f"{place}/consensus"] = {
        "Description": "Voxels in the top 5 % of several methods",
        "Levels": levels,
        **scan,
    }
    about[f"{place}/spread"] = {
        "Description": "Disagreement of the methods: standard deviation of their ranks in the brain",
        "Units": "0 to 0.5",
        **scan,
    }
    return about


def write_dataset(output: Path, sources: list[str]) -> None:
    """The files that make a folder a BIDS derivatives data set."""
    description = {
        "Name": "MRIInterpret relevance maps",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": MADE_BY, "Version": __version__, "Description": "Attribution maps of a 3D CNN"}],
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
    ignored += [
        "**/*_volumes.tsv",
        "**/*_volume_changes.tsv",
        "**/*_xfm.*",
        "**/*_agreement.tsv",
        "**/*_trust.tsv",
        "**/*_reference.tsv",
        "**/*_explanation.json",
    ]
    write_text(
        output / ".bidsignore",
        "\n".join(ignored) + "\n",
    )


def write_tsv(frame: pd.DataFrame, path: Path) -> Path:
    """A table as BIDS wants it: tab-separated, n/a for what is missing."""
    with replacing(path) as aside:
        frame.to_csv(aside, sep="\t", index=False, na_rep="n/a", lineterminator="\n", encoding="utf-8")
    return path
