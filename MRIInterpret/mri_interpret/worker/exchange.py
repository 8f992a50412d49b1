"""An Explanation in a folder, so that it can pass from the worker process to Slicer. Nothing is pickled.

Arrays are .npy files in Fortran order, which is VTK's, so that they can be mapped into memory. What a scene shows of it
passes on its own, see :mod:`scene.content_files`: this is for scripts and for the report.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.verdict import Verdict
from ..errors import UserError
from ..explanation.explanation import Explanation, MethodMap, ModelInfo, Prediction, Region, Registration, Target
from ..images.array_files import Written, read_volume

if TYPE_CHECKING:
    import pandas as pd

_VOLUMES = (
    "scan",
    "mask",
    "summary",
    "consensus",
    "summary_template",
    "consensus_template",
    "model_input",
    "template_in_scan",
    "atlas_in_scan",
)
_VOLUMES_IF_THERE = ("spread", "spread_template")
_INDEX = "explanation.json"


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "columns": [str(name) for name in frame.columns],
        "dtypes": [str(kind) for kind in frame.dtypes],
        "rows": frame.astype(object).to_numpy().tolist(),
    }


def _frame(record: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(record["rows"], columns=record["columns"])
    return frame.astype(dict(zip(record["columns"], record["dtypes"], strict=True)))


def _plain(value: Any) -> Any:
    """What JSON cannot hold, as near as it can."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    return str(value)


def write_explanation(explanation: Explanation, folder: Path, written: Written | None = None) -> None:
    """Save everything into ``folder``, which exists; the index comes last, so a folder without it is incomplete.

    ``written`` knows which arrays lie in the folder already.
    """
    written = written if written is not None else Written(folder)
    record: dict[str, Any] = {name: written.record(getattr(explanation, name), name) for name in _VOLUMES}
    for name in _VOLUMES_IF_THERE:
        volume = getattr(explanation, name)
        record[name] = None if volume is None else written.record(volume, name)
    record["maps"] = [
        {
            "name": one.name,
            "title": one.title,
            "signed": one.signed,
            "units": one.units,
            "seconds": one.seconds,
            "details": one.details,
            "native": written.record(one.native, f"native_{number}"),
            "template": written.record(one.template, f"template_{number}"),
        }
        for number, one in enumerate(explanation.maps.values())
    ]
    record["keys"] = list(explanation.maps)
    for name in ("model", "prediction", "target"):
        record[name] = asdict(getattr(explanation, name))
    record["registration"] = asdict(explanation.registration)
    record["regions"] = [asdict(region) for region in explanation.regions]
    record["region_table"] = _table(explanation.region_table)
    record["agreement"] = _table(explanation.agreement)
    record["atlas_name"] = explanation.atlas_name
    record["warnings"] = list(explanation.warnings)
    record["verdicts"] = [asdict(verdict) for verdict in explanation.verdicts]
    record["provenance"] = explanation.provenance
    (folder / _INDEX).write_text(json.dumps(record, default=_plain), encoding="utf-8")


def read_explanation(folder: Path) -> Explanation:
    """The explanation that :func:`write_explanation` saved. Its arrays live in the folder's files: keep them.

    Raises
    ------
    UserError
        If the folder does not hold a complete explanation.
    """
    try:
        record = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        maps = {
            key: MethodMap(
                native=read_volume(one.pop("native"), folder), template=read_volume(one.pop("template"), folder), **one
            )
            for key, one in zip(record.pop("keys"), record.pop("maps"), strict=True)
        }
        registration = Registration(**record.pop("registration"))
        model = record.pop("model")
        model["classes"] = tuple(model["classes"])
        volumes: dict[str, Any] = {name: read_volume(record[name], folder) for name in _VOLUMES}
        for name in _VOLUMES_IF_THERE:
            volumes[name] = None if record[name] is None else read_volume(record[name], folder)
        return Explanation(
            **volumes,
            maps=maps,
            model=ModelInfo(**model),
            prediction=Prediction(**record["prediction"]),
            target=Target(**record["target"]),
            regions=tuple(Region(r["label"], r["name"], tuple(r["colour"])) for r in record["regions"]),
            region_table=_frame(record["region_table"]),
            agreement=_frame(record["agreement"]),
            registration=replace(registration, to_template=np.array(registration.to_template, float)),
            warnings=tuple(record["warnings"]),
            atlas_name=record["atlas_name"],
            provenance=record["provenance"],
            verdicts=tuple(Verdict(**v) for v in record["verdicts"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The worker's result in {folder} cannot be read ({error}): run Explain again.") from error
