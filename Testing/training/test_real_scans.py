"""Atrophy put into an image: none changes nothing, more takes more, and where the disease is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.benchmark.volume_truth import asked_change
from mri_interpret.images.volume import Volume
from mri_interpret.simulation.anatomy import MODEL_GRID, PUBLISHED, STYLISED
from mri_interpret.simulation.structures import member
from mri_interpret.simulation.template_anatomy import template_anatomy
from mri_interpret.training.real_scans import RealScan, real_scan_table, with_atrophy

from Testing.benchmarks.volume_real_scans import with_truth

pytestmark = pytest.mark.slow

_FOREHEAD = 85  # voxels of the model grid from here on, along A


@pytest.fixture(scope="module")
def hippocampi() -> tuple[Volume, Volume]:
    """An image whose hippocampi are bright in a grey brain, and its mask; the forehead, half black, half white, sets
    the scale that normalisation keeps."""
    labels = template_anatomy().labels
    share = torch.from_numpy(member("Hippocampus")[labels].astype(np.float32))
    inside = torch.nn.functional.avg_pool3d(torch.from_numpy((labels > 0).astype(np.float32))[None], 2)[0] > 0.5
    image = 0.5 + 0.5 * torch.nn.functional.avg_pool3d(share[None], 2)[0]
    image[:48, _FOREHEAD:], image[48:, _FOREHEAD:] = 0.0, 1.0
    grid = MODEL_GRID.affine
    return Volume((image * inside).numpy(), grid, "made"), Volume(inside.numpy().astype(np.uint8), grid, "mask")


def test_no_atrophy_is_the_image_itself(hippocampi: tuple[Volume, Volume]) -> None:
    np.testing.assert_array_equal(with_atrophy(*hippocampi, 0.0), hippocampi[0].array)


def test_severity_takes_the_share_of_the_hippocampi_that_it_says(hippocampi: tuple[Volume, Volume]) -> None:
    def volume(image: torch.Tensor) -> float:
        behind = image[:, : _FOREHEAD - 8]
        return float((behind - 0.5).clamp(min=0).sum())

    whole = volume(with_atrophy(*hippocampi, 0.0))
    half, full = (volume(with_atrophy(*hippocampi, severity)) / whole for severity in (0.5, 1.0))
    assert half == pytest.approx(0.775, abs=0.05)
    assert full == pytest.approx(0.55, abs=0.05)


def test_what_was_put_in_is_known(hippocampi: tuple[Volume, Volume]) -> None:
    """For the study that looks for it: severity 0.5 leaves 77.5 % of the hippocampi, and the field says where."""
    given = with_truth(*hippocampi, 0.5, STYLISED)
    assert given.undoing["hippocampus"] == pytest.approx(-np.log(0.775), abs=0.02)
    along = asked_change(100 * np.expm1(-given.effect), given.shares["hippocampus"])
    assert 0.5 < along / given.undoing["hippocampus"] < 1.2
    assert given.effect[given.truth & given.hippocampus].max() < 0
    assert torch.equal(given.image[0, 0], with_atrophy(*hippocampi, 0.5))


def test_the_published_effects_are_put_in_with_their_signs_and_sizes(hippocampi: tuple[Volume, Volume]) -> None:
    """Half of AD's mean effects; the head grows by a few per cent as its ventricles do."""
    undoing = with_truth(*hippocampi, 0.5, PUBLISHED).undoing
    for name, percent in {"hippocampus": -23.65, "amygdala": -24.0, "lateral ventricle": 45.0}.items():
        assert undoing[name] == pytest.approx(-0.5 * np.log1p(percent / 100), rel=0.25)
    # The template's horns are a voxel thick: how much of them there is depends on the grid.
    assert -0.6 < undoing["inferior lateral ventricle"] < -0.2


def test_the_table_names_scans_and_tells_when_the_order_breaks() -> None:
    rising = np.array([[0.9, 0.05, p] for p in (0.05, 0.2, 0.4, 0.6, 0.9)])
    broken = rising[[0, 2, 1, 3, 4]]
    table = real_scan_table([RealScan("one", rising, 0.9), RealScan("two", broken, 0.9)])
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    assert rows["one"].endswith("| CN | yes |")
    assert rows["two"].endswith("| CN | **no** |")
    assert "0.050" in rows["one"]
