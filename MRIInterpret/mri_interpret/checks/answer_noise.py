"""The answer's own noise: how far it moves when nothing changes but pose, mask and scanner noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .explained_image import ExplainedImage, explained_values
from .silhouette import masks_by_a_voxel
from .stability import noise, rotation, shift

if TYPE_CHECKING:
    from .stability import Perturbation


@dataclass(frozen=True)
class AnswerNoise:
    """Root mean squares of the answer's changes, in its own units.

    Attributes
    ----------
    pose
        Shifts by half a voxel along each axis and turns by two degrees about each, both ways.
    mask
        The brain mask a voxel tighter and wider; 0 where that cannot be.
    scanner
        Gaussian noise of 2 % of the intensity range.
    """

    pose: float
    mask: float
    scanner: float

    @property
    def total(self) -> float:
        """All three, which come about independently: the root of the sum of their squares."""
        return math.hypot(self.pose, self.mask, self.scanner)


def answer_noise(
    explained: ExplainedImage,
    weights: Sequence[float],
    seed: int = 0,
    told: Callable[[float], None] = lambda part: None,
) -> AnswerNoise:
    """Ask the network about copies of the image that carry the same information.

    Parameters
    ----------
    weights
        Of the logits: the answer.
    told
        Called with the part that is done; may raise to cancel.
    """
    import torch

    channels = explained.image[0].detach().cpu().numpy()

    def value(given: Sequence[NDArray[np.floating]]) -> float:
        image = torch.as_tensor(np.ascontiguousarray(np.stack(given))[None]).to(explained.image)
        return float(explained_values(explained.network, image, weights, explained.output)[0])

    def rms(images: Sequence[Callable[[], Sequence[NDArray[np.floating]]]], first: float, last: float) -> float:
        changes = []
        for number, make in enumerate(images):
            told(first + (last - first) * number / len(images))
            changes.append(value(make()) - whole)
        return float(np.sqrt(np.mean(np.square(changes)))) if changes else 0.0

    def perturbed(perturbation: Perturbation) -> Callable[[], Sequence[NDArray[np.floating]]]:
        return lambda: [perturbation.apply(channel) for channel in channels]

    whole = value(list(channels))
    half = np.eye(3) / 2
    poses = [shift(sign * half[axis]) for axis in range(3) for sign in (1, -1)]
    poses += [rotation(sign * 2.0, axes) for axes in ((0, 1), (0, 2), (1, 2)) for sign in (1, -1)]
    masks = masks_by_a_voxel(explained)
    return AnswerNoise(
        pose=rms([perturbed(one) for one in poses], 0.0, 0.7),
        mask=rms([partial(list, one) for one in masks or ()], 0.7, 0.8),
        scanner=rms([perturbed(noise(seed + number)) for number in range(3)], 0.8, 1.0),
    )
