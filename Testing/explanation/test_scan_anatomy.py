"""The anatomy within the main job: whose it is, when it is taken from the cache, and which regions the tables have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mri_interpret.anatomy.atlas import DEFAULT_ATLAS, load_default_atlas
from mri_interpret.anatomy.segmentation import Segmentation, segmentation_of_user
from mri_interpret.anatomy.segmentation_bundle import load_segmentation_bundle
from mri_interpret.anatomy.structures_as_regions import BRAIN
from mri_interpret.anatomy.volumes import volume_table
from mri_interpret.errors import UserError
from mri_interpret.explanation import job, scan_anatomy
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.scan_anatomy import anatomy_of, read_segmentation
from mri_interpret.images.volume import Volume, resample
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.progress import silent

from Testing.anatomy.segmentation_bundles import write_intensity_bundle
from Testing.fixtures_explanation import kept, make_explanation, small_bundle

AFFINE = np.array([[8.0, 0, 0, -80], [0, 8, 0, -110], [0, 0, 8, -80], [0, 0, 0, 1]])


def _prepared(change: int = 0) -> Any:
    """A ball of three shells, as preprocessing hands it over; ``change`` makes another scan of it."""
    index = np.moveaxis(np.indices((21, 26, 22), dtype=float), 0, -1)
    distance = np.linalg.norm(index @ AFFINE[:3, :3].T + AFFINE[:3, 3], axis=-1)
    scan = Volume(np.select([distance < 25, distance < 45, distance < 60], [750, 500, 250], 0).astype(np.int16), AFFINE)
    mask = scan.with_array((distance < 60).astype(np.uint8))
    return SimpleNamespace(
        scan=scan, mask=SimpleNamespace(volume=mask), to_template=np.eye(4), scan_hash=f"scan {change}"
    )


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small network instead of the one that ships; how often it was asked."""
    bundle = load_segmentation_bundle(write_intensity_bundle(tmp_path / "bundle"))
    asked: list[str] = []
    segment = scan_anatomy.segment

    def counted(*arguments: Any, **options: Any) -> Segmentation:
        asked.append(options["bundle"].hash)
        return segment(*arguments, **options)

    monkeypatch.setattr(scan_anatomy, "DEFAULT_BUNDLE", bundle)
    monkeypatch.setattr(scan_anatomy, "segment", counted)
    return asked


def _same(one: Segmentation, two: Segmentation) -> None:
    assert np.array_equal(one.labels.array, two.labels.array)
    assert one.labels.array.dtype == two.labels.array.dtype
    assert [repr(structure) for structure in one.structures] == [repr(structure) for structure in two.structures]
    assert (one.intracranial_ml, one.source, one.warnings) == (two.intracranial_ml, two.source, two.warnings)
    assert one.made_by == two.made_by


def test_a_scan_is_segmented_once(network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PreprocessingCache(tmp_path / "cache")
    first = anatomy_of(_prepared(), None, "cpu", cache, silent)
    assert first.source == "network"
    assert first.structure("CSF").ml > 10
    _same(first, anatomy_of(_prepared(), None, "cpu", cache, silent))
    assert len(network) == 1
    # Another scan, alignment, mask or network, or what its metadata says: nothing that is kept fits.
    anatomy_of(_prepared(1), None, "cpu", cache, silent)
    moved = _prepared()
    moved.to_template[0, 3] = 2
    anatomy_of(moved, None, "cpu", cache, silent)
    masked = _prepared()
    masked.mask.volume.array[10] = 0
    anatomy_of(masked, None, "cpu", cache, silent)
    other = dataclasses.replace(scan_anatomy.DEFAULT_BUNDLE, hash="1" * 64)  # type: ignore[type-var]
    monkeypatch.setattr(scan_anatomy, "DEFAULT_BUNDLE", other)
    anatomy_of(_prepared(), None, "cpu", cache, silent)
    told = dataclasses.replace(scan_anatomy.DEFAULT_BUNDLE, unsure_entropy={"CSF": 0.001})  # type: ignore[type-var]
    monkeypatch.setattr(scan_anatomy, "DEFAULT_BUNDLE", told)
    assert not anatomy_of(_prepared(), None, "cpu", cache, silent).structure("CSF").sure
    assert len(network) == 6


def test_the_users_segmentation_comes_before_the_network(network: list[str]) -> None:
    prepared = _prepared()
    labels = prepared.scan.with_array((prepared.scan.array > 600).astype(np.int16) * 16, "mine")
    cache = PreprocessingCache(enabled=False)
    found = anatomy_of(prepared, read_segmentation(labels, prepared.scan), "cpu", cache, silent)
    assert (found.source, found.made_by, network) == ("user", "mine", [])
    outline_ml = np.count_nonzero(prepared.mask.volume.array) * 0.512
    assert found.intracranial_ml == pytest.approx(outline_ml)
    # One that comes ready made has shares of its own labels alone; they become those of the brain's outline.
    ready = segmentation_of_user(labels, prepared.scan)
    assert ready.structure("Brain-Stem").share == 1
    shared = anatomy_of(prepared, ready, "cpu", cache, silent)
    assert shared.structure("Brain-Stem").share == pytest.approx(found.structure("Brain-Stem").share)


def test_another_brains_segmentation_is_refused_or_said() -> None:
    prepared = _prepared()
    cache = PreprocessingCache(enabled=False)
    brain = (prepared.mask.volume.array > 0).astype(np.int16) * 16

    def found(array: np.ndarray) -> Segmentation:
        labels = prepared.scan.with_array(array, "mine")
        return anatomy_of(prepared, read_segmentation(labels, prepared.scan), "cpu", cache, silent)

    assert found(brain).warnings == ()
    (sentence,) = found(np.roll(brain, 4, axis=1)).warnings
    assert "of mine lies in this scan's brain: check that it was made from this scan" in sentence
    with pytest.raises(UserError, match=r"Only \d+% of mine lies in this scan's brain: give the segmentation of this"):
        found(np.roll(brain, 10, axis=1))


def test_a_structure_of_one_side_does_not_lie_on_both() -> None:
    """FAST's tissue classes 2 and 3 are no FreeSurfer labels, but read as such they are the left hemisphere's."""
    prepared = _prepared()
    right = (np.indices(prepared.scan.shape)[0] * 8 - 80) > 0
    cache = PreprocessingCache(enabled=False)
    tissue = np.where(prepared.scan.array > 300, 2, 0).astype(np.int16)
    (sentence,) = anatomy_of(
        prepared, read_segmentation(prepared.scan.with_array(tissue, "fast"), prepared.scan), "cpu", cache, silent
    ).warnings
    assert sentence == (
        "Left-Cerebral-White-Matter of fast lies on both sides of the brain: check that its values are FreeSurfer's."
    )
    sided = np.where(tissue, np.where(right, 41, 2), 0).astype(np.int16)
    labels = read_segmentation(prepared.scan.with_array(sided, "aseg"), prepared.scan)
    assert anatomy_of(prepared, labels, "cpu", cache, silent).warnings == ()


def _write_segments(path: Path, segments: dict[str, tuple[int, str]]) -> Volume:
    """A segmentation as 3D Slicer writes it, values 1, 2, 3 in slabs; the scan that it belongs to."""
    array = np.zeros((8, 6, 6), np.uint8)
    array[0:2], array[2:4], array[4:6] = 1, 2, 3
    header = [
        "NRRD0004", "type: uint8", "dimension: 3", "space: left-posterior-superior", "sizes: 8 6 6",
        "space directions: (-1,0,0) (0,-1,0) (0,0,1)", "encoding: raw", "space origin: (0,0,0)",
    ]  # fmt: skip
    header += [f"{key}_LabelValue:={value}\n{key}_Name:={name}" for key, (value, name) in segments.items()]
    path.write_bytes("\n".join([*header, "", ""]).encode() + array.tobytes(order="F"))
    return Volume(np.ones(array.shape, np.uint8), np.eye(4))


def test_the_segments_of_a_file_have_their_own_names(tmp_path: Path) -> None:
    path = tmp_path / "brain.seg.nrrd"
    segments = {"Segment0": (1, "Brain"), "Segment1": (2, "Tumour core"), "Segment2": (3, "Right hippocampus")}
    scan = _write_segments(path, segments)
    found = read_segmentation(path, scan)
    assert found is not None
    assert {one.name: one.label for one in found.structures} == {
        "Right-Hippocampus": 53, "Brain": 20_001, "Tumour core": 20_002,
    }  # fmt: skip
    assert found.labels.array[:, 0, 0].tolist() == [20_001] * 2 + [20_002] * 2 + [53] * 2 + [0] * 2
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ({"Segment0": (1, "Brain"), "Segment1": (2, "Tumour")}, "holds the value 3, which is none of its segments"),
        ({"Segment0": (1, "Brain"), "Segment1": (1, "Tumour")}, "'Brain' and 'Tumour' share the value 1"),
    ],
)
def test_segments_that_do_not_fit_the_voxels(tmp_path: Path, segments: dict[str, tuple[int, str]], words: str) -> None:
    path = tmp_path / "brain.seg.nrrd"
    scan = _write_segments(path, segments)
    with pytest.raises(UserError, match=words):
        read_segmentation(path, scan)


def test_a_segmentation_that_cannot_be_used_is_refused_before_any_work(
    small_explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = small_explanation.scan
    assert read_segmentation("", scan) is None
    assert read_segmentation(None, scan) is None

    def nothing(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the scan was preprocessed")

    monkeypatch.setattr(job, "preprocess", nothing)
    with pytest.raises(UserError, match=r"nowhere\.mgz"):
        job.explain(scan, model=small_bundle(), segmentation=tmp_path / "nowhere.mgz")
    ready = segmentation_of_user(scan.with_array((scan.array > 0).astype(np.int16)), scan)
    affine = scan.affine.copy()
    affine[0, 3] += 1
    moved = Volume(scan.array, affine, "moved")
    with pytest.raises(UserError, match="on another grid"):
        job.explain(moved, model=small_bundle(), segmentation=ready)
    with pytest.raises(UserError, match="Regions 'lobes' are not known"):
        job.explain(scan, model=small_bundle(), regions="lobes")


def test_regions_are_this_brains_structures(small_explanation: Explanation) -> None:
    anatomy = small_explanation.anatomy
    assert anatomy is not None
    assert small_explanation.atlas_name == BRAIN
    assert small_explanation.atlas_in_scan is anatomy.labels
    table = small_explanation.region_table.query("method == 'summary' and space == 'native' and label == 17")
    voxels = np.count_nonzero((anatomy.labels.array == 17) & (small_explanation.mask.array > 0))
    assert table["voxels"].item() == voxels
    everything = small_explanation.region_table.query("method == 'summary' and space == 'native' and label > 0")
    volumes = volume_table(anatomy).set_index("label")["ml"]
    assert everything["volume_mm3"].tolist() == pytest.approx((1000 * volumes.loc[everything["label"]]).tolist())
    template = small_explanation.region_table.query("method == 'summary' and space == 'template'")
    assert "Left-Thalamus-Proper" in set(template["region"])  # the atlas's name
    assert small_explanation.provenance_record()["anatomy"]["made_by"] == "aparc+aseg"


@pytest.mark.slow
def test_an_atlas_is_laid_over_the_brain_where_it_is_asked_for(small_explanation: Explanation) -> None:
    """The anatomy is there all the same."""
    plain = make_explanation(signs=(1, 1, -1))  # in template space, so that nothing is registered
    labels = Volume(np.roll(plain.atlas_in_scan.array, 2, 0), plain.scan.affine, "mine")

    def explained(**options: Any) -> Explanation:
        return job.explain(
            plain.scan, model=small_bundle(), methods=["gradient"], target="AD", mask=plain.mask, space="mni",
            trust="off", device="cpu", cache=kept(), **options,
        )  # fmt: skip

    with pytest.raises(UserError, match="give one only"):
        explained(regions="atlas", segmentation=labels)
    own = explained(segmentation=labels)
    laid_over = explained(regions="atlas")
    assert laid_over.atlas_name == DEFAULT_ATLAS
    expected = resample(load_default_atlas().volume, plain.scan.grid, order=0).array
    assert np.array_equal(laid_over.atlas_in_scan.array, expected)
    assert laid_over.anatomy is not None
    assert laid_over.anatomy.source == "network"
    assert own.anatomy is not None
    assert own.anatomy.source == "user"
    # What the model sees and says does not depend on the regions of the scan.
    assert own.prediction == laid_over.prediction
    assert np.array_equal(own.summary_template.array, laid_over.summary_template.array)
    in_template = [one.region_table.query("space == 'template'").reset_index(drop=True) for one in (own, laid_over)]
    assert in_template[0].equals(in_template[1])
