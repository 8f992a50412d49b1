"""Occlusion against a plain loop, baselines against plain formulas."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import Explainer, create_method
from mri_interpret.attribution.engine.partial import filled_boxes
from mri_interpret.attribution.methods.baselines import RandomisedModel, RandomMap
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.methods.perturbation import Occlusion
from scipy import ndimage
from torch import Tensor, nn

from Testing.attribution.networks import plain, randomise, volume


def test_occlusion_equals_a_loop() -> None:
    model, x = plain(), volume((9, 10, 8), samples=2)
    found = Explainer(model).explain(x, 1, Occlusion(patch=(4, 3, 5), stride=(3, 3, 2), fill=0.2, batch=3))["occlusion"]
    total, count = torch.zeros(2, 9, 10, 8, dtype=torch.float64), torch.zeros(9, 10, 8)
    with torch.no_grad():
        whole = model(x)[:, 1]
        # Positions as captum places them: the last ones reach the far edge and are cut there.
        for i in (0, 3, 6):
            for j in (0, 3, 6, 9):
                for k in (0, 2, 4):
                    other = x.clone()
                    window = (slice(i, i + 4), slice(j, j + 3), slice(k, k + 5))
                    other[(slice(None), slice(None), *window)] = 0.2
                    total[(slice(None), *window)] += (whole - model(other)[:, 1]).reshape(2, 1, 1, 1)
                    count[window] += 1
    torch.testing.assert_close(found.map, (total / count).float(), rtol=1e-5, atol=1e-7)
    assert found.details["positions"] == 36


def test_occlusion_leaves_out_what_lies_outside_the_mask() -> None:
    model, x = plain(), volume((8, 8, 8))
    mask = torch.zeros(8, 8, 8, dtype=torch.bool)
    mask[4:, 4:, 4:] = True
    found = Explainer(model).explain(x, 1, Occlusion(patch=4, stride=4), brain_mask=mask)["occlusion"]
    assert found.details["positions"] == 1
    assert float(found.map[:, :4].abs().max()) == 0
    assert float(found.map[:, 4:, 4:, 4:].abs().min()) > 0


def test_region_occlusion_fills_with_what_it_says() -> None:
    model, x = plain(), volume((9, 9, 9), samples=2) + 0.1
    labels = torch.zeros(9, 9, 9, dtype=torch.int64)
    labels[1:4, 2:5, 3:6], labels[6:8] = 7, 3
    mask = torch.ones(9, 9, 9, dtype=torch.bool)
    mask[0] = False
    for fill in ("mean", "surround", "zero"):
        method = create_method("region_occlusion", fill=fill)
        found = Explainer(model).explain(x, 0, method, regions=labels, brain_mask=mask)["region_occlusion"]
        drops = found.details["drop_by_region"]
        assert sorted(drops) == [3, 7]
        for label, where in ((7, labels == 7), (3, labels == 3)):
            around = mask & ~where
            if fill == "surround":
                near = torch.zeros_like(where)
                for i, j, k in where.nonzero().tolist():
                    near[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3, max(k - 2, 0) : k + 3] = True
                around &= near
            other = x.clone()
            for sample in range(2):
                level = 0.0 if fill == "zero" else float(x[sample, 0][around].mean())
                other[sample, 0][where] = level
            with torch.no_grad():
                wanted = (model(x) - model(other))[:, 0].float()
            torch.testing.assert_close(torch.tensor(drops[label]), wanted, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found.map[:, where][:, 0], wanted, rtol=1e-4, atol=1e-6)
        assert float(found.map[:, labels == 0].abs().max()) == 0


def test_random_map_repeats_and_leaves_the_random_state_alone() -> None:
    explainer, x = Explainer(plain()), volume()
    state = torch.random.get_rng_state()
    maps = [explainer.explain(x, 0, RandomMap(seed=seed))["random"].map for seed in (1, 1, 2)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])
    assert torch.equal(state, torch.random.get_rng_state())
    assert abs(float(maps[0].std()) - 1) < 0.1


def test_intensity_and_edges() -> None:
    x = volume((7, 8, 9))
    maps = Explainer(plain()).explain(x, 0, ["intensity", "edges"])
    assert torch.equal(maps["intensity"].map, x[:, 0].float())
    wanted = ndimage.gaussian_gradient_magnitude(x[0, 0].double().numpy(), 1.0)
    torch.testing.assert_close(maps["edges"].map[0], torch.from_numpy(wanted).float())


def test_randomised_model_is_a_random_copy() -> None:
    model, x = plain(), volume()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    maps = Explainer(model).explain(x, 0, [LRP(), RandomisedModel(base=LRP(), seed=1)])
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    trained, random = maps["lrp"].map.flatten(), maps["randomised_model"].map.flatten()
    assert abs(float(torch.corrcoef(torch.stack([trained, random]))[0, 1])) < 0.9
    assert float(random.abs().max()) > 0


class _Strided(nn.Module):
    """Everything that changes only in part when a patch does: strides, dilation, overlapping pools, sums, gates."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(1, 4, 5, 2, 2), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(3, 2, 1))
        self.conv1, self.conv2 = nn.Conv3d(4, 4, 3, padding=2, dilation=2), nn.Conv3d(4, 4, 1)
        self.norm = nn.BatchNorm3d(4)
        self.gate = nn.Linear(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x * 2 - 0.5)
        y = nn.functional.leaky_relu(self.norm(self.conv1(y) - self.conv2(y)), 0.1)
        y = y * torch.sigmoid(self.gate(y.mean((2, 3, 4)))).reshape(-1, 4, 1, 1, 1)
        return self.fc(y.mean((2, 3, 4)))


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("shape", [(41, 38, 45), (24, 60, 33)])
def test_computing_only_what_changes_changes_nothing(shape: tuple[int, ...], samples: int) -> None:
    model, x = randomise(_Strided()), volume(shape, samples=samples)
    method = Occlusion(patch=(5, 6, 4), stride=(11, 13, 12), fill=0.3, batch=7)
    windows = method.windows(shape)
    found = Explainer(model).record(x, 1, {}).logits_with_boxes(*filled_boxes(x, windows, 0.3)).reshape(-1, samples, 3)
    wanted = []
    with torch.no_grad():
        for window in windows:
            other = x.clone()
            other[(slice(None), slice(None), *window)] = 0.3
            wanted.append(model(other))
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-10, atol=1e-12)
