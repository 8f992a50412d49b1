"""What small vessels leave in any brain: white-matter hyperintensities, wide perivascular spaces, old infarcts.

None of it depends on the group: it is there so that a network learns that it is no sign of the disease. How much there
is grows exponentially with age and differs widely between people (de Kort 2024,
doi:10.1016/j.neurobiolaging.2024.11.006; Vinke 2018, Neurobiol Aging 71:32); the sizes are ours. In a
T1-weighted scan hyperintensities are dark.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..deformation.construction import smooth
from .anatomy import FINE_GRID
from .structures import NAMES, codes, member

_LESIONS_ML = 4.0  # median at 73 years
_LESIONS_PER_YEAR = 0.075  # of log-volume
_LESIONS_SD = 1.0  # of log-volume, between people of an age
_MOST_LESIONS_ML = 60.0
_NEAR_VENTRICLES_MM = 7.0
_PATCH_MM = 4.0
_SPACES_AT_73 = 6.0  # mean number of spaces wide enough to be seen
_INFARCTS_AT_73 = 0.18  # mean number of old small infarcts
_VESSELS_PER_YEAR = 0.03  # of the log of either number
_DEEP = ("Putamen", "Pallidum", "Thalamus", "Caudate", "Cerebral-White-Matter")
_CSF, _LESION = NAMES.index("CSF"), (NAMES.index("Left-Lesion"), NAMES.index("Right-Lesion"))


def lesion_volume_ml(age: float, vessels: float) -> float:
    """Volume of white-matter hyperintensities of a person; ``vessels`` in SD of its logarithm."""
    logarithm = math.log(_LESIONS_ML) + _LESIONS_PER_YEAR * (age - 73) + _LESIONS_SD * vessels
    return min(math.exp(logarithm), _MOST_LESIONS_ML)


def with_vessel_disease(labels: NDArray[np.uint8], age: float, vessels: float, seed: int) -> NDArray[np.uint8]:
    """Put hyperintensities, perivascular spaces and infarcts into a brain.

    Parameters
    ----------
    labels
        Structure codes on ``FINE_GRID``; not changed.
    age, vessels
        Years, and how much there is for the age, in SD of the logarithm.
    seed
        Random seed; the same seed puts them in the same places.

    Returns
    -------
    Structure codes: lesions are ``Left-Lesion`` or ``Right-Lesion``, spaces and old infarcts are ``CSF``.
    """
    rng = np.random.default_rng([seed, 5])
    changed = labels.copy()
    _put_lesions(changed, lesion_volume_ml(age, vessels), seed)
    older = math.exp(_VESSELS_PER_YEAR * (age - 73) + 0.4 * vessels)
    for _ in range(int(rng.poisson(_SPACES_AT_73 * older))):
        _put_cavity(changed, rng, radii=(rng.uniform(0.8, 1.4), rng.uniform(0.8, 1.4), rng.uniform(2.0, 5.0)))
    for _ in range(int(rng.poisson(_INFARCTS_AT_73 * older))):
        _put_cavity(changed, rng, radii=tuple(rng.uniform(1.5, 5.0, 3)), rim=1.5)
    return changed


def _put_lesions(labels: NDArray[np.uint8], millilitres: float, seed: int) -> None:
    """The white matter that ranks highest in nearness to the ventricles plus patchy chance becomes lesion."""
    white = member("Cerebral-White-Matter")[labels]
    number = min(int(millilitres * 1000), int(white.sum()) // 4)
    if number < 30:  # a spot of three millimetres: less is not seen
        return
    wet = torch.from_numpy(member("Lateral-Ventricle", "choroid-plexus").astype(np.float32)[labels])
    coarse = functional.avg_pool3d(wet[None], 4)[0]
    near = smooth(coarse, _NEAR_VENTRICLES_MM)
    noise = smooth(torch.randn(coarse.shape, generator=torch.Generator().manual_seed(seed)), _PATCH_MM)
    score = near / near.max().clamp(min=1e-6) + 0.5 * noise / noise.std()
    fine = functional.interpolate(score[None, None], size=FINE_GRID.shape, mode="trilinear", align_corners=False)
    values = fine[0, 0].numpy()[white]
    chosen = values >= np.partition(values, values.size - number)[values.size - number]
    places = np.flatnonzero(white)[chosen]
    left = NAMES.index("Left-Cerebral-White-Matter")
    labels.flat[places] = np.where(labels.flat[places] == left, _LESION[0], _LESION[1])


def _put_cavity(
    labels: NDArray[np.uint8], rng: np.random.Generator, radii: tuple[float, ...], rim: float = 0.0
) -> None:
    """An ellipsoid of fluid about a random place of deep grey or white matter, with a rim of lesion if asked for."""
    allowed = codes(*_DEEP)
    for _ in range(200):  # about one place in ten of the box is deep tissue
        centre = np.array([rng.integers(20, size - 20) for size in labels.shape])
        if labels[tuple(centre)] in allowed:
            break
    else:
        return
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    reach = int(np.ceil(max(radii) + rim)) + 1
    box = tuple(slice(int(c) - reach, int(c) + reach + 1) for c in centre)
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1) @ turn
    tissue = np.isin(labels[box], allowed)
    inside = tissue & (((offsets / np.array(radii)) ** 2).sum(-1) <= 1)
    if rim:
        around = tissue & ~inside & (((offsets / (np.array(radii) + rim)) ** 2).sum(-1) <= 1)
        labels[box][around] = _LESION[0] if centre[0] < labels.shape[0] // 2 else _LESION[1]
    labels[box][inside] = _CSF
