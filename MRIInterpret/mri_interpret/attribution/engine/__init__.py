"""One recorded forward pass, many backward passes: the machinery below every attribution method.

The model runs once under :class:`recorder.Recorder`, a ``TorchFunctionMode`` that replaces each operation on a tensor
that depends on the input by an :class:`operation.Operation`. Each operation knows two ways back: its exact *gradient*,
and its *relevance* under the composite of LRP rules in force. Which of them runs is decided when a backward pass
starts, so every map is one ``torch.autograd.grad`` over the same graph, and the model itself is never touched.
"""

# Importing these fills the table of recorded operations (calls.HANDLERS).
from . import (
    activation,
    arithmetic,
    attention,
    convolution,
    decompositions,
    linear,
    moves,
    multihead,
    normalisation,
    pooling,
    shape,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "decompositions",
    "linear",
    "moves",
    "multihead",
    "normalisation",
    "pooling",
    "shape",
]
