"""Whatever the libraries return becomes plain JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.jsonable import prediction_record, provenance_record, to_json


def test_numpy_paths_and_nan_become_plain() -> None:
    value = {
        "array": np.arange(4.0).reshape(2, 2),
        "scalar": np.float32(0.5),
        "flag": np.bool_(True),
        1: (Path("a") / "b", {"z", "y"}),
        "nan": float("nan"),
        "infinite": np.array([np.inf, 1.0]),
        "none": None,
        "umlaut": "Söhne",
    }
    text = to_json(value)
    assert json.loads(text) == {
        "array": [[0.0, 1.0], [2.0, 3.0]],
        "scalar": 0.5,
        "flag": True,
        "1": ["a/b", ["y", "z"]],
        "nan": None,
        "infinite": [None, 1.0],
        "none": None,
        "umlaut": "Söhne",
    }
    assert "Söhne" in text


def test_the_prediction_is_keyed_by_class(small_explanation: Explanation) -> None:
    record = json.loads(to_json(prediction_record(small_explanation)))
    assert list(record["probabilities"]) == ["CN", "MCI", "AD"]
    assert record["logits"]["AD"] == 1.93
    assert record["predicted"] == "AD"
    assert record["target"] == {"name": "AD", "weights": {"CN": 0.0, "MCI": 0.0, "AD": 1.0}, "value": 1.93}
    assert record["model"]["hash"] == "0f" * 32
    assert record["warnings"] == list(small_explanation.warnings)


def test_provenance_keeps_what_the_main_job_recorded(small_explanation: Explanation) -> None:
    record = json.loads(to_json(provenance_record(small_explanation)))
    assert record["input_hash"] == small_explanation.provenance["input_hash"]
    np.testing.assert_allclose(record["registration"]["to_template"], small_explanation.registration.to_template)
    assert record["methods"]["lrp"]["seconds"] == 1.9
    assert record["methods"]["lrp"]["details"] == {"conservation_error": 0.004}
