"""What may be switched on in torch around a recorded pass, and what becomes of it there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

_PLAIN_CLASSES = tuple(
    kind for kind in (Tensor, torch.nn.Parameter, getattr(torch.nn, "Buffer", None)) if kind is not None
)


def compiled_code_run_eagerly() -> AbstractContextManager[Any]:
    """Within it, what ``torch.compile`` made runs as the Python code that it was made from."""
    # torch.compile imports torch._dynamo: without it there is no compiled code, and importing it takes seconds.
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def without_saved_tensor_hooks() -> Iterator[None]:
    """Keep others from packing what autograd saves: ``torch.utils.checkpoint`` would run the model again to unpack."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    if top is None or top(True) is None:
        yield
        return
    with torch.autograd.graph.saved_tensors_hooks(Tensor.detach, lambda saved: saved):
        yield


def functorch_is_active() -> bool:
    """Whether the code that runs is being transformed by ``torch.vmap``, ``torch.func.grad`` or the like."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return bool(active is not None and active())


def plain_tensor(value: Tensor) -> Tensor:
    """A constant without history, outside inference mode, and of class Tensor.

    Subclasses that only add facts (MONAI's MetaTensor) lose these; those that compute otherwise stay what they are.
    """
    if value.requires_grad:
        value = value.detach()
    if value.is_inference():
        with torch.inference_mode(False):
            value = value.clone()
    if type(value) not in _PLAIN_CLASSES and type(value).__torch_dispatch__ is Tensor.__torch_dispatch__:
        value = value.as_subclass(Tensor)
    return value
