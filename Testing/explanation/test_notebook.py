"""What a notebook shows of an explanation: what must be said, pictures the right way round, and no foreign HTML."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.explanation.explanation import Explanation
from PIL import Image

from Testing.fixtures_explanation import with_known_maps

HOSTILE = "<script>alert('1')</script> & <img src=x onerror=y>"


def _pictures(html: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).astype(int) for one in found]


@pytest.fixture(scope="module")
def known(small_explanation: Explanation) -> Explanation:
    return with_known_maps(small_explanation)


def test_what_must_be_said_is_said(known: Explanation) -> None:
    html = known._repr_html_()
    for text in (
        known.model.banner,
        known.prediction.predicted,
        f"{known.prediction.probabilities['AD']:.1%}",
        known.registration.sentence,
        "Right-Hippocampus",
        f"Checks: {sum(v.verdict == 'pass' for v in known.verdicts)} pass",
    ):
        assert text in html
    assert "LRP" in html.split("Warnings")[1]
    assert html.index(known.model.banner) < html.index("Predicted")
    assert len(html) < 5e6
    assert len(html[: html.index("<iframe")]) + len(html[html.index("</iframe>") :]) < 200_000


def test_the_strongest_voxel_is_in_every_picture_on_the_right_side(known: Explanation) -> None:
    pictures = _pictures(known._repr_html_())
    assert len(pictures) == 3
    for picture in pictures:
        assert ((picture[..., 0] - picture[..., 2]) > 100).sum() > 20  # hot colours
        assert (np.ptp(picture, axis=2) == 0).sum() > 0.5 * picture[..., 0].size  # over a grey scan
    for picture in pictures[1:]:  # coronal, axial: the right hippocampus, which is stronger, is on the left
        hot = picture[..., 0] + picture[..., 1] - picture[..., 2]
        _, column = np.unravel_index(hot.argmax(), hot.shape)
        assert column < 0.5 * picture.shape[1]


def test_a_signed_map_is_red_and_blue(known: Explanation) -> None:
    lrp = known.maps["lrp"]
    flipped = replace(lrp, native=lrp.native.with_array(-lrp.native.array))
    red, blue = (sum((p[..., 0] - p[..., 2]).sum() for p in _pictures(one._repr_html_())) for one in (lrp, flipped))
    assert red > 0 > blue


def test_text_from_outside_stays_text(known: Explanation) -> None:
    one = replace(known.maps["lrp"], title=HOSTILE, units=HOSTILE)
    table = known.region_table.assign(region=HOSTILE)
    hostile = replace(
        known,
        scan=replace(known.scan, name=HOSTILE),
        model=replace(known.model, name=HOSTILE, version=HOSTILE, banner=HOSTILE),
        prediction=replace(known.prediction, predicted=HOSTILE, probabilities={HOSTILE: 1.0}),
        target=replace(known.target, name=HOSTILE),
        maps={"lrp": one},
        registration=replace(known.registration, sentence=HOSTILE),
        warnings=(HOSTILE,),
        region_table=table,
        verdicts=type(known.verdicts)([replace(known.verdicts[0], sentence=HOSTILE)]),
    )
    for html in (hostile._repr_html_(), one._repr_html_()):
        assert "<script" not in html
        assert "<img src=x" not in html
        assert "&lt;script&gt;" in html


def test_a_map_of_zeros_and_an_explanation_without_checks_show_themselves(known: Explanation) -> None:
    zeros = known.summary.with_array(np.zeros_like(known.summary.array))
    html = replace(known, summary=zeros, verdicts=type(known.verdicts)())._repr_html_()
    assert "Checks:" not in html
    assert all((np.ptp(picture, axis=2) == 0).all() for picture in _pictures(html))


def test_a_map_goes_out_as_a_nibabel_image(known: Explanation) -> None:
    one = known.maps["lrp"]
    for space, volume, code in (("native", one.native, 1), ("template", one.template, 4)):
        image = one.to_nibabel(space)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array)
        np.testing.assert_allclose(image.affine, volume.affine, atol=1e-4)
        assert int(image.header["sform_code"]) == code
    with pytest.raises(ValueError, match="native"):
        one.to_nibabel("scanner")  # type: ignore[arg-type]
