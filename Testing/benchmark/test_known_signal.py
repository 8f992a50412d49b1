"""The networks of the known-signal tasks: what they answer is a volume, and no other place has a say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer

from Testing.benchmarks.known_signal import METHODS, StructureVolume

SHAPE = (16, 16, 16)


def cube(low: int, high: int) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    found[low:high, low:high, low:high] = True
    return found


def scan(structure: np.ndarray, dark: float = 0.2, bright: float = 0.8) -> torch.Tensor:
    return torch.as_tensor(np.where(structure, dark, bright).astype(np.float32))[None, None]


@pytest.mark.parametrize("counts_dark", [True, False])
def test_the_answer_is_the_volume_inside_the_window(counts_dark: bool) -> None:
    network = StructureVolume(cube(2, 14), 0.2, 0.8, counts_dark).eval()
    for low, high in ((4, 12), (5, 11), (6, 10)):
        structure = cube(low, high)
        given = scan(structure) if counts_dark else scan(structure, dark=0.8, bright=0.2)
        # Means over three voxels, at every second one: the edge counts by its share.
        assert float(network(given)) == pytest.approx((high - low) ** 3, rel=0.2)
    everything = scan(cube(0, 16)) if counts_dark else scan(cube(0, 16), dark=0.8)
    assert float(network(everything)) == pytest.approx(12**3, rel=1e-4)


def test_places_outside_of_the_window_have_no_say() -> None:
    network = StructureVolume(cube(4, 12), 0.2, 0.8, True).eval()
    given = scan(cube(5, 11))
    other = given.clone()
    other[..., 14:, :, :] = 0.2
    assert torch.equal(network(other), network(given))


def test_every_method_of_the_study_explains_it_and_places_differ() -> None:
    network = StructureVolume(cube(2, 14), 0.2, 0.8, True).eval()
    structure = cube(5, 11)
    given = scan(structure) + 0.01 * torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0))
    found = Explainer(network).explain(given, target=[1.0], methods=list(METHODS))
    assert len(found) == len(METHODS)
    sizes = {name: one.map[0].abs() for name, one in found.items()}
    inside = torch.as_tensor(structure)
    # From an empty scan, which is dark everywhere, the way to this one brightens what is not the structure.
    share = {name: float(size[inside].sum() / size.sum()) for name, size in sizes.items() if float(size.sum()) > 0}
    assert share["integrated_gradients"] < 0.5 < share["hires_cam"]
