"""A network from a class that the user trusts: the one place where code that is named by a user is imported and run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .bundle import check_numbers
from .recipes.recipe import read_weights

if TYPE_CHECKING:
    from torch import nn


def trusted_network(dotted: str, arguments: Mapping[str, Any], weights: Path) -> nn.Module:
    """Import a class, make a network of it, and give it its weights.

    Parameters
    ----------
    dotted
        package.module.Class. Importing it runs the package's code.
    arguments
        Of the class's constructor.
    weights
        A state dict: .safetensors, or a .pt or .pth of which tensors alone are read.

    Raises
    ------
    UserError
        If the class cannot be imported or made, is no network, or the weights do not fit it or are not finite.
    """
    network = _made(dotted, arguments)
    state = read_weights(weights, network.state_dict().keys())
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).partition(":")[2].split())[:200]
        raise UserError(f"{weights} does not fit {dotted}: {reason}") from error
    check_numbers(network, weights)
    return network


def _made(dotted: str, arguments: Mapping[str, Any]) -> nn.Module:
    from torch import nn

    module, _, name = dotted.rpartition(".")
    if not module:
        raise UserError(f"'{dotted}' is no dotted name such as package.module.Class.")
    try:
        make = getattr(import_module(module), name)
    except Exception as error:  # a package may fail in any way while it is imported
        raise UserError(f"{dotted} cannot be imported ({_line(error)}): install its package first.") from error
    try:
        network = make(**arguments)
    except Exception as error:  # networks check their arguments in many ways
        raise UserError(f"{dotted} cannot be made from its arguments ({_line(error)}).") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{dotted} makes a {type(network).__name__}, not a network.")
    return network


def _line(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:160]
