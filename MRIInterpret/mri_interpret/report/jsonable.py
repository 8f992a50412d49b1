"""Results as JSON: numbers, names and arrays of any library become what every JSON reader understands."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..explanation.explanation import Explanation


def jsonable(value: Any) -> Any:
    """``value`` with NumPy scalars and arrays, paths, tuples and sets replaced; NaN and infinities become null."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((jsonable(item) for item in value), key=str)
    return value.as_posix() if isinstance(value, Path) else str(value)


def to_json(value: Any) -> str:
    """Indented JSON, UTF-8 letters kept, with a newline at the end."""
    return json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def prediction_record(explanation: Explanation) -> dict[str, Any]:
    """What ``prediction.json`` holds: the answer, what of it was explained, by which model, and every warning."""
    prediction, target, model = explanation.prediction, explanation.target, explanation.model
    return {
        "scan": explanation.scan.name,
        "probabilities": prediction.probabilities,
        "logits": prediction.logits,
        "predicted": prediction.predicted,
        "target": {"name": target.name, "weights": target.weights, "value": target.value},
        "model": {"name": model.name, "version": model.version, "hash": model.hash, "banner": model.banner},
        "warnings": list(explanation.warnings),
    }


def provenance_record(explanation: Explanation) -> dict[str, Any]:
    """What ``provenance.json`` holds: what the main job recorded, and how the scan lies and each map was made."""
    registration = explanation.registration
    made = {
        "mri_interpret": __version__,
        "registration": {
            "method": registration.method,
            "to_template": registration.to_template,
            "correlation": registration.correlation,
            "overlap": registration.overlap,
            "verdict": registration.verdict,
        },
        "scan_grid": {"shape": explanation.scan.shape, "affine": explanation.scan.affine},
        "model_grid": {"shape": explanation.model_input.shape, "affine": explanation.model_input.affine},
        "atlas": explanation.atlas_name,
        "methods": {
            method.name: {
                "title": method.title,
                "signed": method.signed,
                "units": method.units,
                "seconds": method.seconds,
                "details": method.details,
            }
            for method in explanation.maps.values()
        },
    }
    return {**made, **explanation.provenance}  # what the main job knows better stays
