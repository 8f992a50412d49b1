"""An explanation passes through files and comes out the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from mri_interpret.checks.verdict import Verdict
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.volume import Volume
from mri_interpret.worker.exchange import read_explanation, write_explanation


def same(one, two, where):
    if isinstance(one, Volume):
        np.testing.assert_array_equal(one.array, two.array, err_msg=where)
        assert one.array.dtype == two.array.dtype, where
        np.testing.assert_array_equal(one.affine, two.affine, err_msg=where)
        assert one.name == two.name, where
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=1e-12)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=where)
    elif isinstance(one, dict):
        assert list(one) == list(two), where
        for key in one:
            same(one[key], two[key], f"{where}[{key}]")
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(two, field.name), f"{where}.{field.name}")
    elif isinstance(one, tuple):
        assert len(one) == len(two), where
        for index, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{where}[{index}]")
    elif isinstance(one, float) and math.isnan(one):
        assert math.isnan(two), where
    else:
        assert one == two, where


@pytest.fixture
def judged(small_explanation: Explanation) -> Explanation:
    verdicts = (
        Verdict("lrp", "conservation", 0.01, 0.05, "pass", "It adds up."),
        Verdict("summary", "randomisation", math.nan, math.nan, "not applicable", "No network of its own."),
    )
    one = next(iter(small_explanation.maps.values()))
    return dataclasses.replace(small_explanation, verdicts=verdicts, spread=one.native, spread_template=one.template)


def test_everything_comes_back(judged, tmp_path):
    write_explanation(judged, tmp_path)
    same(judged, read_explanation(tmp_path), "explanation")


def test_every_field_is_carried(judged, tmp_path):
    """A field added to Explanation later must not be lost on the way: all fields are told apart from their defaults."""
    write_explanation(judged, tmp_path)
    back = read_explanation(tmp_path)
    for field in dataclasses.fields(Explanation):
        if field.default is not dataclasses.MISSING:
            assert getattr(judged, field.name) != field.default, f"give {field.name} a value in this test"
            assert getattr(back, field.name) != field.default


def test_nothing_is_pickled(judged, tmp_path):
    write_explanation(judged, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy", ".json"}
    for path in tmp_path.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_an_incomplete_folder_is_one_clear_sentence(judged, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_explanation(tmp_path)
    write_explanation(judged, tmp_path)
    (tmp_path / "summary.npy").unlink()
    with pytest.raises(UserError, match="run Explain again"):
        read_explanation(tmp_path)
