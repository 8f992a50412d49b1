"""A tensor that is not computed yet: shape and type of the value to come, but no memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only


class Deferred(Tensor):
    """Stands for a tensor until the recorder needs its value.

    The recorder replaces it in every call of a torch function that it sees. Code that it does not see (TorchScript,
    custom operations, ``vmap``) arrives here instead, below autograd: :attr:`value_for_unseen_code` then either gives
    the value or raises.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    value_for_unseen_code: Callable[[Tensor], Tensor]

    @staticmethod
    def __new__(cls, like: Tensor, shape: Sequence[int], requires_grad: bool) -> Deferred:
        """A deferred tensor of ``shape`` with the type and device of ``like``.

        It requires a gradient wherever its value will, so that a custom autograd Function treats it as it would treat
        the value.
        """
        made: Deferred = Tensor._make_wrapper_subclass(
            cls, tuple(shape), dtype=like.dtype, device=like.device, requires_grad=requires_grad
        )
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        def value(tensor: Deferred) -> Tensor:
            return tensor.value_for_unseen_code(tensor)

        args, kwargs = tree_map_only(Deferred, value, (args, kwargs or {}))
        return func(*args, **kwargs)
