"""The public function, the names that can be imported, and what a map gives back."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mri_interpret.attribution as room
import nibabel
import numpy as np
import pytest
import torch
from mri_interpret.attribution import LRP, GradCam, IntegratedGradients, Method, SmoothGrad, attribute, registry, rules
from mri_interpret.attribution.recorded_pass import RecordedPass
from mri_interpret.errors import UserError
from PIL import Image
from torch import Tensor, nn

from Testing.attribution.networks import plain, volume


def test_a_tensor_and_an_array_give_the_same_maps() -> None:
    model, x = plain(), volume()
    wanted = attribute(model, x, 1, ["lrp", "gradient"])
    reversed_axes = np.ascontiguousarray(x.numpy()[..., ::-1])[..., ::-1]
    big_endian = x.numpy().astype(">f8")
    big_endian.flags.writeable = False
    for array in (x.numpy(), reversed_axes, big_endian):
        found = attribute(model, array, 1, ["lrp", "gradient"])
        for name in wanted:
            assert torch.equal(found[name].map, wanted[name].map)


def test_methods_are_names_objects_or_a_single_one() -> None:
    model, x = plain(), volume()
    assert list(attribute(model, x, 0, "gradient")) == ["gradient"]
    assert list(attribute(model, x, 0, LRP(composite="epsilon"))) == ["lrp"]
    assert list(attribute(model, x, 0, [GradCam(), "gradient"])) == ["grad_cam", "gradient"]


def test_the_batch_axis_is_never_guessed() -> None:
    with pytest.raises(UserError, match=r"3 spatial axes after \(N, C\): add an axis for the batch, x\[None\]\."):
        attribute(plain(), volume()[0], 0, "gradient")


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([1 + 2j]), [[None]]])
def test_arrays_that_hold_no_numbers(value: object) -> None:
    with pytest.raises(UserError, match="floating point"):
        attribute(plain(), value, 0, "gradient")


def test_every_method_and_rule_can_be_imported_by_its_name() -> None:
    for found in registry._classes().values():
        assert getattr(room, found.__name__) is found
    for name, value in vars(rules).items():
        if isinstance(value, type) and issubclass(value, rules.Rule):
            assert getattr(room, name) is value
    assert set(room._LAZY) | {"Method", "available_methods"} <= set(dir(room))
    assert sorted(room.__all__) == sorted(set(room.__all__))
    for name in room.__all__:
        assert getattr(room, name) is not None


def test_map_as_a_nifti_image() -> None:
    x = torch.cat([volume(), volume() * 2])
    found = attribute(plain(), x, 0, "gradient")["gradient"]
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    image = found.to_nibabel(affine, sample=1)
    assert isinstance(image, nibabel.Nifti1Image)
    assert np.array_equal(np.asarray(image.dataobj), found.map[1].numpy())
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(image.affine, affine)
    with pytest.raises(UserError, match="4 x 4"):
        found.to_nibabel(np.eye(3))
    with pytest.raises(UserError, match="4 x 4"):
        found.to_nibabel(np.zeros((4, 4)))
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(2))
    flat(torch.rand(1, 1, 6, 6))
    with pytest.raises(UserError, match="three axes"):
        attribute(flat, torch.rand(1, 1, 6, 6), 0, "gradient")["gradient"].to_nibabel(np.eye(4))


def test_map_in_a_notebook() -> None:
    found = attribute(plain(), volume(), 0, ["lrp", "grad_cam"])
    page = found["lrp"]._repr_html_()
    assert "<b>LRP</b>" in page
    assert f"Sum {float(found['lrp'].map.double().sum()):.4g}" in page
    assert f"value explained {float(found.explained[0]):.4g}" in page
    assert "not conserved" in page
    assert page.count("<img") == 3
    assert found["grad_cam"].title in found._repr_html_()


def test_colours_of_a_notebook_picture_say_the_sign() -> None:
    found = attribute(plain(), volume(), 0, "lrp")["lrp"]
    values = torch.zeros(1, 5, 5, 5)
    values[0, 1, 2, 3], values[0, 2, 2, 2] = 1.0, -1.0
    page = type(found)(values, "lrp", "A <map>", True, "logit", 0.0, 0)._repr_html_()
    assert "A &lt;map&gt;" in page
    pictures = [base64.b64decode(text) for text in re.findall(r"base64,([^\"]+)\"", page)]
    # Axis 1, slice 2: x to the right, z up.
    pixels = np.asarray(Image.open(io.BytesIO(pictures[1])).convert("RGB")).astype(int)
    red, _, blue = pixels[5 - 1 - 3, 1]
    assert red > 2 * blue
    red, _, blue = pixels[5 - 1 - 2, 2]
    assert blue > 2 * red
    assert pixels[0, 0].min() > 240  # zero is white


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmoothGrad(samples=0), "samples >= 1"),
        (lambda: SmoothGrad(noise=float("nan")), "noise >= 0"),
        (lambda: IntegratedGradients(steps=0), "steps and batch >= 1"),
        (lambda: LRP(composite="no such"), "LRP has an unknown composite 'no such'; known: .*epsilon-plus"),
    ],
)
def test_settings_of_methods_that_make_no_map(make: Callable[[], Method], message: str) -> None:
    with pytest.raises(UserError, match=message):
        attribute(plain(), volume(), 0, make())


def test_a_map_that_is_not_finite_is_refused() -> None:
    """Otherwise the summary and the pictures would be made of it."""

    @dataclass(frozen=True)
    class Overflow(Method):
        name = "overflow"
        title = "Overflow"

        def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
            return recorded.input_gradient().sum(1) * float("inf"), {}

    with pytest.raises(UserError, match="map of Overflow holds values that are not finite"):
        attribute(plain(), volume(), 0, ["gradient", Overflow()])
