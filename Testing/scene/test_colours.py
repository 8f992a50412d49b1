"""The shipped colour tables: what the generator makes, centred, ordered by lightness, transparent near zero."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.planes.colour_scale import read_colour_table
from mri_interpret.resources import resource
from mri_interpret.scene.colours import (
    CONSENSUS,
    SEQUENTIAL,
    SIGNED,
    WITH_SIGN,
    WITHOUT_SIGN,
)
from mri_interpret.scene_content.display_range import HIDDEN, display_range, summary_range

from Testing.tools import make_colour_tables as generator


def rgba(name):
    return np.array([colour for _, colour in read_colour_table(name)])


@pytest.mark.parametrize("name", [CONSENSUS, *WITH_SIGN, *WITHOUT_SIGN])
def test_what_ships_is_what_the_generator_makes(name):
    assert resource("ColorTables", f"{name}.ctbl").read_text("utf-8") == generator.tables()[f"{name}.ctbl"]


@pytest.mark.parametrize("name", WITH_SIGN)
def test_lightness_changes_with_relevance_and_equally_on_both_sides(name):
    lightness = generator.srgb_to_lab(rgba(name)[:, :3])[:, 0]
    middle = len(lightness) // 2
    steps = np.diff(lightness[middle:])
    assert (steps > 0).all() or (steps < 0).all()
    np.testing.assert_allclose(lightness, lightness[::-1], atol=1.0)


@pytest.mark.parametrize("name", [*WITHOUT_SIGN, *WITH_SIGN])
def test_the_tables_are_perceptually_uniform(name):
    """Lightness goes one way from zero, and no step is several times another, as in a rainbow."""
    table = rgba(name)[:, :3]
    lab = generator.srgb_to_lab(table if name in WITHOUT_SIGN else table[len(table) // 2 :])
    assert len(set(np.sign(np.diff(lab[::8, 0])))) == 1
    steps = np.linalg.norm(np.diff(lab[::8], axis=0), axis=1)
    assert steps.max() < 3.5 * steps.min()


def test_signs_have_colours_that_cannot_be_confused():
    table = rgba(SIGNED)
    assert (table[:90, 2] > table[:90, 0]).all()  # blue below zero
    assert (table[-90:, 0] > table[-90:, 2]).all()  # red above


def test_values_near_zero_are_transparent():
    signed, sequential = rgba(SIGNED)[:, 3], rgba(SEQUENTIAL)[:, 3]
    np.testing.assert_array_equal(signed, np.abs(np.linspace(-1, 1, len(signed))) >= HIDDEN)
    assert (sequential == 1).all()  # a display threshold hides what is low: the user can move it
    assert rgba(CONSENSUS)[0, 3] == 0


def test_the_display_range_is_symmetric_for_signed_maps_and_ignores_outliers():
    values = np.concatenate([np.zeros(5000), np.linspace(-1, 2, 10_000), [1e6]])
    signed, unsigned = display_range(values, True), display_range(values, False)
    assert signed.lower == -signed.upper
    assert unsigned.lower == 0
    assert 1.9 < signed.upper < 2.1
    assert signed.hidden_below == pytest.approx(HIDDEN * signed.upper)


def test_an_empty_map_still_has_a_range():
    assert display_range(np.zeros((3, 3, 3)), True).upper == 1.0


def test_the_summary_shows_the_top_fifth_of_the_brain():
    values = np.concatenate([np.zeros(5000), np.linspace(0, 1, 1001)[1:]])
    limits = summary_range(values)
    assert limits.upper == 1.0
    assert (values >= limits.hidden_below).sum() == pytest.approx(200, abs=2)
    assert summary_range(np.zeros((2, 2, 2))).lower < summary_range(np.zeros((2, 2, 2))).upper
