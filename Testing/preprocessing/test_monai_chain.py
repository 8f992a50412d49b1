"""A MONAI bundle's preprocessing: equal to MONAI's own pipeline from the file, and back by its affine; else refused."""

from __future__ import annotations

import sys

import nibabel
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.reading import read_volume
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.steps.monai_chain import TRANSFORMS, read_monai_chain
from mri_interpret.preprocessing.steps.partial_input import ScanInTemplate

transforms = pytest.importorskip("monai.transforms")
SHAPE = (28, 25, 21)
AFFINE = np.array([[-1.4, 0.1, 0.2, 20.0], [0.1, 0.2, 1.9, -15.0], [0.15, 1.6, -0.1, -18.0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    index = np.indices(SHAPE)
    ball = sum(((index[axis] - SHAPE[axis] / 2) / (SHAPE[axis] / 3)) ** 2 for axis in range(3)) < 1
    values = np.where(ball, np.random.default_rng(0).gamma(4, 30, SHAPE), 0).astype(np.float32)
    path = tmp_path_factory.mktemp("monai") / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return path


def entry(target, **arguments):
    return {"_target_": target, "keys": "image", **arguments}


START = [entry("LoadImaged"), entry("EnsureChannelFirstd")]
CHAINS = {
    "orientation": [*START, entry("Orientationd", axcodes="RAS")],
    "spacing": [*START, entry("Orientationd", axcodes="LPS"), entry("Spacingd", pixdim=[2, 2, 2], mode="bilinear")],
    "resized": [*START, entry("Resized", spatial_size=[16, 20, 18], mode="trilinear")],
    "resized, area": [*START, entry("Resized", spatial_size=[16, 20, 18])],
    "scaled": [*START, entry("ScaleIntensityd")],
    "range": [*START, entry("ScaleIntensityRanged", a_min=10, a_max=200, b_min=0, b_max=1, clip=True)],
    "percentiles": [*START, entry("ScaleIntensityRangePercentilesd", lower=1, upper=99, b_min=-1, b_max=1, clip=True)],
    "z-score": [*START, entry("NormalizeIntensityd", nonzero=True, channel_wise=True)],
    "foreground": [*START, entry("CropForegroundd", source_key="image", margin=2)],
    "pad and crop": [
        *START,
        entry("SpatialPadd", spatial_size=[32, 20, 24]),
        entry("CenterSpatialCropd", roi_size=[24, 24, 18]),
    ],
    "all": [
        entry("LoadImaged", image_only=True, ensure_channel_first=True),
        entry("monai.transforms.Orientationd", axcodes="RAS"),
        entry("Spacingd", pixdim=[1.5, 1.5, 1.5]),
        entry("CropForegroundd", source_key="image"),
        entry("Resized", spatial_size=[24, 24, 24], mode="trilinear"),
        entry("NormalizeIntensityd", nonzero=True),
        entry("CastToTyped", dtype="float32"),
        entry("EnsureTyped"),
        entry("ToTensord"),
    ],
}  # fmt: skip


def run(chain, path):
    scan = read_volume(path)
    about = ScanInTemplate(scan.with_array((scan.array > 0).astype(np.uint8)), lambda kind: np.eye(4))
    return scan, read_monai_chain({"_target_": "Compose", "transforms": chain}, "inference.json").run(scan, about)


@pytest.mark.parametrize("name", CHAINS)
def test_the_input_is_what_monai_makes_of_the_file(name, path):
    _, made = run(CHAINS[name], path)
    own = []
    for one in CHAINS[name]:
        arguments = {key: value for key, value in one.items() if key != "_target_"}
        own.append(getattr(transforms, one["_target_"].rpartition(".")[2])(**arguments))
    expected = transforms.Compose(own)({"image": str(path)})["image"]
    np.testing.assert_allclose(made.channels, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(made.image.affine, expected.affine.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_maps_come_back_to_where_the_voxels_lay(name, path):
    """The brain as the network sees it, resampled to the scan, is the brain of the scan."""
    scan, made = run(CHAINS[name], path)
    back = resample(Volume(made.inside.array.astype(np.float32), made.inside.affine), scan.grid).array > 0.5
    brain = scan.array > 0
    assert 2 * (back & brain).sum() / (back.sum() + brain.sum()) > 0.9


def test_the_shape_is_known_where_it_does_not_depend_on_the_scan(path):
    for name in CHAINS:
        chain = read_monai_chain({"_target_": "Compose", "transforms": CHAINS[name]}, "inference.json")
        if chain.output_shape is not None:
            assert run(CHAINS[name], path)[1].image.shape == chain.output_shape
    assert read_monai_chain({"transforms": CHAINS["resized"]}, "x").output_shape == (16, 20, 18)


def compose(*entries):
    return {"_target_": "Compose", "transforms": list(entries)}


BAD = [
    (None, "must be a Compose"),
    ({"_target_": "os.system", "transforms": []}, "must be a Compose"),
    (compose(), "holds no transform"),
    (compose(entry("RandFlipd")), "'RandFlipd' in 'preprocessing' is not followed"),
    (compose(entry("os.system", command="true")), "'os.system' in 'preprocessing' is not followed"),
    (compose(entry("evil.monai.transforms.Resized")), "is not followed"),
    (compose("$import os"), "is not followed"),
    (compose(entry("Resized", spatial_size="$[1,2,3]")), "never evaluated"),
    (compose(entry("Resized", spatial_size=["$1", 2, 3])), "never evaluated"),
    (compose(entry("Resized", spatial_size="@size")), "refers to '@size'"),
    (compose(entry("CropForegroundd", source_key="image", select_fn={"_target_": "x"})), "only plain values"),
    (compose(entry("Resized", size=3)), "Resized cannot be made"),
    (compose({"_target_": "Resized", "spatial_size": 8}), "names no image"),
    (compose({"_target_": "Resized", "keys": ["image", "label"], "spatial_size": 8}), "several images"),
    (compose(entry("Resized", spatial_size=8), entry("LoadImaged")), "must be the first"),
    (compose(entry("LoadImaged", converter="x")), "LoadImaged with 'converter'"),
    (compose(entry("CastToTyped", dtype="int16")), "to 'int16' is not followed"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "sentence"), BAD, ids=lambda value: str(value)[:60])
def test_what_is_not_followed_is_refused_in_one_sentence(raw, sentence):
    with pytest.raises(UserError, match=sentence.replace("$", r"\$")) as caught:
        read_monai_chain(raw, "inference.json")
    assert str(caught.value).startswith("inference.json: ")
    assert "\n" not in str(caught.value)


def test_a_disabled_transform_is_left_out():
    raw = compose(entry("ScaleIntensityd"), entry("ScaleIntensityd", _disabled_=True))
    assert len(read_monai_chain(raw, "x").transforms) == 1


def test_a_list_of_models_imports_no_monai(monkeypatch):
    """Slicer's panel lists models when it opens; MONAI takes seconds to import, and may be missing."""
    monkeypatch.setitem(sys.modules, "monai.transforms", None)
    raw = {"_target_": "Compose", "transforms": CHAINS["resized"]}
    assert read_monai_chain(raw, "inference.json", make=False).transforms
    with pytest.raises(UserError, match="MONAI is missing"):
        read_monai_chain(raw, "inference.json")


def test_every_listed_transform_is_monai_s():
    assert all(hasattr(transforms, name) for name in TRANSFORMS)


def test_an_image_that_a_transform_cannot_take_is_one_sentence():
    raw = compose(entry("NormalizeIntensityd", subtrahend=[1, 2, 3], divisor=[1, 2, 3], channel_wise=True))
    scan = Volume(np.ones(SHAPE, np.float32), AFFINE, "scan.nii")
    about = ScanInTemplate(scan, lambda kind: np.eye(4))
    with pytest.raises(UserError, match=r"cannot be done on scan\.nii"):
        read_monai_chain(raw, "inference.json").run(scan, about)


def test_the_grid_of_the_brain_is_the_input_s(path):
    _, made = run(CHAINS["all"], path)
    assert isinstance(made.inside.grid, Grid)
    assert made.inside.shape == made.image.shape
