"""Comparison with a map from elsewhere: what is alike, what chance reaches, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mri_interpret.checks.reference_map import RANDOM_MAPS, ReferenceMap, compare, read_references, smoothness
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.template import load_template
from scipy import ndimage

AFFINE = np.diag([6.0, 6.0, 6.0, 1.0])
AFFINE[:3, 3] = [-90.0, -126.0, -72.0]
GRID = Grid((31, 37, 31), AFFINE)
INSIDE = resample(load_template(2)[1], GRID, order=0).array > 0


def spot(*centres: tuple[float, float, float], width: float = 12.0, affine: np.ndarray = AFFINE) -> np.ndarray:
    """Gaussian blobs at places in RAS mm, on a grid of the given affine and 186 x 222 x 186 mm."""
    shape = [round(n * 6 / step) for n, step in zip(GRID.shape, np.diag(affine)[:3], strict=True)]
    i, j, k = np.meshgrid(*map(np.arange, shape), indexing="ij")
    world = np.stack([i, j, k, np.ones_like(i)], -1) @ affine.T
    blobs = [np.exp(-((world[..., :3] - centre) ** 2).sum(-1) / (2 * width**2)) for centre in centres]
    return np.sum(blobs, axis=0).astype(np.float32)


def atlas() -> np.ndarray:
    i, j, k = (np.arange(n) // 8 for n in GRID.shape)
    return np.where(INSIDE, 1 + i[:, None, None] + 4 * j[:, None] + 20 * k, 0)


LEFT, RIGHT, FRONT = (-27.0, -21.0, -14.0), (27.0, -21.0, -14.0), (0.0, 45.0, 20.0)


def found(map_: np.ndarray, *references: ReferenceMap) -> dict[tuple[str, str], dict[str, float]]:
    table = compare({"map": map_}, references, INSIDE, atlas(), GRID)
    return {(row["reference"], row["level"]): row for row in table.to_dict("records")}


def test_the_map_that_fits_is_beyond_chance_and_the_control_is_not() -> None:
    noise = 0.002 * np.random.default_rng(0).normal(size=GRID.shape)
    rows = found(
        -(spot(LEFT) + noise),  # the size counts: relevance of the other sign lies in the same place
        ReferenceMap("fits", Volume(spot(LEFT), AFFINE)),
        ReferenceMap("control", Volume(spot(FRONT), AFFINE)),
    )
    for level in ("voxel", "region"):
        fits, control = rows["fits", level], rows["control", level]
        assert fits["correlation"] > max(fits["random"], fits["mirrored"], 0.4)
        assert fits["p"] == pytest.approx(1 / (RANDOM_MAPS + 1))
        assert control["correlation"] < control["random"]
        assert control["p"] > 0.05
    # The regions are larger than the shift.
    assert rows["fits", "voxel"]["correlation"] > rows["fits", "voxel"]["shifted"]


def test_the_mirror_is_the_midplanes_and_another_grid_is_resampled() -> None:
    fine = np.diag([-3.0, 3.0, 3.0, 1.0])  # another voxel size, and the first axis runs to the left
    fine[:3, 3] = [90.0, -126.0, -72.0]
    values = spot(LEFT, affine=np.diag([3.0, 3.0, 3.0, 1.0]) + np.pad(AFFINE[:3, 3:], ((0, 1), (3, 0))))
    reference = ReferenceMap("fine", Volume(np.ascontiguousarray(values[::-1][:61]), fine))
    (row, _) = found(spot(LEFT), reference).values()
    assert row["correlation"] > 0.9
    assert row["mirrored"] < 0.6
    (row, _) = found(spot(RIGHT), reference).values()
    assert row["mirrored"] > 0.9 > row["correlation"]


def test_smoothness_is_that_of_the_gaussian() -> None:
    noise = np.random.default_rng(1).normal(size=(60, 60, 60))
    everywhere = np.ones(noise.shape, bool)
    for sigma in (1.0, 2.0, 3.0):
        assert smoothness(ndimage.gaussian_filter(noise, sigma), everywhere) == pytest.approx(sigma, rel=0.08)
    assert smoothness(noise, everywhere) < 0.5


def test_maps_and_atlases_that_say_nothing_have_no_number() -> None:
    reference = ReferenceMap("one", Volume(spot(LEFT), AFFINE))
    table = compare({"flat": np.ones(GRID.shape)}, [reference], INSIDE, atlas(), GRID)
    assert table[["correlation", "random", "p", "shifted"]].isna().all(axis=None)
    few = compare({"map": spot(LEFT)}, [reference], INSIDE, np.minimum(atlas(), 3), GRID)
    by_level = few.set_index("level")["correlation"]
    assert math.isnan(by_level["region"])
    assert by_level["voxel"] > 0.9


def test_it_can_be_cancelled() -> None:
    def stop(step: str, fraction: float) -> None:
        raise Cancelled(step)

    with pytest.raises(Cancelled):
        compare(
            {"map": spot(LEFT)}, [ReferenceMap("one", Volume(spot(LEFT), AFFINE))], INSIDE, atlas(), GRID, progress=stop
        )


def test_references_come_as_files_images_lists_and_names(tmp_path: Path) -> None:
    values = spot(LEFT)
    values[0, 0, 0] = np.nan  # outside the brain, as many programs leave it
    image = nibabel.Nifti1Image(values, AFFINE)
    image.set_sform(AFFINE, 4)
    nibabel.save(image, tmp_path / "meta.nii.gz")
    (one,) = read_references(tmp_path / "meta.nii.gz")
    assert one.name == "meta.nii.gz"
    assert np.isfinite(one.volume.array).all()
    assert len(read_references([str(tmp_path / "meta.nii.gz"), image])) == 2
    assert [each.name for each in read_references({"atrophy": image, "control": (spot(FRONT), AFFINE)})] == [
        "atrophy", "control",
    ]  # fmt: skip
    assert len(read_references((spot(FRONT), AFFINE))) == 1
    assert read_references("") == read_references(()) == read_references(None) == ()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Volume(0 * spot(LEFT), AFFINE), "is zero everywhere"),
        (Volume(np.full(GRID.shape, np.nan), AFFINE), "is zero everywhere"),
        (Volume(np.ones(GRID.shape), AFFINE), "has the same value in all of the brain"),
        (Volume(spot(LEFT), AFFINE + np.pad([[500.0]], ((0, 3), (3, 0)))), "lies outside of the template's brain"),
        (np.ones((5, 5, 5)), "affine"),
        ("nowhere.nii.gz", "nowhere.nii.gz"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(image: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_references(image)


def test_a_file_without_an_affine_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(spot(LEFT), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "lost.nii.gz")
    with pytest.raises(UserError, match=r"lost\.nii\.gz"):
        read_references(tmp_path / "lost.nii.gz")
