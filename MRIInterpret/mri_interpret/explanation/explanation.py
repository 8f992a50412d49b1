"""What the main job returns: prediction, maps, summary, regions, and all that is needed to judge and show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..anatomy.atlas import Region
from ..anatomy.segmentation import Segmentation
from ..anatomy.top_regions import top_regions
from ..anatomy.volumes import volume_table
from ..checks.verdict import Verdicts, as_table
from ..images.volume import Volume
from ..json_text import jsonable
from ..progress import ProgressCallback, silent
from .answer_words import PRESENT, answer_words, explained_value
from .counterfactual import Counterfactual
from .facts import MethodMap, ModelInfo, Prediction, Provenance, Registration, SummaryDetails, Target
from .layout import PLAIN, Layout
from .notebook import banner_html, facts_html, list_html, pictures_html, probabilities_html
from .notebook_planes import planes_html
from .notebook_volumes import volumes_html
from .saved_folder import SavedFolder, SavedVolume, VolumeStorage, write_folder
from .volume_words import volume_statements

if TYPE_CHECKING:
    import pandas as pd

    from ..images.writing import Space

__all__ = [
    "Explanation",
    "MethodMap",
    "ModelInfo",
    "Prediction",
    "Provenance",
    "Region",
    "Registration",
    "SummaryDetails",
    "Target",
]


@dataclass(frozen=True)
class Explanation:
    """The result of explaining one scan."""

    scan: Volume  # as it was read: its own grid and intensities
    mask: Volume  # brain, uint8 0/1, on the scan's grid
    model: ModelInfo
    prediction: Prediction
    target: Target
    maps: dict[str, MethodMap]  # in the order the methods were asked for
    summary: Volume  # 0..1, on the scan's grid
    consensus: Volume  # uint8 labels on the scan's grid: top voxels of at least 1 half, 2 two thirds, 3 all methods
    # How far the methods in the summary disagree: standard deviation of their ranks in the brain, 0 to 0.5.
    spread: Volume  # on the scan's grid
    summary_template: Volume  # 0..1, on the model's grid
    consensus_template: Volume  # uint8, on the model's grid
    spread_template: Volume  # on the model's grid
    summary_details: SummaryDetails
    model_input: Volume  # what the network saw: on the model's grid, normalised, 0 outside the brain
    template_in_scan: Volume  # the template's T1 brain (0..1) on the scan's grid, to check the registration by eye
    atlas_name: str  # of the regions on the scan's grid: this brain's own structures, or an atlas
    atlas_in_scan: Volume  # their labels on the scan's grid
    regions: tuple[Region, ...]
    region_table: pd.DataFrame  # columns: see anatomy/region_statistics.py
    agreement: pd.DataFrame  # one row for each pair of methods: see summary.py
    registration: Registration
    verdicts: Verdicts  # of the trust checks; empty if they were off
    warnings: tuple[str, ...]  # sentences that every output must show
    provenance: Provenance
    anatomy: Segmentation | None = None  # of this brain; None in results of versions that did not segment
    input_warnings: tuple[str, ...] = ()  # those of the warnings that the input check gave
    # What the volume methods say of each structure, see anatomy/structure_changes.py; None if none of them was asked.
    volume_changes: pd.DataFrame | None = None
    counterfactuals: dict[str, Counterfactual] = field(default_factory=dict)  # by the method's key
    # How alike the maps are to maps from elsewhere, see checks/reference_map.py; None if none was given.
    reference_table: pd.DataFrame | None = None

    def save(
        self,
        folder: str | Path,
        *,
        progress: ProgressCallback = silent,
        layout: Layout = PLAIN,
        storage: VolumeStorage | None = None,
    ) -> dict[str, Path]:
        """Write everything into a folder that :func:`mri_interpret.load` opens again.

        Parameters
        ----------
        folder
            Made if it is missing. A result that lies there is replaced; other files in it are never touched.
        progress
            Told after each volume; may raise :class:`~mri_interpret.errors.Cancelled`.
        layout
            How files are called: the layout of the command line, or BIDS derivatives.
        storage
            How volumes are stored: compressed NIfTI if left out, or .npy files to be mapped into memory.

        Returns
        -------
        dict
            Path by name: "maps/<method>" (scan's grid), "template/<method>" (model's grid), each also for "summary",
            "consensus" and "spread"; "scan/scan", "scan/mask", "scan/atlas" (where an atlas was laid over the brain),
            "scan/template"; "anatomy" (FreeSurfer's labels), "volumes"; "regions", "agreement", "trust" (if checks were
            run), "reference" (if a map to compare with was given), "prediction", "provenance", and the index,
            "explanation". Of volume methods, "volume_changes"; of a counterfactual also "counterfactual" (the deformed
            scan) and "displacement" (for ITK).

        Raises
        ------
        UserError
            If the folder or a file cannot be written, or another file has the name of one of the result's. A result
            that lay there is then complete as it was.
        """
        fields = {f"displacement{one.suffix}": one.displacement for one in self.counterfactuals.values()}
        content = SavedFolder(self._volumes(), self._tables(), self._records(), self._facts(), fields)
        return write_folder(Path(folder).expanduser(), content, layout, storage, progress)

    def prediction_record(self) -> dict[str, Any]:
        """What ``prediction.json`` holds: the answer, what of it was explained, by which model, and every warning."""
        model, target = self.model, self.target
        return {
            "scan": self.scan.name,
            "kind": model.output.kind,
            **self._answer_record(),
            "predicted": self.prediction.predicted,
            "target": vars(target),
            "model": {"name": model.name, "version": model.version, "hash": model.hash, "banner": model.banner},
            "warnings": list(self.warnings),
        }

    def _answer_record(self) -> dict[str, Any]:
        output = self.model.output
        if not output.is_quantity:
            answer: dict[str, Any] = {"probabilities": self.prediction.probabilities, "logits": self.prediction.logits}
            if output.has_labels:  # several may be present, or none; "predicted" is the likeliest all the same
                answer["present"] = [name for name, p in self.prediction.probabilities.items() if p > PRESENT]
            return answer | self._members_record()
        (name,) = output.classes
        about = {"quantity": name, "value": self.prediction.logits[name], "unit": output.unit}
        return about | {"range": output.value_range, "anchors": output.anchors} | self._members_record()

    def _members_record(self) -> dict[str, Any]:
        """How far the networks of the model disagree; nothing of a model of one network."""
        found = self.prediction
        return {} if found.members_sd is None else {"members_sd": found.members_sd, "members": found.members}

    def provenance_record(self) -> dict[str, Any]:
        """What ``provenance.json`` holds: how the result was made; durations in seconds, affines in RAS mm."""
        made, registration, target = self.provenance, self.registration, self.target
        grid = {"shape": made.model_grid_shape, "affine": made.model_grid_affine}
        return {
            "mri_interpret": made.versions.get("mri-interpret", __version__),
            "created": made.created,
            "versions": made.versions,
            "platform": made.platform,
            "device": made.device,
            "seeds": made.seeds,
            "input": {
                "name": self.scan.name,
                "file": made.scan_file,
                "sha256_of_voxels_and_affine": made.scan_hash,
                "shape": self.scan.shape,
                "affine": self.scan.affine,
                "further_inputs": made.further_inputs,
            },
            "parameters": {
                "mask": made.mask,
                "space": made.space,
                "trust": made.trust,
                "target": vars(target),
                "methods": {name: one.details for name, one in self.maps.items()},
                "summary": vars(self.summary_details),
            },
            "preprocessing": {
                "brain_mask": made.brain_mask,
                "from_cache": made.from_cache,
                "template": made.template,
                "registration": registration.method,
                "scan_to_template_ras": registration.to_template,
                "correlation": registration.correlation,
                "overlap": registration.overlap,
                "offset_mm": registration.offset_mm,
                "verdict": registration.verdict,
            },
            "model": {
                "name": self.model.name,
                "version": self.model.version,
                "sha256": self.model.hash,
                "grid": grid,
                "temperature": made.temperature,
                "output": self.model.output,
            },
            "atlas": self.atlas_name,
            "anatomy": self._anatomy_facts(),
            "methods": {
                name: {"title": one.title, "signed": one.signed, "units": one.units, "outside_brain": one.outside_brain}
                for name, one in self.maps.items()
            },
            "agreement": {"kendall_w": self.summary_details.kendall_w},
            "seconds": made.seconds,
            "method_seconds": {name: one.seconds for name, one in self.maps.items()},
            "peak_memory_bytes": made.peak_memory_bytes,
        }

    def _repr_html_(self) -> str:
        """For notebooks: banner, prediction, warnings, summary score over the scan, top regions, verdicts."""
        top, output = top_regions(self.region_table), self.model.output
        answer = answer_words(self.prediction, output)
        facts = [
            ("Scan", self.scan.name or "(no name)"),
            ("Predicted", answer.sentence if output.is_quantity else answer.headline),
            *([("±", answer.legend)] if answer.legend else []),
            ("Explained", f"{self.target.name} = {explained_value(self.target, output)}"),
            ("Model", f"{self.model.name} {self.model.version}"),
            ("Registration", self.registration.sentence),
            ("Methods", ", ".join(one.title for one in self.maps.values())),
        ]
        gains = [
            f"{name} {gain:.1f} times the brain's mean" for name, gain in zip(top.names, top.rows["gain"], strict=True)
        ]
        said = [sentence for one in volume_statements(self) for sentence in one.all]
        return (
            f"<div>{banner_html(self.model.banner)}{facts_html(facts)}"
            f"{probabilities_html(self.prediction)}{list_html('Warnings', self.warnings)}"
            f"<p><b>Summary score</b> (0 to 1; brighter means more)</p>"
            f"{pictures_html(self.summary, signed=False, scan=self.scan, mask=self.mask)}"
            f"{planes_html(self)}{list_html(top.sentence, gains)}{list_html('What would have to change', said)}"
            f"{volumes_html(self.anatomy)}"
            f"{self.verdicts._repr_html_() if self.verdicts else ''}</div>"
        )

    def _volumes(self) -> dict[str, SavedVolume]:
        # A scan that needed no registration lies in template space already; any other world is the scanner's.
        native: Space = "mni" if self.registration.method == "none" else "scanner"
        volumes: dict[str, SavedVolume] = {}

        def add(key: str, volume: Volume, world: Space, about: str, labels: bool = False) -> None:
            volumes[key] = SavedVolume(volume, world, labels, f"MRIInterpret {about}")

        for name, one in self.maps.items():
            add(f"maps/{name}", one.native, native, f"{one.title}, {one.units}")
            add(f"template/{name}", one.template, "mni", f"{one.title}, {one.units}")
        for key, world, score, labels, spread in (
            ("maps", native, self.summary, self.consensus, self.spread),
            ("template", "mni", self.summary_template, self.consensus_template, self.spread_template),
        ):
            add(f"{key}/summary", score, world, "summary score 0..1")
            add(f"{key}/consensus", labels, world, "consensus labels", labels=True)
            add(f"{key}/spread", spread, world, "spread of the methods' ranks")
        add("template/input", self.model_input, "mni", "model input")
        add("scan/scan", self.scan, native, "scan")
        add("scan/mask", self.mask, native, "brain mask", labels=True)
        if self.anatomy is not None:
            add("anatomy", self.anatomy.labels, native, "anatomy, FreeSurfer labels", labels=True)
        if self.anatomy is None or self.atlas_in_scan is not self.anatomy.labels:
            add("scan/atlas", self.atlas_in_scan, native, "atlas labels", labels=True)
        add("scan/template", self.template_in_scan, native, "template on the scan's grid")
        for deformed in self.counterfactuals.values():
            add(f"counterfactual{deformed.suffix}", deformed.scan, native, "counterfactual: the scan deformed")
        return volumes

    def _tables(self) -> dict[str, pd.DataFrame]:
        tables = {"regions": self.region_table, "agreement": self.agreement}
        tables |= {"volumes": volume_table(self.anatomy)} if self.anatomy is not None else {}
        tables |= {"volume_changes": self.volume_changes} if self.volume_changes is not None else {}
        tables |= {"reference": self.reference_table} if self.reference_table is not None else {}
        return tables | ({"trust": as_table(self.verdicts)} if self.verdicts else {})

    def _records(self) -> dict[str, dict[str, Any]]:
        return {"prediction": self.prediction_record(), "provenance": self.provenance_record()}

    def _facts(self) -> dict[str, Any]:
        """What is neither a volume nor a table; :mod:`.saving` makes the types of it again."""
        facts = {name: vars(getattr(self, name)) for name in ("model", "prediction", "target", "registration")}
        facts |= {name: vars(getattr(self, name)) for name in ("summary_details", "provenance")}
        maps = [
            {name: value for name, value in vars(one).items() if name not in ("native", "template")} | {"key": key}
            for key, one in self.maps.items()
        ]
        regions = [vars(region) for region in self.regions]
        record: dict[str, Any] = jsonable(
            facts
            | {"maps": maps, "regions": regions, "atlas_name": self.atlas_name}
            | {"warnings": self.warnings, "input_warnings": self.input_warnings}
            | ({"anatomy": self._anatomy_facts()} if self.anatomy is not None else {})
            | {"counterfactuals": [one.facts() for one in self.counterfactuals.values()]}
        )
        return record

    def _anatomy_facts(self) -> dict[str, Any] | None:
        """What the volume and the table of the anatomy do not hold."""
        if self.anatomy is None:
            return None
        found = self.anatomy
        return {
            "source": found.source,
            "made_by": found.made_by,
            "intracranial_ml": found.intracranial_ml,
            "warnings": list(found.warnings),
        }
