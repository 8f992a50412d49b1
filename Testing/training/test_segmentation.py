"""Training of the segmentation network: samples with known truth, a loss that knows volumes, a loop that resumes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.anatomy_unet import AnatomyUNet
from mri_interpret.simulation.anatomy import FINE_GRID
from mri_interpret.simulation.atrophy import fractions_of
from mri_interpret.simulation.structures import INTRACRANIAL, NAMES
from mri_interpret.simulation.template_anatomy import template_anatomy
from mri_interpret.simulation.wide_anatomies import (
    FINE_BOX,
    SEGMENTATION_GRID,
    SEGMENTATION_SHAPE,
    fill_wide_bank,
    read_wide,
    wide_labels,
    wide_path,
)
from mri_interpret.training.segmentation.bundle import write_segmentation_bundle
from mri_interpret.training.segmentation.classes import CLASS_OF_CODE, CLASSES, MIRRORED_CODE
from mri_interpret.training.segmentation.evaluation import evaluate_segmentation
from mri_interpret.training.segmentation.fit import SegmentationSettings, fit_segmentation
from mri_interpret.training.segmentation.losses import CALIBRATING, segmentation_loss
from mri_interpret.training.segmentation.samples import (
    HeadRange,
    HeadSamples,
    chosen_voxels,
    moved,
    shares,
    synthesise_head,
)

STILL = HeadRange(size=(0.0, 0.0), stretch=0.0, angle_deg=0.0, shift_mm=0.0, bend_mm=0.0)


@pytest.fixture(scope="module")
def head() -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(template_anatomy().labels[FINE_BOX]))


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    fill_wide_bank(folder, [template_anatomy()], 2, 5)
    return folder


def _without_mirror(seed: int = 0) -> torch.Generator:
    """A generator that does not mirror the head: the draw is the eighth after the pose's."""
    for number in range(seed, seed + 50):
        generator = torch.Generator().manual_seed(number)
        torch.rand(7, generator=generator)
        if float(torch.rand((), generator=generator)) >= 0.5:
            return torch.Generator().manual_seed(number)
    raise AssertionError


def test_every_structure_inside_the_skull_has_a_class() -> None:
    assert all(CLASS_OF_CODE[code] > 0 for code in np.flatnonzero(INTRACRANIAL))
    assert CLASSES[CLASS_OF_CODE[NAMES.index("Left-choroid-plexus")]] == "Left-Lateral-Ventricle"
    assert NAMES[MIRRORED_CODE[NAMES.index("Left-Amygdala")]] == "Right-Amygdala"
    assert (MIRRORED_CODE[MIRRORED_CODE] == np.arange(len(NAMES))).all()


def test_the_grid_of_the_network_lies_on_the_simulators_fine_grid() -> None:
    corner = np.array([part.start for part in FINE_BOX])
    assert np.allclose(SEGMENTATION_GRID.affine[:3, 3], FINE_GRID.affine[:3, 3] + corner + 0.5)


def test_a_head_that_is_not_moved_stays_in_its_place(head: torch.Tensor) -> None:
    found = moved(head, _without_mirror(), STILL)
    i, j, k = SEGMENTATION_SHAPE
    eight = head.reshape(i, 2, j, 2, k, 2)
    for four, corner in zip(found, ((0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)), strict=True):
        assert torch.equal(four, eight[:, corner[0], :, corner[1], :, corner[2]])


def test_a_mirrored_head_has_its_sides_exchanged(head: torch.Tensor) -> None:
    for seed in range(20):
        found = moved(head, torch.Generator().manual_seed(seed), STILL)
        left = (found == NAMES.index("Left-Thalamus")).any(0).nonzero()[:, 0].float().mean()
        right = (found == NAMES.index("Right-Thalamus")).any(0).nonzero()[:, 0].float().mean()
        assert left < right  # the grid runs from left to right


def test_a_larger_head_is_larger(head: torch.Tensor) -> None:
    larger = HeadRange(size=(0.1, 0.1), stretch=0.0, angle_deg=0.0, shift_mm=0.0, bend_mm=0.0)
    volume = [
        float((moved(head, _without_mirror(), ranges) == NAMES.index("Left-Putamen")).float().sum())
        for ranges in (STILL, larger)
    ]
    assert volume[1] / volume[0] == pytest.approx(np.exp(0.3), rel=0.04)


def test_nothing_comes_back_from_outside_of_the_box(head: torch.Tensor) -> None:
    away = HeadRange(size=(0.0, 0.0), stretch=0.0, angle_deg=0.0, shift_mm=1e4, bend_mm=0.0)
    assert not moved(head, torch.Generator().manual_seed(3), away).any()


def test_a_sample_is_an_image_in_0_to_1_and_no_truth_lies_where_nothing_is_seen(head: torch.Tensor) -> None:
    for seed in range(6):
        sample = synthesise_head(head, torch.Generator().manual_seed(seed))
        assert sample.image.shape == SEGMENTATION_SHAPE
        assert torch.isfinite(sample.image).all()
        assert sample.image.min() >= 0
        assert sample.image.max() <= 1
        assert (sample.classes < len(CLASSES)).all()
        assert (sample.classes > 0).any()
        total = shares(sample.classes).sum(0)
        assert torch.allclose(total, torch.ones_like(total))
    stripped = HeadRange(head_share=0.0, cut_share=0.0, noise=0.0)
    sample = synthesise_head(head, torch.Generator().manual_seed(1), stripped)
    assert not (sample.classes.any(0) & (sample.image == 0))[20:60, 20:80, 20:60].float().mean() > 0.02


def test_weights_make_sums_over_the_chosen_voxels_sums_over_the_scan(head: torch.Tensor) -> None:
    sample = synthesise_head(head, torch.Generator().manual_seed(2))
    truth = shares(sample.classes).reshape(len(CLASSES), -1)
    chosen, weight = chosen_voxels(sample.classes, 200_000, torch.Generator().manual_seed(0))
    estimated = (truth[:, chosen] * weight).sum(1)
    large = truth.sum(1) > 3000
    assert torch.allclose(estimated[large], truth.sum(1)[large], rtol=0.08)


def test_the_loss_is_least_for_the_truth_and_knows_volumes() -> None:
    shares_ = torch.zeros(200, len(CLASSES))
    shares_[:100, 0] = 1
    shares_[100:, CLASSES.index("Left-Hippocampus")] = 1
    weight = torch.ones(200)
    right, parts = segmentation_loss(40 * shares_, shares_, weight)
    assert float(right) == pytest.approx(0, abs=1e-4)
    assert parts["dice"] == pytest.approx(1, abs=1e-4)
    assert parts["volumes"] == pytest.approx(0, abs=1e-4)
    smaller = 40 * shares_.clone()
    smaller[100:150] = 40 * shares_[0]
    wrong, parts = segmentation_loss(smaller, shares_, weight)
    assert float(wrong) > 1
    assert parts["volumes"] == pytest.approx(np.log(110 / 60), abs=1e-3)
    calibrating, _ = segmentation_loss(smaller, shares_, weight, CALIBRATING)
    assert float(calibrating) == pytest.approx(parts["cross"] + CALIBRATING.volumes * parts["volumes"], rel=1e-5)


def test_the_rate_falls_to_zero_twice() -> None:
    settings = SegmentationSettings(1000, calibration=100)
    assert settings.rate_at(300) == settings.rate
    assert settings.rate_at(999) < 0.01 * settings.rate
    assert settings.rate_at(1000) == settings.calibration_rate
    assert settings.rate_at(1100) == 0


@pytest.mark.slow
def test_heads_vary_and_a_bank_is_filled_once(bank: Path) -> None:
    first = read_wide(wide_path(bank, 0))
    assert first.shape == tuple(2 * n for n in SEGMENTATION_SHAPE)
    before = wide_path(bank, 0).stat().st_mtime_ns
    fill_wide_bank(bank, [template_anatomy()], 2, 5)
    assert wide_path(bank, 0).stat().st_mtime_ns == before
    anatomy = template_anatomy()
    assert np.array_equal(first, wide_labels(anatomy, fractions_of(anatomy), (5, 0)))
    assert (first != read_wide(wide_path(bank, 1))).mean() > 0.02


def test_a_damaged_head_is_named(tmp_path: Path) -> None:
    path = wide_path(tmp_path, 0)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"head_00000\.npz"):
        read_wide(path)


@pytest.mark.slow
def test_training_lowers_the_loss_resumes_and_makes_a_bundle_that_segments(bank: Path, tmp_path: Path) -> None:
    from mri_interpret.anatomy.segmentation_bundle import load_segmentation_bundle

    def light() -> AnatomyUNet:
        return AnatomyUNet(channels=(8, 16, 16), last_channels=8)

    torch.manual_seed(0)
    settings = SegmentationSettings(4, every=2, workers=0, calibration=0)
    fit_segmentation(light(), bank, 2, settings, tmp_path / "fit", voxels=4000)
    longer = SegmentationSettings(8, every=2, workers=0, calibration=2)
    network = fit_segmentation(light(), bank, 2, longer, tmp_path / "fit", voxels=4000)
    rows = (tmp_path / "fit" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["sample", "2", "4", "6", "8", "10"]
    cross = [float(row.split(",")[3]) for row in rows[1:]]
    assert cross[-1] < cross[0]
    with pytest.raises(UserError, match="another training"):
        fit_segmentation(AnatomyUNet(channels=(4, 8)), bank, 2, longer, tmp_path / "fit", voxels=4000)
    scores = evaluate_segmentation(network, bank, 1)
    # Bundles hold the network at the size that ships.
    folder = write_segmentation_bundle(tmp_path / "mine", AnatomyUNet(), scores.held_out(), "## Training\n\nToo short.")
    loaded = load_segmentation_bundle(folder)
    assert loaded.grid.shape == SEGMENTATION_SHAPE
    assert len(loaded.labels) == len(CLASSES)
    assert "research use only" in (folder / "docs" / "README.md").read_text()
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    assert metadata["mri_interpret"]["held_out"].keys() <= set(CLASSES)


def test_samples_with_the_same_number_are_the_same(bank: Path) -> None:
    first, again = (HeadSamples(bank, 2, 10, 1, voxels=2000)[3] for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["counts"].sum(1).eq(4).all()


def test_channels_that_cannot_be_normalised_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        AnatomyUNet(channels=(6, 8))
