"""Silhouette and mask edge, on networks that read the mask, the tissue, or both."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.checks.explained_image import ExplainedImage
from mri_interpret.checks.run_checks import check_explained
from mri_interpret.checks.silhouette import Silhouette, check_silhouette, silhouette
from mri_interpret.checks.verdict import MODEL
from scipy import ndimage
from torch import nn

from Testing.checks.small_networks import SHAPE, atlas, brain, image


class Reader(nn.Module):
    """Counts the voxels that are not empty, and adds the intensities in the middle of the brain."""

    def __init__(self, outline: float, tissue: float) -> None:
        super().__init__()
        self.outline, self.tissue = outline, tissue

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = (x > 0).to(x.dtype).flatten(1).sum(1)
        middle = x[..., 5:8, 5:9, 4:6].flatten(1).sum(1)
        return (self.outline * count + self.tissue * middle)[:, None]


TEMPLATE = ndimage.binary_erosion(brain())
IMPUTED = np.where(brain(), 0.5, 0).astype(np.float32)


def case(outline: float, tissue: float, **changes: Any) -> ExplainedImage:
    settings: dict[str, Any] = {
        "image": image(), "maps": {"map": np.ones(SHAPE)}, "mask": brain(), "labels": atlas(), "imputed": IMPUTED,
        "template_mask": TEMPLATE,
    }  # fmt: skip
    return ExplainedImage(network=Reader(outline, tissue).eval(), target=[1.0], **{**settings, **changes})


def test_what_moves_is_what_the_network_reads() -> None:
    counts = {name: int(np.count_nonzero(mask)) for name, mask in {
        "brain": brain(), "template": TEMPLATE, "tight": ndimage.binary_erosion(brain()),
        "wide": ndimage.binary_dilation(brain()),
    }.items()}  # fmt: skip
    found = silhouette(case(2.0, 0.0))
    assert found.tissue == 0
    assert found.contour == pytest.approx(2 * (counts["brain"] - counts["template"]))
    assert found.tighter == pytest.approx(2 * (counts["tight"] - counts["brain"]))
    assert found.wider == pytest.approx(2 * (counts["wide"] - counts["brain"]))
    assert found.contour_share == found.edge_share == 1
    middle = image()[0, 0, 5:8, 5:9, 4:6].numpy()
    found = silhouette(case(0.0, 3.0))
    assert abs(found.tissue) >= abs(3 * float((0.5 - middle).sum())) - 1e-4
    assert found.contour == pytest.approx(0, abs=1e-4)
    assert found.contour_share == pytest.approx(0, abs=1e-4)


def test_a_network_that_reads_the_outline_fails_and_one_that_reads_tissue_passes() -> None:
    outline = {row.check: row for row in check_silhouette(case(1.0, 0.01))}
    tissue = {row.check: row for row in check_silhouette(case(0.0001, 1.0))}
    assert {row.method for row in (*outline.values(), *tissue.values())} == {MODEL}
    for check in ("silhouette", "mask edge"):
        assert (outline[check].verdict, tissue[check].verdict) == ("fail", "pass")
    assert "may follow the brain extraction" in outline["silhouette"].sentence


def test_a_brain_whose_answer_is_the_templates_is_judged_by_its_parts() -> None:
    """All of the tissue replaced moves nothing, as light and dark cancel; an eighth of it does."""
    x = torch.zeros(1, 1, *SHAPE)
    x[0, 0][torch.as_tensor(brain())] = 0.5
    x[0, 0, 5, 5:9, 4:6], x[0, 0, 7, 5:9, 4:6] = 0.9, 0.1
    found = silhouette(case(0.0, 1.0, image=x, spacing=(16.0, 16.0, 16.0)))
    assert abs(found.tissue) > 0.1


def test_without_template_mask_edge_or_answer_it_does_not_apply() -> None:
    rows = {row.check: row for row in check_silhouette(case(1.0, 1.0, template_mask=None))}
    assert "No template" in rows["silhouette"].sentence
    assert rows["mask edge"].verdict in ("pass", "fail")
    everything = case(1.0, 1.0, mask=np.ones(SHAPE))
    assert {row.verdict for row in check_silhouette(everything)} == {"not applicable"}
    dead = {row.check: row for row in check_silhouette(case(0.0, 0.0))}
    assert {row.verdict for row in dead.values()} == {"not applicable"}
    assert "Neither the outline nor the tissue" in dead["silhouette"].sentence
    assert math.isnan(Silhouette(0.0, 0.0, 0.0, 0.0).contour_share)


def test_a_mask_of_one_voxel_gets_every_check_and_no_error() -> None:
    one = np.zeros(SHAPE, bool)
    one[6, 6, 5] = True
    rows = check_explained("full", case(1.0, 1.0, mask=one))
    assert len({row.check for row in rows}) > 8
    assert all((row.verdict == "not applicable") == math.isnan(row.value) for row in rows)
    (edge,) = (row for row in rows if row.check == "mask edge")
    assert "cannot be a voxel tighter" in edge.sentence


def test_the_model_is_judged_once_and_comes_last() -> None:
    rows = check_explained("full", case(1.0, 1.0, maps={"map": np.ones(SHAPE), "summary": np.ones(SHAPE)}))
    of_model = [row.check for row in rows if row.method == MODEL]
    assert of_model == ["silhouette", "mask edge", "recovery"]
    assert [row.method for row in rows[-3:]] == [MODEL] * 3
    alone = check_explained("full", case(1.0, 1.0, maps={"summary": np.ones(SHAPE)}))
    assert {row.method for row in alone} == {"summary"}


def test_channels_keep_their_own_levels() -> None:
    both = torch.cat([image(), 2 * image(1) + (1 - torch.as_tensor(brain()).float())], dim=1)
    seen: list[torch.Tensor] = []
    given = replace(case(1.0, 1.0), image=both)
    given.network.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    silhouette(given)
    levels = [one[0, 0][torch.as_tensor(brain())].unique() for one in seen]
    flat = next(one for one, level in zip(seen, levels, strict=True) if level.numel() == 1 and float(level) != 0.5)
    for channel in range(2):
        inside = both[0, channel][torch.as_tensor(brain())]
        assert float(flat[0, channel, 6, 6, 5]) == pytest.approx(float(inside.mean()), rel=1e-5)
        assert float(flat[0, channel, 0, 0, 0]) == channel


@pytest.mark.parametrize("channels", [1, 2])
def test_the_template_stands_in_for_a_single_channel_only(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is T1-weighted: put into another contrast it would be an image that no network was trained on."""
    from mri_interpret.attribution.explainer import Explainer
    from mri_interpret.checks import run_checks as module
    from mri_interpret.images.volume import Grid

    monkeypatch.setattr(module, "template_imputation", lambda *_: IMPUTED)
    monkeypatch.setattr(module, "template_mask", lambda _: TEMPLATE)
    seen: list[ExplainedImage] = []
    monkeypatch.setattr(module, "check_explained", lambda _level, explained, *_: seen.append(explained) or [])
    given = torch.cat([image(number) for number in range(channels)], dim=1)
    maps = {"gradient": np.zeros(SHAPE, np.float32)}
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    explainer = Explainer(Reader(1.0, 1.0))
    module.run_checks("fast", explainer, given, maps, target=[1.0], mask=brain(), labels=atlas(), grid=grid)
    assert (seen[0].imputed is IMPUTED) == (channels == 1)
    assert (seen[0].imputed is None) == (channels == 2)
