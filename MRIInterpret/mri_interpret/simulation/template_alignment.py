"""How a brain would be aligned with the template: the product's own way for an anatomy, a short cut for the rest.

A brain that shrinks inside its skull is scaled up again by the affine registration, which sees the brain and not the
skull. Anatomies are aligned as the product aligns a scan; a brain that was made from one is aligned by the affine that
undoes its deformation best, which costs milliseconds (``Testing/benchmarks/geometry.md`` compares the two).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..deformation.displacement import BOX_MM, COARSE, warp
from ..images.volume import Affine, Volume
from ..preprocessing.alignment import Aligner
from ..preprocessing.cache import PreprocessingCache, content_hash
from ..progress import silent
from .contrast import HEAD_PRIORS, PRIORS
from .structures import STRUCTURES

_NOISE = 4.0  # SD on the 0..255 scale: without any, mutual information of a few grey values is ill-posed


def align_as_the_product(labels: Volume) -> Affine:
    """The affine that the product finds for a plain T1-like scan of a label map: deepbet's mask, N4, registration.

    Parameters
    ----------
    labels
        Structure codes, any grid.

    Returns
    -------
    4 x 4, RAS mm of the label map to RAS mm of the template.

    Raises
    ------
    UserError
        If no brain or no alignment is found.
    """
    scan = plain_scan(labels)
    cache = PreprocessingCache(enabled=False)
    return Aligner(scan, content_hash(scan), "cpu", cache, silent, []).align("auto", "native").to_template


def plain_scan(labels: Volume) -> Volume:
    """A T1-like scan of structure codes with each tissue's mean intensity, without bias field."""
    priors = PRIORS | HEAD_PRIORS
    means = np.array([priors[structure.tissue][0] for structure in STRUCTURES], dtype=np.float32)
    codes = np.asarray(labels.array)
    rng = np.random.default_rng(0)
    image = means[codes] + _NOISE * rng.standard_normal(codes.shape, dtype=np.float32)
    return Volume(np.clip(image, 0, None).astype(np.float32), labels.affine, labels.name or "label map")


def affine_part(u: Tensor, weight: Tensor) -> Tensor:
    """The affine that undoes a deformation best: least squares of what is left of it.

    Parameters
    ----------
    u
        (3, i, j, k) in mm, backwards: x + u(x) is where x came from.
    weight
        (i, j, k): how much each place counts, for instance how much of it is brain.

    Returns
    -------
    3 x 4 in mm about the box's centre: the deformed brain seen at A y lies, on average, where the anatomy it came from
    has y.
    """
    places = _places((u.shape[1], u.shape[2], u.shape[3]))
    here = torch.cat((places, torch.ones(1, places.shape[1])))
    there = places + u.reshape(3, -1)
    chosen = weight.reshape(-1)
    normal = (here * chosen) @ here.T
    to_origin = torch.linalg.solve(normal.double(), ((here * chosen) @ there.T).double()).T
    square = torch.eye(4, dtype=torch.float64)
    square[:3] = to_origin
    return torch.linalg.inv(square)[:3].float()


def followed_by(u: Tensor, matrix: Tensor, shape: tuple[int, int, int] = COARSE) -> Tensor:
    """The deformation ``u`` seen through an affine: A y + u(A y) - y, (3, i, j, k) on a grid of ``shape``.

    On the grid of ``u`` itself its sharp places are smoothed: a shrunken entorhinal cortex regains a tenth, and at half
    its voxel size every region 4 % of its change. At a quarter volumes are kept.
    """
    places = _places(shape)
    moved = (matrix[:, :3] @ places + matrix[:, 3:] - places).reshape(3, *shape)
    return moved + warp(u, moved)


def carried_by(volume: Tensor, matrix: Tensor) -> Tensor:
    """(i, j, k) on the coarse grid, sampled at A y."""
    places = _places(COARSE)
    moved = (matrix[:, :3] @ places + matrix[:, 3:] - places).reshape(3, *COARSE)
    return warp(volume[None], moved)[0]


def _places(shape: tuple[int, int, int]) -> Tensor:
    """Centres of a grid's voxels in mm about the box's centre, (3, i * j * k)."""
    axes = [
        (torch.arange(n, dtype=torch.float32) + 0.5) * (size / n) - size / 2
        for n, size in zip(shape, BOX_MM, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).reshape(3, -1)
