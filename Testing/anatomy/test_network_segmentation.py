"""Scan in, segmentation out, with networks whose right answer is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.anatomy import freesurfer, parcels
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.atlas_alignment import GRID as BENT_GRID
from mri_interpret.anatomy.measured_structures import normalised_entropy
from mri_interpret.anatomy.network_segmentation import class_probabilities, mirrored_classes, network_input
from mri_interpret.anatomy.segmentation import Segmentation, segment
from mri_interpret.anatomy.segmentation_bundle import SegmentationBundle, load_segmentation_bundle
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.images.volume import Affine, Grid, Volume, resample
from mri_interpret.progress import silent
from scipy import ndimage
from torch import nn

from Testing.anatomy.segmentation_bundles import (
    GRID,
    LEFT_AND_RIGHT,
    label_bundle,
    without_parcels,
    write_intensity_bundle,
)
from Testing.fixtures_explanation import oblique_affine, rotation

SHAPE = (56, 66, 60)
SCAN_GRID = Grid(SHAPE, oblique_affine(SHAPE, (3.2, 3.0, 2.9)))


def _to_template() -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = rotation((3.0, 2.0, -4.0)) @ np.diag([1.05, 1.02, 0.98])
    affine[:3, 3] = (-3.0, -4.0, 2.5)
    return affine


@pytest.fixture(scope="module", autouse=True)
def straight() -> Iterator[None]:
    """The atlas is not bent: that parcels lie better where it is, test_parcels shows, and it takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parcels, "atlas_to_brain", lambda groups: np.zeros((3, *BENT_GRID.shape), np.float32))
        yield


@pytest.fixture(scope="module")
def known(straight: None) -> tuple[Segmentation, Volume]:
    """The atlas's brain, segmented by a network that knows it by heart; and its mask."""
    atlas = load_default_atlas().volume
    bundle = label_bundle(atlas)
    mask = resample(Volume((atlas.array > 0).astype(np.uint8), atlas.affine), SCAN_GRID, _to_template(), order=0)
    scan = Volume(mask.array.astype(np.int16) * 100 + 1, SCAN_GRID.affine, "scan")
    return segment(scan, _to_template(), brain_mask=mask, bundle=bundle), mask


def test_an_anatomy_known_by_heart_lies_on_the_scans_grid(known: tuple[Segmentation, Volume]) -> None:
    found, _ = known
    assert found.source == "network"
    assert found.made_by == "known 1 (000000000000)"
    assert found.labels.grid.same_as(SCAN_GRID)
    expected = without_parcels(resample(load_default_atlas().volume, SCAN_GRID, _to_template(), order=0).array)
    own = without_parcels(found.labels.array)
    for label in (2, 3, 4, 8, 10, 16, 17, 41, 42, 43, 53):
        a, b = own == label, expected == label
        # The network's grid has 4 mm, so borders differ; places and sides do not.
        assert 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)) > 0.6, label


def test_volumes_are_those_of_the_scans_own_space(known: tuple[Segmentation, Volume]) -> None:
    """In the scan's space everything is smaller than in the template by the affine's determinant."""
    found, _ = known
    on_grid = without_parcels(np.asarray(resample(load_default_atlas().volume, LEFT_AND_RIGHT, order=0).array))
    for label in (2, 10, 17, 53):
        ml = np.count_nonzero(on_grid == label) * GRID.voxel_volume / 1000 / np.linalg.det(_to_template())
        own = next(one for one in found.structures if one.label == label)
        assert own.ml == pytest.approx(ml, rel=0.02)
        assert own.share == pytest.approx(own.ml / found.intracranial_ml)
    assert found.structure("Left-Hippocampus").dice == 0.8
    assert found.structure("Right-Hippocampus").dice is None


def test_parcels_add_up_to_the_cortex_of_their_side(known: tuple[Segmentation, Volume]) -> None:
    found, _ = known
    for cortex, base in (("Left-Cerebral-Cortex", 1000), ("Right-Cerebral-Cortex", 2000)):
        parcels = [one for one in found.structures if base < one.label < base + 1000]
        assert len(parcels) == 34
        assert sum(one.ml for one in parcels) == pytest.approx(found.structure(cortex).ml)
    assert not np.isin(found.labels.array, (3, 42)).any()


def test_a_confident_network_is_sure_and_warns_of_nothing(known: tuple[Segmentation, Volume]) -> None:
    found, _ = known
    assert max(one.entropy for one in found.structures if not np.isnan(one.entropy)) < 0.01
    assert found.warnings == ()


def test_a_network_that_knows_nothing_is_unsure_of_everything(known: tuple[Segmentation, Volume]) -> None:
    bundle = label_bundle(load_default_atlas().volume, confidence=0.1)
    found = segment(known[1], _to_template(), bundle=bundle)
    structures = [one for one in found.structures if one.label < 1000 and not np.isnan(one.entropy)]
    assert min(one.entropy for one in structures) > 0.99
    assert not any(one.sure for one in found.structures)
    assert found.warnings[0].startswith("The segmentation is unsure of Left cerebral white matter, ")
    assert "more structures" in found.warnings[0]


def test_the_network_says_what_counts_as_unsure(known: tuple[Segmentation, Volume]) -> None:
    bundle = label_bundle(load_default_atlas().volume, confidence=0.1)
    allowed = {freesurfer.name_of(label): 1.0 for label in bundle.labels if label}
    found = segment(known[1], _to_template(), bundle=dataclasses.replace(bundle, unsure_entropy=allowed))
    assert found.structure("Left-Hippocampus").sure
    assert found.structure("Left-Hippocampus").entropy > 0.99
    assert not found.structure("ctx-lh-entorhinal").sure  # nothing is said of it


def test_a_brain_elsewhere_than_its_mask_is_warned_of(known: tuple[Segmentation, Volume]) -> None:
    mask = known[1].with_array(np.roll(known[1].array, 20, 1))
    found = segment(known[1], _to_template(), brain_mask=mask, bundle=label_bundle(load_default_atlas().volume))
    assert len(found.warnings) == 1
    assert "overlap by 0." in found.warnings[0]


def test_intensities_reach_the_network_as_its_bundle_says(tmp_path: Path) -> None:
    """Shells of four intensities, on any scale, are told apart by a network that goes by intensity alone."""
    bundle = load_segmentation_bundle(write_intensity_bundle(tmp_path))
    index = np.moveaxis(np.indices(SHAPE, dtype=float), 0, -1)
    world = _to_template() @ SCAN_GRID.affine
    distance = np.linalg.norm(index @ world[:3, :3].T + world[:3, 3], axis=-1)
    shells = np.select([distance < 20, distance < 40, distance < 60], [3, 2, 1], 0)
    scan = Volume((shells * 250).astype(np.int16), SCAN_GRID.affine, "shells")
    image = network_input(scan, _to_template(), bundle)
    assert image.shape == GRID.shape
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() == 1
    found = segment(scan, _to_template(), bundle=bundle)
    twice = segment(scan.with_array((scan.array * 2).astype(np.float32)), _to_template(), bundle=bundle)
    assert np.array_equal(found.labels.array, twice.labels.array)
    assert set(np.unique(found.labels.array[distance < 15])) == {24}


def test_the_network_is_shown_the_brain_and_a_rim_of_one_voxel(tmp_path: Path) -> None:
    """What lies around it would be called fluid, and make the intracranial volume too large."""
    bundle = load_segmentation_bundle(write_intensity_bundle(tmp_path))
    world = bundle.grid.affine[:3, :3] @ np.indices(GRID.shape).reshape(3, -1) + bundle.grid.affine[:3, 3:]
    ball = (np.linalg.norm(world, axis=0) < 50).reshape(GRID.shape)
    scan = Volume(np.random.default_rng(0).uniform(50, 100, GRID.shape).astype(np.float32), bundle.grid.affine, "scan")
    image = network_input(scan, np.eye(4), bundle, scan.with_array(ball.astype(np.uint8)))
    shown = ndimage.binary_dilation(ball)
    assert not image[~shown].any()
    assert (image[shown] > 0).mean() > 0.99
    wider = network_input(scan, np.eye(4), bundle, scan.with_array(ball.astype(np.uint8)), around_mm=12.0)
    assert np.count_nonzero(wider) > 1.2 * np.count_nonzero(image)


@pytest.mark.parametrize("value", [0, 7])
def test_an_empty_or_constant_scan_is_refused(tmp_path: Path, value: int) -> None:
    bundle = load_segmentation_bundle(write_intensity_bundle(tmp_path))
    affine = np.diag([30.0, 30.0, 30.0, 1.0])
    affine[:3, 3] = -15 * np.array(SHAPE)
    scan = Volume(np.full(SHAPE, value, np.int16), affine, "empty.nii.gz")
    with pytest.raises(UserError, match=r"empty\.nii\.gz cannot be segmented: it is empty or constant"):
        segment(scan, np.eye(4), bundle=bundle)


class _LeftIsBright(nn.Module):
    """Not symmetric: calls the left half (low indices) hippocampus if it is bright, and never the right half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = torch.zeros_like(x)
        left[:, :, : x.shape[2] // 2] = 8 * x[:, :, : x.shape[2] // 2]
        return torch.cat((torch.full_like(x, 4.0), left, torch.zeros_like(x)), 1)


def _three_classes(network: nn.Module) -> SegmentationBundle:
    bundle = label_bundle(Volume(np.ones((2, 2, 2), np.int16)), GRID)
    return dataclasses.replace(bundle, labels=(0, 17, 53), network=network)


def test_the_mirror_image_has_an_equal_say() -> None:
    """What the network says of the mirrored left half, it says of the right one: sides and classes are swapped back."""
    image = np.ones(GRID.shape, np.float32)
    found = class_probabilities(_three_classes(_LeftIsBright()), image, "cpu", silent)
    assert found.shape == (3, *GRID.shape)
    assert np.allclose(found.sum(0), 1, atol=1e-6)
    assert np.allclose(found[1], found[2][::-1])  # left hippocampus in the left half as right in the right half
    assert found[1][:20].min() > 0.4 > found[1][20:].max()


def test_classes_of_the_other_side() -> None:
    assert mirrored_classes((0, 17, 16, 53, 4)) == [0, 3, 2, 1, 4]


def test_entropy_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), size=(3, 4, 2)).transpose(3, 0, 1, 2).astype(np.float32)
    expected = -(probabilities * np.log(probabilities)).sum(0) / np.log(5)
    assert np.allclose(normalised_entropy(probabilities), expected, atol=1e-6)
    certain = np.zeros((5, 1, 1, 1), np.float32)
    certain[2] = 1
    assert normalised_entropy(certain)[0, 0, 0] == 0


def test_it_can_be_cancelled(known: tuple[Segmentation, Volume]) -> None:
    def stop(name: str, fraction: float) -> None:
        if fraction >= 0.3:
            raise Cancelled(name)

    with pytest.raises(Cancelled):
        segment(known[1], _to_template(), bundle=label_bundle(load_default_atlas().volume), progress=stop)
