"""The recorded forward pass of one input: what the methods draw on, each thing computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..progress import ProgressCallback, silent
from .about_input import AboutInput
from .composites import Composite
from .engine.geometry import Geometry, covering, to_input_grid
from .engine.operation import Backward, Mode
from .engine.partial import filled_boxes
from .engine.tag import tag_of
from .outputs import OutputChoice


class MapMaker(Protocol):
    """What makes a map of a recorded pass: an attribution method."""

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        """The map, (N, *spatial), and details worth telling."""
        ...


@dataclass
class Layer:
    """The output of one layer in the recorded pass."""

    name: str
    output: Tensor
    geometry: Geometry


@dataclass
class RecordedPass:
    """The recorded forward pass of one input, and backward passes over it.

    Attributes
    ----------
    model
        The network, in evaluation mode as long as its maps are made.
    x
        The input, (N, C, *spatial); the leaf of the recorded graph.
    logits
        (N, classes), with history.
    weights
        The target, (N, classes).
    choice
        Which of the model's outputs these are.
    logits_of
        ``logits_of(x)``: the plain model's logits for another input of the same kind, without history.
    record
        ``record(x)``: the recorded pass of another input with the same target, for methods that average over inputs.
    record_alone
        ``record_alone(x, number)``: the recorded pass of another single input with the target of sample ``number``.
    record_with
        ``record_with(model)``: the recorded pass of the same input and target through another model.
    logits_with_boxes
        ``logits_with_boxes(corners, values)``: logits (boxes * N, classes) of the input with one box at a time replaced
        by ``values`` (boxes, N, C, *size).
    takes_batches
        See :attr:`accepts_batches`; told when it is asked.
    outputs
        Outputs of the modules that were asked for, by dotted name.
    last_spatial, last_spatial_name
        The last feature map with spatial axes, and the module that made it.
    about
        What is known of the input besides its values: brain mask, regions, voxel size; on its device.
    progress
        Told between passes; may raise :class:`~mri_interpret.errors.Cancelled`.
    """

    model: nn.Module
    x: Tensor
    logits: Tensor
    weights: Tensor
    choice: OutputChoice
    logits_of: Callable[[Tensor], Tensor]
    record: Callable[[Tensor], RecordedPass]
    record_alone: Callable[[Tensor, int], RecordedPass]
    record_with: Callable[[nn.Module], RecordedPass]
    logits_with_boxes: Callable[[list[tuple[int, ...]], Tensor], Tensor]
    backward: Backward
    takes_batches: Callable[[], bool]
    outputs: dict[str, Tensor]
    last_spatial: Tensor | None = None
    last_spatial_name: str = ""
    about: AboutInput = field(default_factory=AboutInput)
    progress: ProgressCallback = silent
    _cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def mask(self) -> Tensor | None:
        """True inside the brain, on the input's spatial grid."""
        return self.about.mask

    @property
    def regions(self) -> Tensor | None:
        """Integer labels on the input's spatial grid, for methods that work by region."""
        return self.about.regions

    @property
    def shape(self) -> tuple[int, ...]:
        """The input's spatial shape."""
        return tuple(self.x.shape[2:])

    @property
    def explained(self) -> Tensor:
        """The value explained per sample, (N,)."""
        return (self.weights * self.logits.detach()).sum(1)

    @property
    def accepts_batches(self) -> bool:
        """Whether inputs may be joined into larger batches, each sample of which is treated as if it were alone."""
        return self.takes_batches()

    def map_of(self, method: MapMaker) -> tuple[Tensor, dict[str, Any]]:
        """The map and details of ``method``; computed once however many methods are made of it."""
        if method not in self._cache:
            self._cache[method] = method.compute(self)
        cached: tuple[Tensor, dict[str, Any]] = self._cache[method]
        return cached

    def input_gradient(self, mode: Mode = "gradient") -> Tensor:
        """Gradient of the value with respect to the input, or guided backpropagation; shape of x.

        What guided backpropagation gated stands in ``backward`` after it.
        """
        key = ("input", mode)
        if key not in self._cache:
            self._cache[key] = self._backpropagate(self.weights, self.x, mode)
        gradient: Tensor = self._cache[key]
        return gradient

    def relevance(self, composite: Composite) -> Tensor:
        """Relevance of the input under ``composite``, starting from ``weights * logits``; shape of x."""
        return self._backpropagate(self.weights * self.logits.detach(), self.x, "relevance", composite)

    def layer(self, name: str | None) -> Layer:
        """The output of the module called ``name``, or of the last layer with spatial axes.

        Raises
        ------
        UserError
            If that layer has no spatial output, or was never run.
        """
        if name is None:
            if self.last_spatial is None:
                raise UserError("The model has no layer with spatial axes, so it has no class activation maps.")
            output, label = self.last_spatial, self.last_spatial_name
        else:
            if name not in self.outputs:
                raise UserError(f"Layer '{name}' did not run for this input: choose another one.")
            output, label = self.outputs[name], name
        if output.dim() != self.x.dim() or not output.requires_grad:
            raise UserError(
                f"Layer '{label}' returns shape {tuple(output.shape)}: choose one that keeps the spatial axes."
            )
        tag = tag_of(output)
        geometry = tag.geometry if tag is not None else None
        return Layer(label, output, geometry or covering(self.shape, output.shape[2:]))

    def layer_gradient(self, layer: Layer) -> Tensor:
        """Gradient of the value with respect to a layer's output; only the layers above it are run through."""
        key = ("layer", id(layer.output))
        if key not in self._cache:
            self._cache[key] = self._backpropagate(self.weights, layer.output, "gradient")
        gradient: Tensor = self._cache[key]
        return gradient

    def occluded_values(self, windows: list[tuple[slice, ...]], fill: float, batch: int, title: str) -> list[Tensor]:
        """The value explained with each of ``windows`` in turn filled with ``fill``: a tensor (N,) per window."""
        values: list[Tensor] = []
        x = self.x.detach()
        for first in range(0, len(windows), batch):
            self.progress(title, first / len(windows))
            chosen = windows[first : first + batch]
            values += list(self.values_with_boxes(*filled_boxes(x, chosen, fill)))
        return values

    def values_with_boxes(self, corners: list[tuple[int, ...]], values: Tensor) -> Tensor:
        """The value explained, (boxes, N), with one box of the input at a time replaced by ``values``."""
        logits = self.logits_with_boxes(corners, values).reshape(len(corners), *self.weights.shape)
        return (logits * self.weights).sum(2)

    def upsample(self, features: Tensor, layer: Layer) -> Tensor:
        """Interpolate (N, *feature grid) to the input's grid; every value stays where it lies in space."""
        return to_input_grid(features, layer.geometry, self.shape)

    def _backpropagate(self, start: Tensor, source: Tensor, mode: Mode, composite: Composite | None = None) -> Tensor:
        if self.backward.refusal is not None:
            raise self.backward.refusal
        self.backward.mode, self.backward.policy = mode, composite
        if mode == "guided":
            self.backward.gated.clear()
            self.backward.not_gated.clear()
        try:
            (gradient,) = torch.autograd.grad(self.logits, source, start, retain_graph=True, allow_unused=True)
        finally:
            self.backward.mode, self.backward.policy = "gradient", None
        if gradient is None:
            return torch.zeros_like(source)
        return gradient.detach()
