"""Label maps: read, checked, registered; the template's own anatomy."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.simulation.anatomy import FINE_GRID, MODEL_GRID, Anatomy, list_label_maps, read_anatomy
from mri_interpret.simulation.structures import NAMES, STRUCTURES, code_of_label, codes, member

pytestmark = pytest.mark.slow

_LABEL_OF_CODE = np.array([structure.labels[0] for structure in STRUCTURES], dtype=np.int16)


def _write(path: Path, labels: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)
    return path


def test_the_fine_grid_halves_the_model_s_voxels() -> None:
    corner = FINE_GRID.affine @ [0.5, 0.5, 0.5, 1]
    np.testing.assert_allclose(corner, MODEL_GRID.affine @ [0, 0, 0, 1])
    assert tuple(2 * n for n in MODEL_GRID.shape) == FINE_GRID.shape


def test_codes_fit_a_byte_and_labels_come_back() -> None:
    assert len(STRUCTURES) < 256
    table = code_of_label()
    assert NAMES[table[17]] == "Left-Hippocampus"
    assert NAMES[table[53]] == "Right-Hippocampus"
    assert NAMES[table[1006]] == "Left-Cerebral-Cortex"
    assert codes("Hippocampus") == (int(table[17]), int(table[53]))
    assert not member("Cerebral-Cortex")[table[8]]


def test_the_template_anatomy_is_a_brain(anatomy: Anatomy) -> None:
    counts = np.bincount(anatomy.labels.ravel(), minlength=len(NAMES))
    volume = dict(zip(NAMES, counts, strict=True))
    assert 4000 < volume["Left-Hippocampus"] < 7000
    assert 0.8 < volume["Left-Cerebral-Cortex"] / volume["Right-Cerebral-Cortex"] < 1.25
    i = np.argwhere(anatomy.labels == NAMES.index("Left-Hippocampus"))[:, 0]
    assert float((FINE_GRID.affine[0, 0] * i + FINE_GRID.affine[0, 3]).max()) < 0  # left is at negative R


@pytest.mark.slow
def test_a_moved_label_map_comes_back_into_template_space(anatomy: Anatomy, tmp_path: Path) -> None:
    angle = np.deg2rad(6)
    moved = np.eye(4)
    moved[:3, :3] = 0.93 * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved[:3, 3] = (7, -5, 4)
    coarse = anatomy.labels[::2, ::2, ::2]
    affine = FINE_GRID.affine @ np.diag([2.0, 2, 2, 1])
    path = _write(tmp_path / "labels_x.nii.gz", _LABEL_OF_CODE[coarse], moved @ affine)
    found = read_anatomy(path)
    hippocampus = member("Hippocampus")
    ours, theirs = hippocampus[anatomy.labels], hippocampus[found.labels]
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.8
    assert found.scale == pytest.approx(0.93**-3, rel=0.03)
    assert found.name == "labels_x"


def test_missing_structures_are_named(anatomy: Anatomy, tmp_path: Path) -> None:
    coarse = _LABEL_OF_CODE[anatomy.labels[::4, ::4, ::4]]
    coarse[np.isin(coarse, (17, 54))] = 2
    path = _write(tmp_path / "labels_a.nii.gz", coarse, np.diag([4.0, 4, 4, 1]))
    with pytest.raises(UserError, match=r"Left-Hippocampus.*Right-Amygdala"):
        read_anatomy(path)


def test_an_image_is_no_label_map(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    with pytest.raises(UserError, match="no label map"):
        read_anatomy(_write(tmp_path / "labels_b.nii.gz", image, np.eye(4)))


def test_a_folder_without_label_maps_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no label maps"):
        list_label_maps(tmp_path)
