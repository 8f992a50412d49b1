"""A vision transformer of volumes whose class token is read at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from .residual_network import layer_of

_EPSILON = 1e-6


class _EncoderBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        attended, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + attended
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class VisionTransformer(nn.Module):
    """Patches become tokens, which attend to one another; the class token's last state gives the outputs.

    Source: Dosovitskiy et al. 2021, "An image is worth 16x16 words", equations 1 to 4, as ClinicaDL 2 has it (a
    normalisation before each part, no dropout once trained).

    Parameters
    ----------
    in_channels, shape
        Of the input: channels, and (I, J, K), which the patches must divide.
    patch
        Voxels of a patch along each axis.
    num_outputs
        Of the last layer.
    width, blocks, heads, hidden
        Length of a token, blocks of the encoder, heads of each attention, units within each block's dense layers.
    last
        Activation of the outputs, as :func:`.residual_network.layer_of` takes it; None for none.

    Raises
    ------
    ValueError
        If the patches do not divide the input, or the heads the tokens.
    """

    def __init__(
        self,
        in_channels: int,
        shape: Sequence[int],
        patch: Sequence[int],
        num_outputs: int,
        width: int = 768,
        blocks: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        last: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if len(shape) != len(patch) or any(size % part for size, part in zip(shape, patch, strict=True)):
            raise ValueError(f"patches of {list(patch)} voxels do not divide an input of {list(shape)}")
        if width % heads:
            raise ValueError(f"{heads} heads do not divide tokens of {width} numbers")
        size = tuple(patch)
        self.conv_proj = nn.Conv3d(in_channels, width, size, size)  # type: ignore[arg-type]
        tokens = 1 + prod(whole // part for whole, part in zip(shape, patch, strict=True))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, tokens, width))
        self.layers = nn.Sequential(*(_EncoderBlock(width, heads, hidden) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.out = nn.Linear(width, num_outputs)
        self.last = nn.Identity() if last is None else layer_of(last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to (N, outputs)."""
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        tokens = self.norm(self.layers(tokens + self.pos_embedding))
        result: Tensor = self.last(self.out(tokens[:, 0]))
        return result
