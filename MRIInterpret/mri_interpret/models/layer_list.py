"""A network as a list of torch's layers: published plain stacks of layers are rebuilt from it, as data."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_TORCH = (
    "Conv3d", "Linear", "BatchNorm3d", "BatchNorm1d", "InstanceNorm3d", "MaxPool3d", "AvgPool3d", "AdaptiveAvgPool3d",
    "AdaptiveMaxPool3d", "GroupNorm", "LayerNorm", "ReLU", "LeakyReLU", "PReLU", "ReLU6", "ELU", "SELU", "CELU",
    "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Softplus", "Softmax", "Flatten", "Dropout", "Dropout3d",
    "ConstantPad3d", "Identity",
)  # fmt: skip


class PadMaxPool3d(nn.Module):
    """Max-pooling of an image that is first padded with zeros on the low side of each axis to a multiple of the stride.

    As ClinicaDL's networks have it (Thibeau-Sutre et al. 2022, "ClinicaDL: an open-source deep learning software for
    reproducible neuroimaging processing").
    """

    def __init__(self, kernel_size: int = 2, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.pool = nn.MaxPool3d(kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to (N, C, ceil(I / stride), ...)."""
        low = [-size % self.stride for size in x.shape[2:]]
        padded = nn.functional.pad(x, (low[2], 0, low[1], 0, low[0], 0))
        pooled: Tensor = self.pool(padded)
        return pooled


LAYERS: dict[str, type[nn.Module]] = {name: getattr(nn, name) for name in _TORCH} | {"PadMaxPool3d": PadMaxPool3d}


class LayerList(nn.Sequential):
    """Layers one after the other.

    Parameters
    ----------
    layers
        One object for each: its class under "layer" (a name of :data:`LAYERS`), what it is called under "name" (its
        number if left out), and its arguments, named as torch names them.

    Raises
    ------
    ValueError
        If a layer is not known, or its arguments do not fit.

    Examples
    --------
    >>> LayerList([{"layer": "Conv3d", "in_channels": 1, "out_channels": 4, "kernel_size": 3}, {"layer": "ReLU"}])
    LayerList(
      (0): Conv3d(1, 4, kernel_size=(3, 3, 3), stride=(1, 1, 1))
      (1): ReLU()
    )
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]]) -> None:
        made: OrderedDict[str, nn.Module] = OrderedDict()
        for number, entry in enumerate(layers):
            arguments = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
            kind, name = arguments.pop("layer", None), str(arguments.pop("name", number))
            if kind not in LAYERS:
                raise ValueError(f"layer {number} is {kind!r}, and must be one of {', '.join(LAYERS)}")
            if name in made:
                raise ValueError(f"two layers are called '{name}'")
            try:
                made[name] = LAYERS[kind](**arguments)
            except TypeError as error:
                raise ValueError(f"layer {number} ({kind}): {error}") from error
        super().__init__(made)


class _MeanOfFirstAxis(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0)


class MeanOfNetworks(nn.Module):
    """Several trainings of one network; their outputs are averaged.

    Parameters
    ----------
    members
        How many.
    layers
        Of each, see :class:`LayerList`.
    """

    #: See models/members.py.
    members_read_at = "average"

    def __init__(self, members: int, layers: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if members < 1:
            raise ValueError("there must be at least one member")
        self.members = nn.ModuleList(LayerList(layers) for _ in range(members))
        self.average = _MeanOfFirstAxis()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to (N, outputs)."""
        return self.average(self.member_logits(x))

    def member_logits(self, x: Tensor) -> Tensor:
        """What each member returns, (members, N, outputs)."""
        return torch.stack([member(x) for member in self.members])

    def member_logits_from(self, outputs: Tensor) -> Tensor:
        """The same, of what :attr:`average` is given."""
        return outputs
