"""Functions that are recorded as the simpler ones they are made of, as programs have them too."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .activation import softmax_axis
from .calls import Call, Recording, handles


@handles("glu")
def _glu(recorder: Recording, call: Call) -> Any:
    dim = call.get(1, "dim", -1)

    def gated(x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim)
        return value * torch.sigmoid(gate)

    return recorder.decomposed(gated, call.get(0, "input"))


@handles("tanhshrink")
def _tanhshrink(recorder: Recording, call: Call) -> Any:
    return recorder.decomposed(lambda x: x - torch.tanh(x), call.get(0, "input"))


@handles("softsign")
def _softsign(recorder: Recording, call: Call) -> Any:
    return recorder.decomposed(lambda x: x / (1 + x.abs()), call.get(0, "input"))


@handles("softmin")
def _softmin(recorder: Recording, call: Call) -> Any:
    return recorder.decomposed(lambda x: torch.softmax(-x, softmax_axis(call)), call.get(0, "input"))


@handles("lerp")
def _lerp(recorder: Recording, call: Call) -> Any:
    start, end, weight = call.args[0], call.get(1, "end"), call.get(2, "weight")
    return recorder.decomposed(lambda: start + weight * (end - start))


@handles("addcmul", "addcdiv")
def _add_product(recorder: Recording, call: Call) -> Any:
    start, left, right = call.args[0], call.get(1, "tensor1"), call.get(2, "tensor2")
    value = call.kwargs.get("value", 1)
    product = torch.mul if call.name == "addcmul" else torch.div
    return recorder.decomposed(lambda: start + value * product(left, right))


@handles("local_response_norm")
def _local_response_norm(recorder: Recording, call: Call) -> Any:
    size, alpha, beta = int(call.get(1, "size")), call.get(2, "alpha", 1e-4), call.get(3, "beta", 0.75)
    k = call.get(4, "k", 1.0)

    def normalised(x: Tensor) -> Tensor:
        # The channels become an axis that is averaged over.
        squares = x.square().reshape(x.shape[0], 1, x.shape[1], -1, 1)
        mean = F.avg_pool3d(F.pad(squares, (0, 0, 0, 0, size // 2, (size - 1) // 2)), (size, 1, 1), stride=1)
        return x / (mean.reshape(x.shape) * alpha + k) ** beta

    return recorder.decomposed(normalised, call.get(0, "input"))
