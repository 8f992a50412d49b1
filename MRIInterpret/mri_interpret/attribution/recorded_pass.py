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
from .engine.axes import lying
from .engine.geometry import Geometry, to_input_grid
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
    """The output of one layer in the recorded pass.

    Attributes
    ----------
    output
        As the layer returned it.
    geometry
        Where it lies in the input, per spatial axis of the input.
    order
        The permutation of its axes that gives (N, C, *spatial), with the spatial axes in the order of the input.
    """

    name: str
    output: Tensor
    geometry: Geometry
    order: tuple[int, ...]

    def in_order(self, values: Tensor) -> Tensor:
        """``values`` in the shape of the output as (N, C, *spatial)."""
        return values if self.order == tuple(range(values.dim())) else values.permute(self.order)


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
    ruled
        Names of the modules with operations that an LRP composite may name a rule for.
    last_spatial, last_spatial_name
        The last feature map with spatial axes that the scores were computed from, and the module that made it.
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
    ruled: frozenset[str] = frozenset()
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
            self._cache[key] = self._at_input(self.weights, mode)
        gradient: Tensor = self._cache[key]
        return gradient

    def relevance(self, composite: Composite) -> Tensor:
        """Relevance of the input under ``composite``, starting from ``weights * logits``; shape of x."""
        return self._at_input(self.weights * self.logits.detach(), "relevance", composite)

    def layer(self, name: str | None) -> Layer:
        """The output of the module called ``name``, or of the last layer with spatial axes that leads to the scores.

        Raises
        ------
        UserError
            If that layer has no spatial output, was never run, does not lead to the scores, or lies where is not known.
        """
        if self.backward.refusal is not None:
            raise self.backward.refusal
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
        lies = lying(tag.geometry, output.shape, len(self.x)) if tag is not None and tag.geometry is not None else None
        if lies is None:
            raise UserError(
                f"Where the features of {_called(label)} lie in the input is not known, as an operation before moves "
                "them in a way that is not followed: name another layer for the class activation map."
            )
        order, geometry = lies
        return Layer(label, output, geometry, order)

    def layer_gradient(self, layer: Layer) -> Tensor:
        """Gradient of the value with respect to a layer's output, as (N, C, *spatial).

        Only the layers above it are run through.

        Raises
        ------
        UserError
            If the layer does not lead to the scores.
        """
        key = ("layer", id(layer.output))
        if key not in self._cache:
            gradient = self._backpropagate(self.weights, layer.output, "gradient")
            if gradient is None:
                raise UserError(f"Layer '{layer.name}' does not lead to the explained output: choose one that does.")
            self._cache[key] = layer.in_order(gradient)
        found: Tensor = self._cache[key]
        return found

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

    def _at_input(self, start: Tensor, mode: Mode, composite: Composite | None = None) -> Tensor:
        found = self._backpropagate(start, self.x, mode, composite)
        return torch.zeros_like(self.x) if found is None else found  # a rule may hand nothing down

    def _backpropagate(
        self, start: Tensor, source: Tensor, mode: Mode, composite: Composite | None = None
    ) -> Tensor | None:
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
        return None if gradient is None else gradient.detach()


def _called(layer: str) -> str:
    return f"layer '{layer}'" if layer else "the model's last layer"
