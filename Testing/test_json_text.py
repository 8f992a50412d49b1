"""Whatever the libraries return becomes plain JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.json_text import jsonable, to_json


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


def test_tensors_and_unknown_objects_become_plain() -> None:
    torch = pytest.importorskip("torch")
    assert jsonable({"weights": torch.tensor([1.0, float("nan")]), "kind": complex(1, 2)}) == {
        "weights": [1.0, None],
        "kind": "(1+2j)",
    }
