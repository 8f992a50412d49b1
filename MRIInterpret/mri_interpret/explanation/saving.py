"""Open a saved explanation again, and save one in steps. Writing is :meth:`Explanation.save`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import numpy as np

from ..anatomy.atlas import Region
from ..anatomy.segmentation import Segmentation
from ..anatomy.volumes import structures_of
from ..checks.verdict import Verdict, Verdicts
from ..errors import UserError
from ..images.volume import Volume
from .counterfactual import Counterfactual, CounterfactualFacts, file_suffix
from .explanation import Explanation
from .facts import MethodMap, ModelInfo, Prediction, Provenance, Registration, SummaryDetails, Target
from .folder_reader import FolderReader

if TYPE_CHECKING:
    import cattrs
    import pandas as pd


def load(folder: str | Path) -> Explanation:
    """Open a folder that an explanation was saved to.

    Parameters
    ----------
    folder
        What :meth:`Explanation.save` or ``mri-interpret explain`` wrote, one subject's folder of a cohort, or its
        ``*explanation.json``.

    Returns
    -------
    Explanation
        As it was saved: volumes to the last bit, tables, verdicts, provenance. A cohort's subjects are saved without
        the scan itself; it is then read from where it was, and must be unchanged.

    Raises
    ------
    UserError
        If the folder holds no saved explanation, is incomplete, was changed, or was saved by a newer version; or if
        the scan of a cohort's subject is not where it was, or is another one.
    """
    reader = FolderReader(Path(folder).expanduser())
    make = _converter().structure
    facts = reader.facts
    try:
        provenance = make(facts["provenance"], Provenance)
        maps = {
            one["key"]: MethodMap(
                native=reader.volume(f"maps/{one['key']}"),
                template=reader.volume(f"template/{one['key']}"),
                **{name: value for name, value in one.items() if name not in ("key", "outside_brain")},
                outside_brain=math.nan if one["outside_brain"] is None else float(one["outside_brain"]),
            )
            for one in facts["maps"]
        }
        anatomy = _anatomy(reader)
        return Explanation(
            scan=_scan(reader, provenance),
            mask=reader.volume("scan/mask"),
            model=make(_with_output(facts["model"]), ModelInfo),
            prediction=make(facts["prediction"], Prediction),
            target=make(facts["target"], Target),
            maps=maps,
            summary=reader.volume("maps/summary"),
            consensus=reader.volume("maps/consensus"),
            spread=reader.volume("maps/spread"),
            summary_template=reader.volume("template/summary"),
            consensus_template=reader.volume("template/consensus"),
            spread_template=reader.volume("template/spread"),
            summary_details=make(facts["summary_details"], SummaryDetails),
            model_input=reader.volume("template/input"),
            template_in_scan=reader.volume("scan/template"),
            atlas_name=facts["atlas_name"],
            atlas_in_scan=_atlas_in_scan(reader, anatomy),
            regions=tuple(make(one, Region) for one in facts["regions"]),
            region_table=reader.table("regions"),
            agreement=reader.table("agreement"),
            registration=make(facts["registration"], Registration),
            verdicts=_verdicts(reader.table("trust")) if reader.has_table("trust") else Verdicts(),
            warnings=tuple(facts["warnings"]),
            provenance=provenance,
            anatomy=anatomy,
            input_warnings=tuple(facts.get("input_warnings", ())),
            volume_changes=reader.table("volume_changes") if reader.has_table("volume_changes") else None,
            counterfactuals=_counterfactuals(reader, make),
            reference_table=reader.table("reference") if reader.has_table("reference") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise UserError(
            f"The explanation in {reader.folder} cannot be read ({type(error).__name__}: {error}): explain again."
        ) from error


def save_mapped_steps(explanation: Explanation, folder: Path) -> Iterator[None]:
    """Save an explanation for another process, uncompressed, in steps of some milliseconds, but for the last one.

    Parameters
    ----------
    explanation
        What to save.
    folder
        Is made.
    """
    from ..images.array_files import ArrayFiles
    from .saved_folder import MappedFiles

    folder.mkdir()
    written = ArrayFiles(folder)
    for number, entry in enumerate(explanation._volumes().values()):
        yield from written.record_steps(entry.volume, f"volume_{number}")
    explanation.save(folder, storage=MappedFiles(written))


def _with_output(model: dict[str, Any]) -> dict[str, Any]:
    """The facts of a model; results of earlier versions were of classes, and did not say so."""
    return {"output": {"kind": "logits", "classes": model["classes"]}} | model


def _scan(reader: FolderReader, provenance: Provenance) -> Volume:
    """The scan: stored, or read again from the file that was explained."""
    if reader.has_volume("scan/scan"):
        return reader.volume("scan/scan")
    from ..images.conversion import as_scan
    from ..preprocessing.cache import content_hash

    if not provenance.scan_file or not Path(provenance.scan_file).exists():
        where = provenance.scan_file or "the scan, which came from no file,"
        raise UserError(
            f"{reader.folder} was saved without its scan, and {where} is not there: put it back, or explain again."
        )
    scan = as_scan(provenance.scan_file)
    if content_hash(scan) != provenance.scan_hash:
        raise UserError(f"{provenance.scan_file} is not the scan that {reader.folder} was made from: explain it again.")
    return scan


def _anatomy(reader: FolderReader) -> Segmentation | None:
    facts = reader.facts.get("anatomy")
    if facts is None:  # saved by a version that did not segment
        return None
    return Segmentation(
        labels=reader.volume("anatomy"),
        structures=structures_of(reader.table("volumes")),
        intracranial_ml=float(facts["intracranial_ml"]),
        source=facts["source"],
        warnings=tuple(facts["warnings"]),
        made_by=str(facts["made_by"]),
    )


def _counterfactuals(reader: FolderReader, make: Any) -> dict[str, Counterfactual]:
    found = {}
    for facts in reader.facts.get("counterfactuals", ()):
        known, suffix = make(facts, CounterfactualFacts), file_suffix(facts["method"])
        found[known.method] = Counterfactual(
            **vars(known),
            scan=reader.volume(f"counterfactual{suffix}"),
            displacement=reader.field(f"displacement{suffix}"),
        )
    return found


def _atlas_in_scan(reader: FolderReader, anatomy: Segmentation | None) -> Volume:
    own = anatomy is not None and not reader.has_volume("scan/atlas")
    return anatomy.labels if own and anatomy is not None else reader.volume("scan/atlas")


def _verdicts(table: pd.DataFrame) -> Verdicts:
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return Verdicts(Verdict(**row) for row in rows)


def _converter() -> cattrs.Converter:
    """From JSON values to types: null is a float that was not measured, lists are arrays or tuples again."""
    import cattrs

    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(float, lambda value, _: math.nan if value is None else float(value))
    converter.register_structure_hook_func(
        lambda kind: kind is np.ndarray or get_origin(kind) is np.ndarray, lambda value, _: np.array(value, float)
    )
    return converter
