"""Tensors that are constants to torch although they were computed from the input: detached ones, masks, indices.

torch's gradient does not pass through them, and neither does ours. They may not leave torch, because what comes back
could be anything.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten

from .tag import tag_of

_ATTRIBUTE = "_mri_interpret_computed_from_input"
#: Functions whose result does not depend on the values of their input.
VALUE_FREE = frozenset(
    {
        *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like"),
        *("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "new_empty_strided"),
    }
)
#: Ways in which values leave torch, and why they are refused.
LEAVES_TORCH = frozenset({"numpy", "__array__", "tolist", "__dlpack__"})
LEFT_TORCH = "values of the input leave torch there, and what comes back cannot be followed"


def mark_constant(tensor: Tensor) -> Tensor:
    """Note that ``tensor`` was computed from the input, and return it."""
    setattr(tensor, _ATTRIBUTE, True)
    return tensor


def mark_constants(output: Any) -> Any:
    """Note it of all constants in what a function returned, and return that."""
    for value in tree_flatten(output)[0]:
        if isinstance(value, Tensor) and tag_of(value) is None:
            mark_constant(value)
    return output


def is_from_input(value: Any) -> bool:
    """Whether ``value`` is such a constant."""
    return isinstance(value, Tensor) and hasattr(value, _ATTRIBUTE)


def lost_gradient(values: list[Tensor]) -> bool:
    """Whether a result has continuous values, but no gradient."""
    return any(
        not value.requires_grad and (value.is_floating_point() or value.is_complex() or value.is_quantized)
        for value in values
    )
