"""The same head, stored in another orientation, gets the same answer in the same places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.job import explain
from mri_interpret.images.volume import Volume, resample
from mri_interpret.models.bundle import ModelBundle, load_bundle
from mri_interpret.preprocessing.cache import PreprocessingCache

from Testing.models.bundles import write_small_bundle
from Testing.sample_scan import sample_at_2_mm

pytestmark = pytest.mark.slow  # the whole job on a head at 2 mm, once per orientation

METHODS = ("lrp", "grad_cam")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("models") / "small"))


@pytest.fixture(scope="module")
def scan() -> Volume:
    """The sample at 2 mm, with a bright spot in the right temporal lobe, so that no symmetry hides a flip."""
    small = sample_at_2_mm()
    place = np.linalg.inv(small.affine) @ [45.0, -20.0, -20.0, 1.0]
    index = np.indices(small.shape) - place[:3, None, None, None]
    spot = 60.0 * np.exp(-(index**2).sum(0) / (2 * 3.0**2))
    return small.with_array((small.array + spot).astype(np.float32), "sample.nii.gz")


def _stored_otherwise(scan: Volume, order: tuple[int, int, int], flips: tuple[int, ...]) -> Volume:
    """The same image with its voxel axes permuted and reversed; the affine says so."""
    array = scan.array.transpose(order)
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for axis, source in enumerate(order):
        change[source, axis] = 1
    affine = scan.affine @ change
    for axis in flips:
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, array.shape[axis] - 1
        array, affine = np.flip(array, axis), affine @ flip
    return Volume(np.ascontiguousarray(array), affine, scan.name)


def _explain(
    scan: Volume, bundle: ModelBundle, segmentation: Volume | str = "", cache: PreprocessingCache | None = None
) -> Explanation:
    cache = cache or PreprocessingCache(enabled=False)
    return explain(
        scan, model=bundle, methods=METHODS, target="AD-CN", trust="off", segmentation=segmentation, cache=cache
    )


def _one_structure(scan: Volume) -> Volume:
    """For tests that do not look at regions: the network need not segment the scan."""
    return scan.with_array((scan.array > 0).astype(np.int16) * 2)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> PreprocessingCache:
    """Brain and registration of the scan as it lies: for tests that do not ask how it is stored."""
    return PreprocessingCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def reference(scan: Volume, bundle: ModelBundle, kept: PreprocessingCache) -> Explanation:
    return _explain(scan, bundle, cache=kept)


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        pytest.param((0, 1, 2), (0, 1), id="LPS"),
        pytest.param((2, 0, 1), (1,), id="sagittal slices"),
        pytest.param((1, 2, 0), (0, 2), id="coronal slices", marks=pytest.mark.thorough),
    ],
)
def test_storage_does_not_matter(
    scan: Volume, bundle: ModelBundle, reference: Explanation, order: tuple[int, int, int], flips: tuple[int, ...]
) -> None:
    other = _stored_otherwise(scan, order, flips)
    found = _explain(other, bundle, _one_structure(other))
    assert found.registration.verdict == "good"
    for name, value in reference.prediction.logits.items():
        assert found.prediction.logits[name] == pytest.approx(value, abs=1e-4)
    for name in METHODS:
        # Back in the reference's own storage, where the two must lie on top of each other.
        native = found.maps[name].native
        assert native.grid.same_as(other.grid)
        here = resample(native, scan.grid).array
        there = reference.maps[name].native.array
        error = np.abs(here - there).max() / np.abs(there).max()
        assert error < 0.01, f"{name} differs by {error:.1%} of its largest value"
        mirrored = np.corrcoef(there[::-1].ravel(), there.ravel())[0, 1]
        assert mirrored < 0.98, "the reference is too symmetric to show a flip"


def test_without_checks_methods_that_the_model_distrusts_are_excluded_unless_all_are(
    scan: Volume, bundle: ModelBundle, kept: PreprocessingCache
) -> None:
    reasons = {"lrp": "of a test", "grad_cam": "of a test"}
    for chosen, in_summary in ((("lrp",), ["grad_cam"]), (("lrp", "grad_cam"), ["grad_cam", "lrp"])):
        told = {name: reasons[name] for name in chosen}
        judged = replace(bundle, metadata=replace(bundle.metadata, distrusted=told))
        found = _explain(scan, judged, _one_structure(scan), kept)
        assert sorted(found.summary_details.weights) == in_summary
        assert len([sentence for sentence in found.warnings if "of a test" in sentence]) == len(chosen)
        assert found.summary_template.array.max() > 0.9


def test_what_a_header_leaves_in_doubt_is_a_warning_of_the_explanation(
    scan: Volume, bundle: ModelBundle, kept: PreprocessingCache, tmp_path: Path
) -> None:
    image = nib.Nifti1Image(scan.array, scan.affine)
    image.set_sform(scan.affine, 1)
    image.set_qform(scan.affine @ np.diag([1.1, 1, 1, 1]), 1)
    nib.save(image, tmp_path / "scan.nii")
    found = explain(
        tmp_path / "scan.nii", model=bundle, methods=["grad_cam"], cache=kept, trust="off",
        segmentation=_one_structure(scan),
    )  # fmt: skip
    assert any("qform and sform disagree" in warning for warning in found.warnings)


def test_sides_of_the_regions_follow_the_head(reference: Explanation, scan: Volume) -> None:
    """In the scan's own world the left hippocampus lies on the left, as it was segmented."""
    labels = reference.atlas_in_scan
    for label, sign in ((17, -1), (53, 1)):
        centre = labels.affine[:3, :3] @ np.argwhere(labels.array == label).mean(0) + labels.affine[:3, 3]
        assert np.sign(centre[0]) == sign
        assert 15 < abs(centre[0]) < 40
