"""Preprocessing as a whole: the space a scan lies in, the judgement, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.images.volume import Grid, Volume
from mri_interpret.preprocessing import cache as cache_module
from mri_interpret.preprocessing.cache import PreprocessingCache, content_hash
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.preprocessing.registration import register_affine
from mri_interpret.preprocessing.steps.chain import read_steps
from mri_interpret.preprocessing.template import load_template
from mri_interpret.user_folders import CACHE_VARIABLE, user_cache_folder

from Testing.preprocessing.heads import rotation, scanned

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-95, -128, -88]
MODEL = Grid((96, 112, 96), AFFINE)


def _turned() -> np.ndarray:
    placement = rotation(4, -3, 8)
    placement[:3, 3] = [5, 9, -12]
    return placement


def test_a_scan_in_template_space_is_left_where_it_lies() -> None:
    scan, mask, _ = scanned("LPS")
    result = preprocess(scan, MODEL, mask=mask)
    assert result.registration == "none"
    assert np.array_equal(result.to_template, np.eye(4))
    assert result.verdict == "good"


@pytest.mark.slow
def test_a_turned_scan_is_registered_unless_the_user_says_where_it_lies() -> None:
    scan, mask, placement = scanned("oblique", _turned())
    found = preprocess(scan, MODEL, mask=mask)
    assert found.registration == "affine"
    assert found.verdict == "good"
    assert np.abs(found.to_template @ placement - np.eye(4)).max() < 1.5
    with pytest.raises(UserError, match="could not be brought into template space"):
        preprocess(scan, MODEL, mask=mask, space="mni")
    nearly = rotation(1, -1, 2)
    nearly[:3, 3] = [1, 3, -3]
    scan, mask, _ = scanned("oblique", nearly)
    overruled = preprocess(scan, MODEL, mask=mask, space="mni")
    assert overruled.registration == "none"
    assert overruled.correlation < preprocess(scan, MODEL, mask=mask).correlation
    with pytest.raises(UserError, match="space 'talairach'"):
        preprocess(scan, MODEL, mask=mask, space="talairach")


@pytest.mark.slow
def test_the_second_run_takes_mask_and_transform_from_the_cache(tmp_path: Path) -> None:
    scan, _, _ = scanned("LPS", _turned())
    cache = PreprocessingCache(tmp_path)
    first = preprocess(scan, MODEL, cache=cache)
    second = preprocess(scan, MODEL, cache=cache)
    assert first.cached == ()
    assert second.cached == ("mask", "registration")
    assert np.array_equal(first.image.array, second.image.array)
    assert np.array_equal(first.to_template, second.to_template)
    # Another image must not meet this one's entries, whatever it is called.
    other = preprocess(scan.with_array(scan.array * 1.01), MODEL, cache=cache)
    assert other.cached == ()


@pytest.mark.slow
def test_a_damaged_cache_entry_is_computed_again(tmp_path: Path) -> None:
    scan, _, _ = scanned("RAS")
    cache = PreprocessingCache(tmp_path)
    preprocess(scan, MODEL, cache=cache)
    for entry in tmp_path.iterdir():
        entry.write_bytes(b"PK damaged")
    assert preprocess(scan, MODEL, cache=cache).cached == ()


def test_a_home_that_cannot_be_written_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "home"
    blocked.write_text("a file where a folder is needed")  # root may write anywhere, but not below a file
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert not str(user_cache_folder()).startswith(str(blocked))
    PreprocessingCache(blocked / "below").store("key", a=np.zeros(3))
    assert PreprocessingCache(blocked / "below").load("key") is None


def test_the_cache_keeps_what_was_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 3)
    cache = PreprocessingCache(tmp_path)
    for age, name in enumerate(("a", "b", "c")):
        cache.store(name, value=np.array(age))
        os.utime(tmp_path / f"{name}.npz", (age, age))
    assert cache.load("a") is not None
    cache.store("d", value=np.array(9))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c", "d"]


def test_the_content_hash_sees_voxels_and_affine_not_names() -> None:
    volume = Volume(np.arange(27, dtype=np.float32).reshape(3, 3, 3), np.eye(4), "a")
    assert content_hash(volume) == content_hash(Volume(volume.array.copy(), np.eye(4), "b"))
    moved = np.eye(4)
    moved[0, 3] = 1e-3
    assert content_hash(volume) != content_hash(Volume(volume.array, moved))
    assert content_hash(volume) != content_hash(Volume(volume.array + 1e-3, np.eye(4)))


def test_cancelling_stops_at_the_next_report() -> None:
    scan, mask, _ = scanned("LPS", _turned())
    seen: list[str] = []

    def stop_in_registration(step: str, fraction: float) -> None:
        seen.append(step)
        if step.startswith("Registering") and fraction > 0:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        preprocess(scan, MODEL, mask=mask, progress=stop_in_registration)
    assert sum(step.startswith("Registering") for step in seen) <= 4


def test_a_scan_that_lies_off_the_template_is_an_error_not_a_map() -> None:
    far = np.eye(4)
    far[:3, 3] = [0, 300, 0]
    scan, mask, _ = scanned("RAS", far)
    with pytest.raises(UserError, match="template space"):
        preprocess(scan, MODEL, mask=mask, space="mni")


def test_a_rigid_registration_turns_and_shifts_only() -> None:
    scan, mask, _ = scanned("RAS", np.eye(4))
    grown = np.diag([1.1, 1.1, 1.1, 1.0])  # a head 10 % larger than the template: an affine shrinks it, a rigid one not
    scan, mask = Volume(scan.array, grown @ scan.affine, "large"), Volume(mask.array, grown @ mask.affine, "mask")
    template, template_mask = load_template(1)
    rigid = register_affine(scan, mask, template, template_mask, rigid=True)
    np.testing.assert_allclose(rigid[:3, :3] @ rigid[:3, :3].T, np.eye(3), atol=1e-5)
    affine = register_affine(scan, mask, template, template_mask)
    assert abs(np.linalg.det(affine[:3, :3]) - 1 / 1.1**3) < 0.05


def test_a_network_of_whole_heads_refuses_a_stripped_scan_and_takes_a_head() -> None:
    scan, mask, _ = scanned("RAS", np.eye(4))
    inside = mask.array > 0
    stripped = scan.with_array(np.where(inside, scan.array, 0).astype(np.float32))
    steps = read_steps([{"step": "zoom", "shape": [24, 24, 24]}, {"step": "intensity", "over": "volume"}], "bundle")
    with pytest.raises(UserError, match=r"trained on whole heads, and .* is skull-stripped"):
        preprocess(stripped, steps, mask=mask, space="mni")
    bright = np.where(inside, scan.array, float(scan.array[inside].max())).astype(np.float32)
    assert preprocess(scan.with_array(bright), steps, mask=mask, space="mni").channels.shape == (1, 24, 24, 24)
