"""Forward passes of inputs that differ from a known one only in a box: each layer computes what has changed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from .activation import Activation
from .affine import Affine, FixedStatistics
from .arithmetic import Sum
from .axes import Origins, of_input
from .calls import Call
from .convolution_layer import Convolution
from .deferred import Deferred
from .operation import Backward, Operation
from .patches import Patch, Place
from .pooling import MaxPooling
from .recorder import Recorder
from .tag import Tag, tag_of


class Baseline(Recorder):
    """Records the unchanged input and keeps the output of every operation, in order."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, Backward(), strict=False)
        self.values: list[Tensor] = []

    def record(self, operation: Operation, *inputs: Tensor, **facts: Any) -> Tensor:
        output = super().record(operation, *inputs, **facts)
        self.values.append(output.detach())
        return output


class Partial(Recorder):
    """Runs the model on changed inputs.

    Parameters
    ----------
    model
        The network.
    baseline
        Outputs of its operations for the unchanged input, from :class:`Baseline`.
    """

    def __init__(self, model: nn.Module, baseline: list[Tensor]) -> None:
        super().__init__(model, Backward(), strict=False)
        self._baseline = baseline
        self._count = 0
        self._computing = False

    def forward(self, model: nn.Module, start: Tensor) -> Any:
        return tree_map(self._computed, super().forward(model, start))

    def start(self, x: Tensor, places: list[Place], values: Tensor) -> Tensor:
        """The changed inputs as one tensor (boxes * N, C, *shape) that needs no memory."""
        self.rank = x.dim()
        return self._deferred(Patch(x, places, values), Tag(geometry=of_input(x.dim())))

    def record(
        self,
        operation: Operation,
        *inputs: Tensor,
        geometry: Origins | None = None,
        gate: bool = False,
        module: str | None = None,
        label: str | None = None,
    ) -> Tensor:
        base = self._baseline[self._count]
        self._count += 1
        patches = [tag.patch if (tag := tag_of(value)) is not None else None for value in inputs]
        found = _changed(operation, patches, base) if all(patch is not None for patch in patches) else None
        if found is not None and found.is_small():
            return self._deferred(found, Tag(geometry=geometry, gate=gate, first=False))
        if found is not None:
            return self.tag(found.whole(), Tag(geometry=geometry, gate=gate, first=False))
        whole = [self._computed(value) for value in inputs]
        return super().record(operation, *whole, geometry=geometry, gate=gate, module=module, label=label)

    def plain(self, call: Call, geometry: Origins | None = None) -> Any:
        args, kwargs = self._mapped(call)
        return super().plain(Call(call.name, call.func, args, kwargs), geometry)

    def postpones(self, tag: Tag) -> bool:
        return tag.patch is not None and not self._computing

    def _unknown(self, call: Call) -> Any:
        args, kwargs = self._mapped(call)
        return super()._unknown(Call(call.name, call.func, args, kwargs))

    def _mapped(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = tree_map(self._computed, (call.args, call.kwargs))
        return tuple(args), kwargs

    def _computed(self, value: Any) -> Any:
        self._computing = True
        try:
            return self.current(value)
        finally:
            self._computing = False

    def _deferred(self, patch: Patch, tag: Tag) -> Tensor:
        shape = (patch.base.shape[0] * len(patch.places), *patch.base.shape[1:])
        tag.patch = patch
        geometry, gate, first = tag.geometry, tag.gate, tag.first
        tag.pending = lambda: self.tag(patch.whole(), Tag(geometry=geometry, gate=gate, first=first))
        return self.defer(Deferred(patch.base, shape, requires_grad=False), tag)


def _changed(operation: Operation, patches: list[Any], base: Tensor) -> Patch | None:
    """The operation's changed output, or None if it has to be computed whole."""
    patch: Patch = patches[0]
    if isinstance(operation, Convolution) and not operation.window.transposed and not operation.pooled:
        window = operation.window
        inner = type(operation)(operation.weight, operation.bias, window.with_padding((0,) * len(window.padding)))
        around = (tuple(operation.weight.shape[2:]), window.stride, window.padding, window.dilation)
        return patch.windowed(inner.forward, base, around)
    if isinstance(operation, MaxPooling):
        kernel, stride, padding, dilation, ceil = operation.arguments
        if ceil:
            return None
        whole = (kernel, stride, padding, dilation)
        return patch.windowed(lambda x: F.max_pool3d(x, kernel, stride, 0, dilation), base, whole, fill=-torch.inf)
    if isinstance(operation, Activation):
        return patch.pointwise(operation.forward, base)
    if isinstance(operation, Affine) and not isinstance(operation, FixedStatistics):
        constants = [value for value in (operation.scale, operation.shift) if value is not None]
        if all(all(n == 1 for n in value.shape[2:]) and value.dim() in (0, base.dim()) for value in constants):
            return patch.pointwise(operation.forward, base)
        return None
    if isinstance(operation, Sum) and patches[1].base.shape == patch.base.shape:
        return patch.plus(patches[1], operation.sign, base)
    return None


def baseline_outputs(model: nn.Module, x: Tensor) -> list[Tensor] | None:
    """Outputs of all operations for ``x``, as :func:`changed_outputs` needs them; None if the model cannot be split."""
    recorder = Baseline(model)
    try:
        recorder.run(model, x)
    except Exception:
        if not recorder.leaked:
            raise
        return None
    return None if recorder.leaked else recorder.values


def changed_outputs(model: nn.Module, baseline: list[Tensor], x: Tensor, places: list[Place], values: Tensor) -> Any:
    """The model's outputs for ``x`` (N, C, ...) with ``values`` (boxes, N, C, *size) at ``places``, one at a time.

    None if the model reads values that a partial pass does not have.
    """
    recorder = Partial(model, baseline)
    try:
        output = recorder.forward(model, recorder.start(x, places, values))
    except Exception:
        if not recorder.leaked:
            raise
        return None
    return None if recorder.leaked else output


def filled_boxes(x: Tensor, windows: list[tuple[slice, ...]], fill: float) -> tuple[list[Place], Tensor]:
    """Places and values of boxes of one size, in each of which one of ``windows`` of ``x`` is filled."""
    shape = tuple(x.shape[2:])
    size = tuple(max(window[axis].stop - window[axis].start for window in windows) for axis in range(len(shape)))
    places, values = [], []
    for window in windows:
        place = tuple(min(part.start, n - m) for part, n, m in zip(window, shape, size, strict=True))
        crop = x[(slice(None), slice(None), *(slice(a, a + m) for a, m in zip(place, size, strict=True)))].clone()
        inner = [slice(part.start - a, part.stop - a) for part, a in zip(window, place, strict=True)]
        crop[(slice(None), slice(None), *inner)] = fill
        places.append(place)
        values.append(crop)
    return places, torch.stack(values)
