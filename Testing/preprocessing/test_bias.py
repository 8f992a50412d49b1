"""The bias field: what N4 finds in one call, taken away where it lies, and cancelled between two calls."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.preprocessing.bias import fit_bias_field

SHAPE = (44, 40, 36)
SPACING = (2.0, 2.5, 3.0)
FINE = {"shrink": 1, "iterations": (20, 20)}


def _brain() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, brain and the logarithm of the field in it: two tissues in a checkerboard under a smooth field."""
    index = np.indices(SHAPE)
    place = (index - np.array(SHAPE)[:, None, None, None] / 2) / np.array(SHAPE)[:, None, None, None]
    inside = (place**2).sum(0) < 0.18
    tissue = np.where((index.sum(0) // 4) % 2, 90.0, 60.0)
    field = 0.8 * place[0] + 0.5 * place[1] ** 2
    noise = np.random.default_rng(1).normal(0, 1, SHAPE)
    return (tissue * np.exp(field) + noise).astype(np.float32), inside, field


def test_the_field_that_was_put_in_is_found() -> None:
    image, inside, field = _brain()
    found = fit_bias_field(image, inside, SPACING, **FINE).logarithm(SHAPE)
    assert np.corrcoef(found[inside], field[inside])[0, 1] > 0.98
    assert abs(found[inside] - (field[inside] - field[inside].mean())).mean() < 0.05
    assert abs(found[inside].mean()) < 0.02


def test_it_is_what_n4_finds_in_one_call() -> None:
    image, inside, _ = _brain()
    box = tuple(slice(lows, highs + 1) for lows, highs in zip(*_ends(inside), strict=True))
    one, mask = (sitk.GetImageFromArray(np.ascontiguousarray(part[box].T)) for part in (image, inside.astype(np.uint8)))
    for made in (one, mask):
        made.SetSpacing(SPACING)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([20, 20])
    n4.Execute(one, mask)
    theirs = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(one)).T[inside[box]]
    ours = fit_bias_field(image, inside, SPACING, **FINE).logarithm(SHAPE)[inside]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert abs(ours - theirs + theirs.mean()).mean() < 0.03


def _ends(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.argwhere(inside)
    return index.min(0), index.max(0)


def test_the_field_lies_where_the_brain_does_whatever_is_around_it_and_on_a_coarser_grid() -> None:
    image, inside, field = _brain()
    room = [(5, 2), (0, 7), (3, 4)]
    padded = fit_bias_field(np.pad(image, room), np.pad(inside, room), SPACING, **FINE)
    inner = tuple(slice(low, low + size) for (low, _), size in zip(room, SHAPE, strict=True))
    there = padded.logarithm(tuple(np.array(SHAPE) + np.array(room).sum(1)))[inner]
    np.testing.assert_allclose(
        there[inside], fit_bias_field(image, inside, SPACING, **FINE).logarithm(SHAPE)[inside], atol=1e-4
    )
    coarse = fit_bias_field(image, inside, SPACING)
    assert coarse.factors.tolist() == [3, 2, 2]
    assert np.corrcoef(coarse.logarithm(SHAPE)[inside], field[inside])[0, 1] > 0.95


def test_it_repeats_exactly_and_does_not_mind_negative_intensities() -> None:
    image, inside, _ = _brain()
    first = fit_bias_field(image, inside, SPACING, **FINE)
    assert np.array_equal(first.coarse, fit_bias_field(image, inside, SPACING, **FINE).coarse)
    assert np.isfinite(fit_bias_field(image - 200, inside, SPACING, **FINE).coarse).all()


def test_it_is_cancelled_between_two_calls_of_n4() -> None:
    image, inside, _ = _brain()
    seen: list[float] = []

    def stop(step: str, fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        fit_bias_field(image, inside, SPACING, shrink=1, iterations=(30, 30), progress=stop)
    assert len(seen) == 2


def test_what_has_no_field_is_refused() -> None:
    image, inside, _ = _brain()
    with pytest.raises(UserError, match="holds no brain"):
        fit_bias_field(image, np.zeros(SHAPE), SPACING)
    with pytest.raises(UserError, match="constant in the brain"):
        fit_bias_field(np.full(SHAPE, 3.0), inside, SPACING)
