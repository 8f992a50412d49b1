"""``torch.nn.MultiheadAttention``, taken apart into dense layers and attention products."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .attention import Softmax, record_matrix_product
from .calls import Call, Recording, handles
from .tag import tag_of
from .weighted import Linear

_NAMES = (
    *("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v"),
    *("add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask", "need_weights"),
    *("attn_mask", "use_separate_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k"),
    *("static_v", "average_attn_weights", "is_causal"),
)


@handles("multi_head_attention_forward")
def _multi_head_attention(recorder: Recording, call: Call) -> tuple[Tensor, Tensor | None]:
    given: dict[str, Any] = dict(zip(_NAMES, call.args, strict=False)) | call.kwargs
    query, key, value = given["query"], given["key"], given["value"]
    for name in ("bias_k", "bias_v", "static_k", "static_v"):
        if given.get(name) is not None:
            raise recorder.unsupported(call, f"its option {name} is not covered")
    if given.get("add_zero_attn") or query.dim() != 3:
        raise recorder.unsupported(call, "added zeros and inputs without a batch axis are not covered")
    if given.get("use_separate_proj_weight"):
        weights = [given["q_proj_weight"], given["k_proj_weight"], given["v_proj_weight"]]
    else:
        weights = list(given["in_proj_weight"].chunk(3))
    biases = [None] * 3 if given.get("in_proj_bias") is None else list(given["in_proj_bias"].chunk(3))
    heads = int(given["num_heads"])
    parts = [
        _heads(recorder, _dense(recorder, x, weight, bias), heads)
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    ]
    scale = 1 / math.sqrt(parts[0].shape[-1])
    scores = record_matrix_product(recorder, lambda q, k: q @ k.transpose(-2, -1) * scale, parts[0], parts[1])
    for mask in (_mask(given.get("attn_mask"), heads), _padding(given.get("key_padding_mask"))):
        if mask is not None and mask.dtype == torch.bool:
            scores = recorder.plain(Call("masked_fill", torch.masked_fill, (scores, mask, -math.inf)))
        elif mask is not None:
            scores = recorder.plain(Call("add", torch.add, (scores, mask)))
    attention = recorder.record(Softmax(-1), scores, gate=True)
    mixed = record_matrix_product(recorder, torch.matmul, attention, parts[2])
    samples, _, length, width = mixed.shape
    mixed = recorder.plain(Call("permute", torch.permute, (mixed, (2, 0, 1, 3))))
    mixed = recorder.plain(Call("reshape", torch.reshape, (mixed, (length, samples, heads * width))))
    output = _dense(recorder, mixed, given["out_proj_weight"], given.get("out_proj_bias"))
    if not given.get("need_weights", True):
        return output, None
    shown = attention.detach()
    return output, shown.mean(1) if given.get("average_attn_weights", True) else shown


def _dense(recorder: Recording, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if tag_of(x) is None:
        return torch.nn.functional.linear(x, weight, bias)
    return recorder.record(Linear(weight.to(x.dtype), None if bias is None else bias.to(x.dtype)), x)


def _heads(recorder: Recording, x: Tensor, heads: int) -> Tensor:
    """(length, N, heads * width) to (N, heads, length, width)."""
    length, samples, width = x.shape
    x = recorder.plain(Call("reshape", torch.reshape, (x, (length, samples, heads, width // heads))))
    moved: Tensor = recorder.plain(Call("permute", torch.permute, (x, (1, 2, 0, 3))))
    return moved


def _mask(mask: Tensor | None, heads: int) -> Tensor | None:
    if mask is None or mask.dim() == 2:
        return mask
    return mask.reshape(-1, heads, *mask.shape[1:])


def _padding(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask[:, None, None, :]
