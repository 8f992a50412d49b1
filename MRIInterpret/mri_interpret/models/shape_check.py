"""What shape a network returns, found before any weight is read and without computing anything."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from .networks import build_network

if TYPE_CHECKING:
    from torch import Tensor, nn


def output_without_values(target: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """What a network returns for an input of ``shape``, with shapes but no values.

    A batch of no samples goes through the network first, which needs no time. Where an operation cannot take that, one
    sample goes through it on torch's meta device, whose first use loads torch's compiler: one second in each process.

    Parameters
    ----------
    target, arguments
        The network's name and its constructor's arguments, see :func:`~.networks.build_network`.
    shape
        (1, C, I, J, K).

    Returns
    -------
    A tensor on the meta device, or whatever else the network returns.

    Raises
    ------
    Exception
        Whatever the network raises for an input that it cannot take.
    """
    import torch

    with torch.device("meta"):
        network = build_network(target, arguments).eval()
    output = _of_no_samples(network, shape)
    if output is not None:
        return torch.empty(1, *output.shape[1:], device="meta")
    with torch.device("meta"):
        return network(torch.empty(shape))


def _of_no_samples(network: nn.Module, shape: tuple[int, ...]) -> Tensor | None:
    """The output for no samples, first axis 0; None where that says nothing."""
    import torch

    # The system gives memory for zeros only where they are read, and with no samples none is.
    values = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype, device="cpu")
        for name, tensor in chain(network.named_parameters(), network.named_buffers())
    }
    try:
        with torch.inference_mode():
            output = torch.func.functional_call(network, values, (torch.empty(0, *shape[1:]),))
    except Exception:  # networks that reshape, or that cannot take the input: the other way tells which
        return None
    return output if isinstance(output, torch.Tensor) and output.dim() > 0 and len(output) == 0 else None
