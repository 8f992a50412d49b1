"""What the checks look at: one image, the network, the maps, and how to compute them again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array
from ..summary import DEFAULT_PART

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..attribution.method import Reading
    from ..attribution.outputs import OutputChoice

Maps = Mapping[str, NDArray[np.floating]]
Explain = Callable[["nn.Module", "torch.Tensor", Sequence[float], Sequence[str]], Maps]
"""Called as ``explain(network, image, target weights, method names)``; returns maps of shape (I, J, K) by method."""


UNSIGNED = ("summary",) if DEFAULT_PART == "absolute" else ()


@dataclass(frozen=True)
class ExplainedImage:
    """One explained image on the model's grid.

    Attributes
    ----------
    network
        In evaluation mode; returns logits (N, classes).
    image
        Tensor (1, C, I, J, K), what the network saw.
    target
        A weight for each logit: the contrast that the maps explain.
    maps
        Raw relevance by method, each (I, J, K). May hold "summary", to which only checks of the map itself apply.
    mask
        Brain, (I, J, K), > 0 inside.
    labels
        Atlas labels on the same grid, 0 for none.
    spacing
        Voxel size in mm.
    explain
        Computes maps for another network or image; None if that is not possible, and checks that need it say so.
    other_targets
        Whether ``explain`` can also explain another target.
    unsigned
        Maps that say where the evidence is, for or against the target; what they mark should change the model's value
        in either direction.
    readings
        By method: what its map says a change of the scan would do (:attr:`Method.reading`). A map that is not named
        is read as shares, or by its size if it is unsigned.
    details
        By method: what the attribution recorded, for instance what its map should add up to.
    truth
        Voxels that really changed, (I, J, K), for simulated subjects; None for real ones.
    affected
        Labels of the regions that really changed.
    output
        Which of the model's outputs is explained (:attr:`Attributions.output`), if it returns more than logits.
    imputed
        What takes the place of segments that are removed, (I, J, K); the blurred brain if left out.
    structures
        Share of each voxel, (I, J, K), that a structure of this brain fills, by its name for readers; for recovery.
    towards
        A weight for each logit: the contrast that rises as those structures waste (and ventricles widen); None if the
        model has no such answer.
    template_mask
        The template's brain, (I, J, K), where the grid lies in template space.
    answers
        The network's answers on this image that do not depend on a map, kept by the check that asked for them: when
        other maps of the same image and target are checked later, they are not asked for again.
    """

    network: nn.Module
    image: torch.Tensor
    target: Sequence[float]
    maps: Maps
    mask: Array
    labels: Array
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    explain: Explain | None = None
    other_targets: bool = True
    unsigned: Collection[str] = UNSIGNED
    readings: Mapping[str, Reading] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    truth: Array | None = None
    affected: Sequence[int] = ()
    imputed: Array | None = None
    output: OutputChoice | None = None
    structures: Mapping[str, Array] = field(default_factory=dict)
    towards: Sequence[float] | None = None
    template_mask: Array | None = None
    answers: MutableMapping[Any, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.image.shape[-3:])
        if self.image.ndim != 5 or self.image.shape[0] != 1:
            raise ValueError(f"image must be (1, C, I, J, K), not {tuple(self.image.shape)}")
        for name, array in {"mask": self.mask, "labels": self.labels, **self.maps}.items():
            if np.shape(array) != shape:
                raise ValueError(f"{name} of shape {np.shape(array)} for an image of shape {shape}")
        if not np.any(np.asarray(self.mask) > 0):
            raise ValueError("the mask is empty")

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Brain voxels."""
        return np.asarray(self.mask) > 0

    @property
    def intensity(self) -> NDArray[np.float32]:
        """The image as the checks of brightness, edges and fluid see it: its first channel, (I, J, K)."""
        return np.asarray(self.image[0, 0].detach().cpu().numpy(), dtype=np.float32)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can be run again: all but the summary."""
        return tuple(name for name in self.maps if name != "summary")

    def reading_of(self, method: str) -> Reading:
        """How a map is read; by its size where channels were added up, since each has its own intensity."""
        if method in self.unsigned or self.image.shape[1] > 1:
            return "size"
        return self.readings.get(method, "share")

    def baseline_of(self, method: str) -> float:
        """The intensity from which a method's shares count: that of its details, its default, or 0."""
        from ..attribution.registry import available_methods

        # A configured method's key carries its parameters, as in "lrp(composite=epsilon)".
        info = available_methods().get(method.partition("(")[0])
        known = self.details.get(method, {}).get("baseline", info.parameters.get("baseline") if info else None)
        return float(known) if isinstance(known, (int, float)) else 0.0

    def resolution_mm(self, method: str) -> float:
        """The resolution (mm) of a coarse method's map; 0 for methods of voxel detail."""
        from ..attribution.result import resolution_mm

        return resolution_mm(self.details.get(method, {}), self.spacing)


def explained_values(
    network: nn.Module, images: torch.Tensor, target: Sequence[float], output: OutputChoice | None = None
) -> NDArray[np.float64]:
    """The contrast (weighted sum of logits) of each image of a batch, shape (N,).

    Raises
    ------
    UserError
        If the network returns no class scores, or not as many as there are weights.
    """
    import torch

    from ..attribution.recording import scores_of
    from ..attribution.target import class_scores
    from ..errors import UserError

    with torch.no_grad():
        if output is None or output.is_plain:
            logits = class_scores(_answers(network, images), len(images))
        else:
            logits = scores_of(network, images, output)
        if logits.shape[1] != len(target):
            raise UserError(f"The model returns {logits.shape[1]} outputs, but the target has {len(target)} weights.")
        weights = torch.as_tensor(target, dtype=logits.dtype, device=logits.device)
        return np.asarray((logits @ weights).double().cpu().numpy())


def _answers(network: nn.Module, images: torch.Tensor) -> Any:
    """What the network returns; what it raises for these images becomes one sentence."""
    import torch

    from ..attribution.engine.forward_pass import run_by_torch
    from ..attribution.input_checks import refusal_of
    from ..errors import Cancelled, UserError

    try:
        return run_by_torch(network, images)
    except (UserError, Cancelled, torch.OutOfMemoryError):
        raise
    except Exception as error:
        refusal = refusal_of(network, images)
        if refusal is None:
            raise
        raise UserError(refusal) from error
