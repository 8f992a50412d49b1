"""Fields compose, invert, and have the divergence that was asked for."""

from __future__ import annotations

import numpy as np
import torch
from mri_interpret.attribution.deformation_result import log_volume
from mri_interpret.deformation.construction import field_of_divergence, random_diffeomorphism, smooth
from mri_interpret.deformation.displacement import (
    BOX_MM,
    COARSE,
    compose,
    inverse,
    inverse_of_strong,
    log_jacobian,
    resized,
    warp,
)


def _blob(shape: tuple[int, int, int] = COARSE) -> torch.Tensor:
    axes = [torch.linspace(-1, 1, n) for n in shape]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return torch.exp(-((i - 0.1) ** 2 + j**2 + (k + 0.2) ** 2) / 0.08)


def _interior(volume: torch.Tensor, margin: int = 6) -> torch.Tensor:
    return volume[..., margin:-margin, margin:-margin, margin:-margin]


def test_a_shift_of_whole_voxels_moves_the_image_by_them() -> None:
    image = torch.rand(1, *COARSE)
    u = torch.zeros(3, *COARSE)
    u[0], u[2] = 4.0, -8.0  # one voxel of 4 mm along R, two back along S
    moved = warp(image, u)
    torch.testing.assert_close(moved[:, 5:20, 5:20, 5:20], image[:, 6:21, 5:20, 3:18], atol=1e-4, rtol=0)


def test_composition_is_deforming_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    first, then = (random_diffeomorphism(generator, {25.0: 3.0}) for _ in range(2))
    image = smooth(torch.randn(1, *COARSE, generator=generator), 20.0)
    twice = warp(warp(image, first), then)
    at_once = warp(image, compose(first, then))
    assert float(_interior(twice - at_once).abs().max()) < 0.03 * float(image.abs().max())


def test_the_inverse_undoes_a_gentle_field() -> None:
    u = random_diffeomorphism(torch.Generator().manual_seed(1), {25.0: 2.0})
    left_over = compose(u, inverse(u, 8))
    assert float(_interior(left_over).abs().max()) < 0.1 < float(u.abs().max())


def test_a_strong_field_is_undone_and_its_change_of_volume_is_known_everywhere() -> None:
    along = (torch.arange(96) + 0.5) * 2 - 96  # mm
    profile = 60 * torch.exp(-((along / 30) ** 2)) * torch.sin(along / 30)  # grows by 2 mm in a mm, shrinks by 0.8
    u = torch.zeros(3, 96, 8, 8)
    u[0] = profile[:, None, None]
    box = (192.0, 16.0, 16.0)
    slope = torch.gradient(profile, spacing=2.0)[0]
    assert float(slope.max()) > 1.9
    assert float(slope.min()) > -0.95
    left_over = compose(u, inverse_of_strong(u, box=box), box)
    assert float(left_over.abs().max()) < 0.2  # a tenth of a cell
    volume = log_volume(u, box)[:, 4, 4]
    assert torch.isfinite(volume).all()
    # The scan's place y is seen at x, where x + u(x) = y, and grew by the inverse of 1 + u'.
    exact = np.interp(along.numpy(), (along + profile).numpy(), -np.log1p(slope.numpy()))
    assert np.abs(volume.numpy() - exact)[6:-6].max() < 0.05 * np.abs(exact).max()


def test_a_uniform_stretch_has_the_log_of_its_factor_cubed_as_jacobian() -> None:
    axes = [(torch.arange(n) + 0.5) * size / n - size / 2 for n, size in zip(COARSE, BOX_MM, strict=True)]
    u = 0.1 * torch.stack(torch.meshgrid(*axes, indexing="ij"))
    torch.testing.assert_close(log_jacobian(u), torch.full(COARSE, 3 * float(torch.log(torch.tensor(1.1)))))


def test_the_field_has_the_divergence_that_was_asked_for() -> None:
    wanted = _blob()
    wanted = 0.05 * (wanted - wanted.mean())
    u = field_of_divergence(wanted)
    divergence = sum(torch.gradient(u[axis], spacing=4.0, dim=axis)[0] for axis in range(3))
    assert float(_interior(divergence - wanted).abs().max()) < 0.05 * float(wanted.abs().max())


def test_random_deformations_never_fold_and_repeat_for_a_seed() -> None:
    def make(seed: int) -> torch.Tensor:
        return random_diffeomorphism(torch.Generator().manual_seed(seed), {30.0: 3.3, 15.0: 2.0, 8.0: 0.5})

    assert torch.isfinite(log_jacobian(make(3))).all()
    assert torch.equal(make(3), make(3))
    assert not torch.equal(make(3), make(4))


def test_amplitude_is_root_mean_square_displacement() -> None:
    u = random_diffeomorphism(torch.Generator().manual_seed(2), {30.0: 2.0})
    assert 1.6 < float(u.square().mean().sqrt()) < 2.4


def test_a_resized_field_moves_a_finer_image_alike() -> None:
    u = random_diffeomorphism(torch.Generator().manual_seed(5), {30.0: 2.0})
    fine_shape = (96, 112, 96)
    fine = warp(_blob(fine_shape)[None], resized(u, fine_shape))
    coarse = warp(_blob()[None], u)
    down = torch.nn.functional.avg_pool3d(fine[None], 2)[0]
    assert float(_interior(down - coarse).abs().max()) < 0.02
