"""Where a class activation map lies when the network moves the axes: found at the right voxel, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.axes import LOST, Origin, agree, lying, of_input, reshaped
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.errors import UserError
from torch import Tensor, nn

SHAPE, PLACE = (16, 12, 10), (2, 8, 7)
Move = Callable[[Tensor], Tensor]


class Moved(nn.Module):
    """Moves the scan, then shows the bright voxel's own features; the class's score is their mean."""

    def __init__(self, move: Move, after: Move = lambda y: y) -> None:
        super().__init__()
        self.move, self.after = move, after
        self.conv, self.head = nn.Conv3d(1, 2, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 1.0)
        nn.init.constant_(self.head.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        features = self.after(F.relu(self.conv(self.move(x))))
        return self.head(features.flatten(1).mean(1, keepdim=True))


def bright(samples: int = 1) -> Tensor:
    """Bright at PLACE; another voxel in each further sample."""
    x = torch.zeros(samples, 1, *SHAPE)
    for sample in range(samples):
        x[(sample, 0, PLACE[0] + sample, *PLACE[1:])] = 50.0
    return x


def brightest(model: nn.Module, layers: tuple[str, ...] = (), samples: int = 1) -> list[tuple[int, ...]]:
    found = Explainer(model.eval()).explain(bright(samples), 0, GradCam(layers))["grad_cam"].map
    assert found.shape == (samples, *SHAPE)
    return [tuple(int(i) for i in torch.unravel_index(one.argmax(), one.shape)) for one in found]


FOLLOWED: dict[str, Move] = {
    "permute": lambda x: x.permute(0, 1, 4, 3, 2),
    "transpose": lambda x: x.transpose(2, 4),
    "movedim": lambda x: torch.movedim(x, 2, 4),
    "flip": lambda x: x.flip(2),
    "flip of two axes": lambda x: torch.flip(x, (2, -1)),
    "flip and permute": lambda x: x.flip(3).permute(0, 1, 3, 4, 2),
    "view of the same shape": lambda x: x.view(-1, 1, *SHAPE),
    "reshape": lambda x: x.reshape(len(x), 1, 1, *SHAPE).reshape(x.shape),
    "squeeze and unsqueeze": lambda x: x.squeeze(1).unsqueeze(1),
    "squeeze of all": lambda x: x.squeeze().reshape(x.shape),
    "indexed": lambda x: x[:, 0][:, None],
    "chunk": lambda x: torch.cat([x, x], 1).chunk(2, 1)[1],
    "split": lambda x: torch.cat([x, x], 1).split([1, 1], 1)[0],
    "narrow": lambda x: x.narrow(2, 1, 12),
    "selected": lambda x: torch.cat([x, x], 1).select(1, 1)[:, None],
    "sliced in steps": lambda x: x[..., 1::2],
    "padded and flipped": lambda x: F.pad(x, (1, 2, 0, 0, 3, 0)).flip(2),
    "channels last and back": lambda x: (x.permute(0, 2, 3, 4, 1) * 2).permute(0, 4, 1, 2, 3),
    "mean over channels": lambda x: torch.cat([x, x], 1).mean(1, keepdim=True),
    "maximum over channels": lambda x: torch.cat([x, x], 1).max(1, keepdim=True)[0],
    "expanded": lambda x: x.expand(-1, 3, -1, -1, -1)[:, :1],
    "pooled when permuted": lambda x: F.max_pool3d(x.permute(0, 1, 4, 2, 3), (1, 2, 1)),
}


@pytest.mark.parametrize("layers", [(), ("conv",)])
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", FOLLOWED)
def test_moves_before_the_layer_are_followed(name: str, samples: int, layers: tuple[str, ...]) -> None:
    if name == "squeeze of all" and samples == 2:
        pytest.skip("the samples are an axis of their own there")
    for sample, found in enumerate(brightest(Moved(FOLLOWED[name]), layers, samples)):
        wanted = (PLACE[0] + sample, *PLACE[1:])
        # Steps of two voxels are shown where they are nearest.
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= (1 if "pooled" in name else 0), found


def shuffled(y: Tensor) -> Tensor:
    samples, channels, *rest = y.shape
    return F.relu(y.view(samples, 2, channels // 2, *rest).transpose(1, 2).reshape(samples, channels, *rest))


AFTER: dict[str, Move] = {
    "channel shuffle": shuffled,
    "channels last": lambda y: F.gelu(F.layer_norm(y.permute(0, 2, 3, 4, 1), (2,)) + y.permute(0, 2, 3, 4, 1)),
    "flipped": lambda y: F.relu(y.flip(2, 3)),
    "transposed": lambda y: F.relu(y.transpose(-1, -2)),
}


@pytest.mark.parametrize("name", AFTER)
def test_the_last_layer_is_found_after_moves(name: str) -> None:
    assert brightest(Moved(lambda x: x, AFTER[name]), samples=2)[1] == (PLACE[0] + 1, *PLACE[1:])


NOT_FOLLOWED: dict[str, Move] = {
    "roll": lambda x: torch.roll(x, 3, 2),
    "rot90": lambda x: torch.rot90(x, 1, (2, 3)),
    "flattened and viewed otherwise": lambda x: x.flatten(2).view(len(x), 1, 12, 16, 10),
    "index": lambda x: x[:, :, torch.arange(15, -1, -1)],
    "index_select": lambda x: torch.index_select(x, 2, torch.arange(15, -1, -1)),
    "joined": lambda x: torch.cat([x[:, :, 8:], x[:, :, :8]], 2),
    "halves summed": lambda x: x[:, :, :8] + x[:, :, 8:],
    "mirrored and summed": lambda x: x + x.flip(2),
}


@pytest.mark.parametrize("layers", [(), ("conv",)])
@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_is_not_followed_is_refused(name: str, layers: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"lie in the input is not known.*name another layer"):
        brightest(Moved(NOT_FOLLOWED[name]), layers)


def test_a_layer_that_gets_the_scan_several_times_at_once_is_refused() -> None:
    model = Moved(lambda x: torch.cat([x, x.flip(2)], 0), lambda y: y[:1] + y[1:])
    with pytest.raises(UserError, match="name another layer"):
        brightest(model, ("conv",))


def test_an_earlier_layer_is_not_taken_silently() -> None:
    model = Moved(lambda x: x, lambda y: F.relu(torch.roll(y, 3, 2)))
    with pytest.raises(UserError, match="name another layer"):
        brightest(model)
    assert brightest(model, ("conv",)) == [PLACE]


def test_residual_sums_lie_where_the_known_part_lies() -> None:
    model = Moved(lambda x: x, lambda y: y + 0.1 * F.relu(torch.roll(y, 3, 2)))
    assert brightest(model) == [PLACE]


def test_shapes() -> None:
    before = of_input(5)
    assert reshaped(before, (1, 8, 4, 5, 6), (1, 2, 4, 4, 5, 6)) == (Origin(0), None, None, *before[2:])
    assert reshaped(before, (2, 8, 4, 5, 6), (2, 8, 20, 6)) == (Origin(0), None, LOST, Origin(4))
    assert reshaped(before, (1, 1, 4, 5, 6), (4, 5, 6)) == before[2:]
    assert reshaped(before, (1, 1, 4, 5, 6), (1, 1, 4, 1, 5, 6)) == (*before[:3], None, *before[3:])
    assert reshaped(before, (2, 3, 4, 5, 6), (6, 4, 5, 6)) == (LOST, *before[2:])
    assert lying((None, None, *before[2:]), (1, 3, 4, 5, 6), 1) == ((0, 1, 2, 3, 4), ((1.0, 0.0),) * 3)
    assert lying((None, None, *before[2:]), (2, 3, 4, 5, 6), 2) is None
    assert lying((*before[2:], None, Origin(0)), (4, 5, 6, 3, 2), 2) == ((4, 3, 0, 1, 2), ((1.0, 0.0),) * 3)
    near, far = Origin(2, 2.0, 1.0), Origin(2, -2.0, 9.0)
    assert agree((near,), (Origin(2, 2.0, 0.0),), (5,))
    assert not agree((near,), (far,), (5,))
