"""Operations that are not computed yet, so that what follows can be merged into them.

A convolution or a normalisation is not computed when it is called, but when its result is needed. A ReLU that comes
first joins it: it costs nothing then, and no memory for what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from .affine import Affine, RectifiedAffine
from .axes import Origins
from .calls import Call, Recording, joins
from .convolution_layer import Convolution, RectifiedConvolution
from .deferred import Deferred
from .tag import Tag, tag_of


@dataclass
class Plan:
    """An operation that is not computed yet, with the normalisation and ReLU that have joined it so far.

    ``shape`` is that of the output; ``module`` the operation's, by which rules are chosen; ``label`` that of the last
    one that joined.
    """

    layer: Convolution | Affine
    x: Tensor
    shape: tuple[int, ...]
    geometry: Origins | None
    module: str
    label: str
    rectified: bool = False


def planned(recorder: Recording, layer: Convolution | Affine, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The output of ``layer``, which lies where ``x`` lies, to be computed when something needs it."""
    module = recorder.module
    return deferred(recorder, Plan(layer, x, shape, recorder.geometry(x), module, module))


def deferred(recorder: Recording, plan: Plan) -> Tensor:
    """A tensor of the right shape without memory, computed when something else needs it."""
    if not recorder.defers:
        return computed(recorder, plan)
    tag = Tag(geometry=plan.geometry, first=False, pending=lambda: computed(recorder, plan), plan=plan)
    return recorder.defer(Deferred(plan.x, plan.shape, plan.x.requires_grad), tag)


def computed(recorder: Recording, plan: Plan) -> Tensor:
    """The planned operation, recorded."""
    layer = plan.layer
    if plan.rectified:
        layer = _rectified(layer)
    output = recorder.record(layer, plan.x, geometry=plan.geometry, module=plan.module, label=plan.label)
    if not plan.rectified:
        tag = tag_of(output)
        assert tag is not None
        tag.producer = (layer, (plan.x,))
    return output


def _rectified(layer: Convolution | Affine) -> Convolution | Affine:
    if isinstance(layer, Convolution):
        return RectifiedConvolution(layer.weight, layer.bias, layer.window)
    return RectifiedAffine(layer.scale, layer.shift)


def plan_of(recorder: Recording, value: object) -> Plan | None:
    """What is planned for ``value``; None if it is computed already, or was never planned."""
    tag = tag_of(recorder.peek(value)) if isinstance(value, Tensor) else None
    return tag.plan if tag is not None and tag.pending is not None else None


@joins("relu")
def _join_relu(recorder: Recording, call: Call) -> Tensor | None:
    plan = plan_of(recorder, call.get(0, "input"))
    if plan is None or plan.rectified:
        return None
    return deferred(recorder, replace(plan, label=recorder.module, rectified=True))
