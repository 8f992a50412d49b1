"""Scans: normalised as real ones are, repeatable, aligned with their targets, flipped when asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.preprocessing.steps.partial_input import PartialInput
from mri_interpret.preprocessing.steps.values import Intensity
from mri_interpret.simulation.acquisition import AcquisitionRange, acquire, crop, normalise, random_affine, transformed
from mri_interpret.simulation.artefacts import gibbs, motion
from mri_interpret.simulation.bank import BankItem, load_item, pack, save_item
from mri_interpret.simulation.contrast import (
    PRIORS,
    T1_BETWEEN,
    T1_CSF,
    T1_GREY,
    WIDENING,
    draw_contrast,
    draw_t1_contrast,
)
from mri_interpret.simulation.structures import BRAIN, NAMES, STRUCTURES, TARGETS, member
from mri_interpret.simulation.subject import SimulatedBrain

pytestmark = pytest.mark.slow

STILL = replace(AcquisitionRange(), shift_mm=0.0, angle_deg=0.0, scale=0.0, flip=0.0)


@pytest.fixture(scope="module")
def item(diseased: SimulatedBrain) -> BankItem:
    return pack(diseased, "template", 5)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_normalise_equals_its_numpy_twin() -> None:
    image = torch.randn(20, 21, 22, generator=_generator()) * 50 + 100
    mask = torch.rand(20, 21, 22, generator=_generator(1)) > 0.4
    start = PartialInput(image.numpy(), mask.numpy() > 0, np.eye(4), fill=0.0)
    np.testing.assert_allclose(normalise(image, mask), Intensity().apply(start, None).image, atol=1e-6)


def test_a_scan_is_in_range_and_empty_outside_the_mask(item: BankItem) -> None:
    scan = acquire(item, _generator())
    assert scan.image.shape == (1, 96, 112, 96)
    assert scan.image.dtype == torch.float32
    assert float(scan.image.min()) == 0.0
    assert float(scan.image.max()) == 1.0
    assert float(scan.image[0][~scan.mask].abs().max()) == 0.0
    assert 0.1 < float(scan.mask.float().mean()) < 0.4


def test_the_same_seed_gives_the_same_voxels(item: BankItem) -> None:
    assert torch.equal(acquire(item, _generator(3)).image, acquire(item, _generator(3)).image)
    assert not torch.equal(acquire(item, _generator(3)).image, acquire(item, _generator(4)).image)


def test_white_matter_is_brighter_than_grey_and_grey_than_csf(item: BankItem, diseased: SimulatedBrain) -> None:
    scan = acquire(item, _generator(2), replace(STILL, bias=0.0, artefacts=0.0))
    pure = diseased.labels.reshape(96, 2, 112, 2, 96, 2).transpose(0, 2, 4, 1, 3, 5).reshape(96, 112, 96, 8)
    means = []
    for table in (member("CSF", "Lateral-Ventricle"), member("Cerebral-Cortex"), member("Cerebral-White-Matter")):
        inside = torch.from_numpy(table[pure].all(-1)) & scan.mask
        means.append(float(scan.image[0][inside].mean()))
    assert means[0] < means[1] < means[2]


def test_targets_are_shares_of_the_labels(item: BankItem, diseased: SimulatedBrain) -> None:
    scan = acquire(item, _generator(), STILL)
    table = TARGETS["hippocampus"][diseased.labels].astype(np.float32)
    expected = torch.nn.functional.avg_pool3d(torch.from_numpy(table)[None], 8)[0]
    torch.testing.assert_close(scan.targets[0], expected, atol=0.005, rtol=0)


def test_flip_mirrors_left_and_right() -> None:
    volume = torch.rand(1, 96, 112, 96, generator=_generator())
    matrix = random_affine(_generator(), replace(STILL, flip=1.0))
    torch.testing.assert_close(transformed(volume, matrix), volume.flip(1), atol=1e-4, rtol=0)


def test_a_shift_in_mm_is_one_in_voxels() -> None:
    volume = torch.rand(1, 96, 112, 96, generator=_generator())
    matrix = torch.cat((torch.eye(3), torch.tensor([[2.0], [0.0], [-4.0]])), 1)
    moved = transformed(volume, matrix)
    torch.testing.assert_close(moved[:, :-1, :, 2:], volume[:, 1:, :, :-2], atol=1e-3, rtol=0)


def test_cropping_leaves_out_nothing_of_the_brain(item: BankItem) -> None:
    brain = torch.zeros(item.inside.shape, dtype=torch.bool)
    brain[torch.from_numpy(item.inside)] = torch.from_numpy(BRAIN[item.codes].any(1))
    assert int(crop(brain, 8).sum()) > 0.998 * int(brain.sum())
    cropped = acquire(item, _generator(), margin=8)
    assert cropped.image.shape == (1, 80, 96, 80)
    assert cropped.targets.shape[1:] == (20, 24, 20)


@pytest.mark.parametrize(("grow", "sign"), [(1, 1), (-1, -1)])
def test_masks_grow_and_shrink(item: BankItem, grow: int, sign: int) -> None:
    plain = acquire(item, _generator(), STILL).mask
    other = acquire(item, _generator(), replace(STILL, mask_grow=grow)).mask
    assert sign * (int(other.sum()) - int(plain.sum())) > 0
    inner, outer = (plain, other) if grow > 0 else (other, plain)
    assert bool((outer | ~inner).all())


def test_contrast_keeps_the_t1_order_and_widens(item: BankItem) -> None:
    drawn = torch.stack([draw_contrast(_generator(seed)) for seed in range(200)])
    column = {name: drawn[:, NAMES.index(name)] for name in NAMES}
    white, grey = column["Left-Cerebral-White-Matter"], column["Left-Cerebral-Cortex"]
    assert float((white - grey).min()) > 0
    assert float((grey - column["CSF"]).min()) > 0
    assert float(white.std()) > PRIORS["white matter"][1]
    assert drawn.shape[1] == len(STRUCTURES)


def test_t1_contrast_lies_where_it_says_and_widens() -> None:
    def ratios(widening: float) -> dict[str, torch.Tensor]:
        drawn = torch.stack([draw_t1_contrast(_generator(seed), widening) for seed in range(300)])
        columns = {name: drawn[:, NAMES.index(name)] for name in NAMES}
        white = columns["Left-Cerebral-White-Matter"]
        names = {"grey": "Left-Cerebral-Cortex", "fluid": "CSF", "thalamus": "Left-Thalamus"}
        return {short: columns[name] / white for short, name in names.items()}

    usual, wide = ratios(WIDENING), ratios(1.3 * WIDENING)
    for short, (mean, sd) in {"grey": T1_GREY, "fluid": T1_CSF}.items():
        assert float(usual[short].mean()) == pytest.approx(mean, abs=0.02), short
        assert float(usual[short].std()) == pytest.approx(sd, abs=0.02), short
    assert float(wide["fluid"].std()) > 1.15 * float(usual["fluid"].std())
    assert float((usual["grey"] - usual["fluid"]).min()) > 0
    between = (usual["thalamus"] - usual["grey"]) / (1 - usual["grey"])
    assert float(between.median()) == pytest.approx(T1_BETWEEN["thalamus"][0], abs=0.06)
    # Tissues of one scan go together: far less spread than when each is drawn by itself.
    apart = torch.stack([draw_contrast(_generator(seed)) for seed in range(300)])
    grey = apart[:, NAMES.index("Left-Cerebral-Cortex")] / apart[:, NAMES.index("Left-Cerebral-White-Matter")]
    assert float(usual["grey"].std()) < 0.6 * float(grey.std())


def test_gibbs_keeps_the_mean_and_rings_at_an_edge() -> None:
    image = torch.zeros(32, 8, 8)
    image[8:24] = 1.0
    rung = gibbs(image, 0, 0.5)
    torch.testing.assert_close(rung.mean(), image.mean())
    assert float(rung.max()) > 1.05
    torch.testing.assert_close(gibbs(image, 0, 1.0), image, atol=1e-5, rtol=0)


def test_motion_without_moved_lines_changes_nothing_and_with_all_moves() -> None:
    image = torch.rand(16, 12, 10, generator=_generator())
    none, all_lines = torch.zeros(16, dtype=torch.bool), torch.ones(16, dtype=torch.bool)
    torch.testing.assert_close(motion(image, 0, 2, none), image)
    torch.testing.assert_close(motion(image, 0, 2, all_lines), torch.roll(image, 2, 1))


def test_items_survive_the_disk(item: BankItem, tmp_path: Path) -> None:
    save_item(item, tmp_path / "item.npz")
    back = load_item(tmp_path / "item.npz")
    for name in ("inside", "codes", "envelope", "targets"):
        np.testing.assert_array_equal(getattr(back, name), getattr(item, name))
    assert back.facts["group"] == "AD"


def test_a_damaged_item_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "item.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(UserError, match="damaged"):
        load_item(tmp_path / "item.npz")
