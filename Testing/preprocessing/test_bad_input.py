"""Preprocessing that cannot be right, carried out as the main job does: warned of or refused in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.volume import Volume
from mri_interpret.preprocessing.pipeline import PreprocessedScan, preprocess
from mri_interpret.preprocessing.steps.chain import read_steps

from Testing.fixtures_explanation import MODEL_GRID, make_explanation

GRID = {key: MODEL_GRID[key] for key in ("shape", "spacing", "origin")}


@pytest.fixture(scope="module")
def phantom() -> Explanation:
    return make_explanation(signs=(1, 1, -1))  # in template space: nothing to register


def prepared(phantom: Explanation, *steps: dict[str, Any], mask: Volume | None = None) -> PreprocessedScan:
    chosen = phantom.mask if mask is None else mask
    return preprocess(phantom.scan, read_steps(list(steps), "metadata.json"), mask=chosen, space="mni")


def test_a_grid_that_cuts_the_brain_is_warned_of(phantom: Explanation) -> None:
    whole = prepared(phantom, {"step": "mask"}, {"step": "registration", **GRID}, {"step": "intensity"})
    assert not any("is cut off" in sentence for sentence in whole.input_warnings)
    lower = {**GRID, "origin": [-94, -127, -40]}
    cut = prepared(phantom, {"step": "mask"}, {"step": "registration", **lower}, {"step": "intensity"})
    (sentence,) = [one for one in cut.input_warnings if "is cut off" in one]
    assert "grid holds only" in sentence


def test_a_grid_beside_the_brain_is_refused(phantom: Explanation) -> None:
    far = {**GRID, "origin": [500, 500, 500]}
    for steps in ([{"step": "registration", **far}], [{"step": "registration", **far}, {"step": "intensity"}]):
        with pytest.raises(UserError, match=r"registration.* grid holds nothing of the brain") as caught:
            prepared(phantom, *steps)
        assert "\n" not in str(caught.value)


def test_a_grid_that_cuts_nearly_the_whole_brain_away_is_refused(phantom: Explanation) -> None:
    inside = np.argwhere(phantom.mask.array > 0)
    corner = phantom.mask.affine @ [*inside[inside[:, 2].argmax()], 1]
    voxels = {"shape": [12, 12, 12], "spacing": [1, 1, 1], "origin": [float(at) for at in corner[:3]]}
    with pytest.raises(UserError, match=r"holds 0\.\d% of its brain") as caught:
        prepared(phantom, {"step": "mask"}, {"step": "registration", **voxels})
    assert "\n" not in str(caught.value)


def test_an_empty_mask_is_refused_before_anything_is_scaled_by_it(phantom: Explanation) -> None:
    empty = phantom.mask.with_array(np.zeros_like(phantom.mask.array))
    with pytest.raises(UserError, match="holds 0 ml"):
        prepared(phantom, {"step": "mask"}, {"step": "intensity", "method": "zscore"}, mask=empty)


def test_a_stripped_scan_for_a_network_of_whole_heads_is_refused(phantom: Explanation) -> None:
    stripped = phantom.scan.with_array(phantom.scan.array * (phantom.mask.array > 0))
    steps = read_steps([{"step": "registration", **GRID}, {"step": "intensity", "over": "volume"}], "metadata.json")
    with pytest.raises(UserError, match="is skull-stripped"):
        preprocess(stripped, steps, mask=phantom.mask, space="mni")


def test_axes_that_no_step_sets_are_told_where_they_are_unusual(phantom: Explanation) -> None:
    zoom = {"step": "zoom", "shape": [40, 40, 40]}
    turned = prepared(phantom, {"step": "mask"}, zoom, {"step": "intensity"})
    assert "axes to R, A, I, as its file lies" in turned.input_warnings[0]
    upright = prepared(phantom, {"step": "orientation"}, {"step": "mask"}, zoom, {"step": "intensity"})
    assert upright.input_warnings == ()
