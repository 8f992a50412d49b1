"""What of a result becomes DICOM, whichever front end has it: maps, regions with what was measured, the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images.array_files import read_array_file, write_array_file_steps
from ..images.volume import Volume
from ..scene_content.content import SPREAD, SUMMARY

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation

CONSENSUS = "consensus"
_FACTS = "dicom_content.json"
_TITLES = {
    SUMMARY: ("Summary score", "0 to 1"),
    CONSENSUS: ("Consensus of the methods", "1 half, 2 two thirds, 3 all"),
    SPREAD: ("Spread of the methods", "standard deviation of ranks"),
}


@dataclass(frozen=True)
class ExportedMap:
    """A map on the scan's grid, raw."""

    key: str  # the registry's name of the method, "summary", "consensus" or "spread"
    title: str
    units: str
    volume: Volume  # float32


@dataclass(frozen=True)
class ExportedRegion:
    """A region of the label volume, and what was measured in it."""

    label: int
    name: str  # FreeSurfer's, or the atlas's
    reader_name: str
    colour: tuple[float, float, float]  # red, green, blue, 0 to 1
    volume_ml: float
    gain: float  # of the summary score: mean over that of the whole brain
    share: float  # of the summary score's total in the brain, 0 to 1


@dataclass(frozen=True)
class DicomContent:
    """A result, as far as it becomes DICOM."""

    maps: tuple[ExportedMap, ...]
    labels: Volume | None  # whole numbers on the scan's grid
    regions: tuple[ExportedRegion, ...]
    answer: str  # in words
    probabilities: Mapping[str, float]  # by class; empty for a quantity
    quantity: tuple[str, float, str] | None  # name, value and unit; None for classes
    explained: str  # the target
    model: str  # name and version
    segmented_by: str  # who or what made the labels
    banner: str
    warnings: tuple[str, ...]
    members_sd: Mapping[str, float] | None = None  # of each probability, or of the quantity, over the model's networks
    members: int = 1

    @property
    def remarks(self) -> str:
        """The banner and every warning, one to a line: each output must show them."""
        return "\n".join([self.banner, *self.warnings])


def content_of(explanation: Explanation) -> DicomContent:
    """What of an explanation becomes DICOM."""
    from ..explanation.answer_words import answer_words

    output, anatomy = explanation.model.output, explanation.anatomy
    maps = [(SUMMARY, *_TITLES[SUMMARY], explanation.summary)]
    maps += [(key, one.title, one.units, one.native) for key, one in explanation.maps.items()]
    maps += [(key, *_TITLES[key], getattr(explanation, key)) for key in (CONSENSUS, SPREAD)]
    quantity = None
    if output.is_quantity:
        (name,) = output.classes
        quantity = name, float(explanation.prediction.logits[name]), output.unit
    return DicomContent(
        maps=tuple(exported_map(*one) for one in maps),
        labels=explanation.atlas_in_scan,
        regions=exported_regions(
            explanation.region_table.to_dict("records"), {one.label: one.colour for one in explanation.regions}
        ),
        answer=answer_words(explanation.prediction, output).headline,
        probabilities=explanation.prediction.probabilities,
        members_sd=explanation.prediction.members_sd,
        members=explanation.prediction.members,
        quantity=quantity,
        explained=explanation.target.name,
        model=f"{explanation.model.name} {explanation.model.version}",
        segmented_by=anatomy.made_by if anatomy is not None else explanation.atlas_name,
        banner=explanation.model.banner,
        warnings=explanation.warnings,
    )


def exported_map(key: str, title: str, units: str, volume: Volume) -> ExportedMap:
    """A map; titles and units of the summary, the consensus and the spread are known."""
    title, units = _TITLES.get(key, (title, units))
    return ExportedMap(key, title, units, volume.with_array(np.asarray(volume.array, np.float32)))


def exported_regions(
    rows: Sequence[Mapping[Any, Any]], colours: Mapping[int, tuple[float, float, float]]
) -> tuple[ExportedRegion, ...]:
    """The regions of the scan's space, by label, from the rows of the table of regions (see regions.csv)."""
    from ..anatomy import freesurfer

    found = []
    for row in rows:
        label, name = int(row["label"]), str(row["region"])
        if row["method"] != SUMMARY or row["space"] != "native" or label <= 0:
            continue
        known = freesurfer.is_known(label) and freesurfer.name_of(label) == name
        found.append(
            ExportedRegion(
                label,
                name,
                freesurfer.reader_name(name) if known else name,
                colours.get(label, (0.5, 0.5, 0.5)),
                float(row["volume_mm3"]) / 1000,
                float(row["gain"]),
                float(row["share"]),
            )
        )
    return tuple(sorted(found, key=lambda one: one.label))


def write_content_steps(content: DicomContent, folder: Path) -> Iterator[None]:
    """Pass a content on to another process, in steps of some milliseconds each."""
    record: dict[str, Any] = {name: value for name, value in vars(content).items() if name not in ("maps", "labels")}
    record["regions"] = [vars(region) for region in content.regions]
    record["maps"], record["labels"] = [], None
    for number, one in enumerate(content.maps):
        stored = yield from write_array_file_steps(one.volume, folder, f"map{number}")
        record["maps"].append({"key": one.key, "title": one.title, "units": one.units, "volume": stored})
    if content.labels is not None:
        record["labels"] = yield from write_array_file_steps(content.labels, folder, "labels")
    (folder / _FACTS).write_text(json.dumps(record), encoding="utf-8")


def read_content(folder: Path) -> DicomContent:
    """What :func:`write_content_steps` wrote; voxels are mapped from its files."""
    record = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    maps = [{**one, "volume": read_array_file(one["volume"], folder)} for one in record["maps"]]
    labels, quantity = record["labels"], record["quantity"]
    return DicomContent(
        **{name: record[name] for name in ("answer", "probabilities", "explained", "model", "segmented_by", "banner")},
        maps=tuple(ExportedMap(**one) for one in maps),
        labels=None if labels is None else read_array_file(labels, folder),
        regions=tuple(ExportedRegion(**{**one, "colour": tuple(one["colour"])}) for one in record["regions"]),
        quantity=None if quantity is None else tuple(quantity),
        warnings=tuple(record["warnings"]),
        members_sd=record["members_sd"],
        members=record["members"],
    )
