"""A model is tried when it is added: what can never be explained is refused before a scan is prepared for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .bundle import ModelBundle

if TYPE_CHECKING:
    from torch import Tensor

    from .outputs import OutputMeaning

_TOLERANCE = 1e-4  # of the scores' size: sums in another order differ by less in float32


def try_out(bundle: ModelBundle) -> None:
    """Run the network on numbers of its input's shape, where that is known, and look at what it returns.

    Raises
    ------
    UserError
        If it cannot take such an input, returns no scores or another number of them than the metadata names, returns
        NaN, or answers at random.
    """
    import torch

    shape, meaning = bundle.metadata.input_shape, bundle.metadata.output
    if shape is None:
        return
    # Not zeros: a network that divides by its input's spread may rightly fail on those.
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    scores = _named(_run(bundle, x, seed=0), meaning)
    if not all(bool(torch.isfinite(one).all()) for one in scores):
        raise UserError("The network returns NaN or infinite values: its training failed, or its file is damaged.")
    if bundle.is_program:  # any other network was made here, in evaluation mode
        _check_chance(scores, _named(_run(bundle, x, seed=1), meaning))


def _check_chance(first: list[Tensor], second: list[Tensor]) -> None:
    for one, other in zip(first, second, strict=False):
        largest = float((one - other).abs().max())
        if not largest <= _TOLERANCE * max(1.0, float(one.abs().max())):
            raise UserError(
                f"The network answers the same input at random (the second time otherwise by {largest:.3g}): "
                "call .eval() on it before it is exported, or take out what draws random numbers."
            )


def _run(bundle: ModelBundle, x: Tensor, seed: int) -> Any:
    import torch

    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return bundle.network(x.clone())  # some networks change their input in place
    except Exception as error:  # whatever a network raises for an input that it cannot take
        sizes = " x ".join(map(str, x.shape[1:]))
        reason = str(error).strip().rpartition("\n")[2][:160]
        raise UserError(f"The network cannot take an input of {sizes} ({reason}).") from error


def _named(output: Any, meaning: OutputMeaning) -> list[Tensor]:
    """What can be the scores that the metadata names, each (1, outputs), among what a network returned for one sample.

    Which of several are meant is found when they are explained, from a pass with gradients.
    """
    tensors = list(_tensors(output))
    scores = [one for one in map(scores_of_one, tensors) if one is not None]
    if not scores:
        what = _described(tensors[0]) if len(tensors) == 1 else f"a {type(output).__name__} of {len(tensors)} tensors"
        raise UserError(
            f"The network returns {what} instead of a number for each class (N, classes), so it cannot be explained: "
            "export it so that it returns these numbers."
        )
    fitting = [one for one in scores if one.shape[1] == meaning.count]
    if not fitting:
        widths = " or ".join(str(one.shape[1]) for one in scores)
        raise UserError(
            f"The network returns {widths} {'value' if widths == '1' else 'values'}, and {meaning.count} "
            f"{'output was' if meaning.count == 1 else 'outputs were'} named ({', '.join(meaning.classes)})."
        )
    return fitting


def scores_of_one(value: Tensor) -> Tensor | None:
    """A tensor that a network returned for one sample as (1, classes); None if it cannot be class scores.

    Class scores may lack the axis of samples or that of classes, and may have further axes of length one.
    """
    if not value.is_floating_point() or value.numel() == 0:
        return None
    if value.dim() < 2:
        return value.reshape(1, -1)
    return value.flatten(1) if value.shape[0] == 1 and value[0, 0].numel() == 1 else None


def _tensors(output: Any) -> Iterator[Tensor]:
    """Every tensor in tuples, lists and dicts."""
    import torch

    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping | tuple | list):
        for value in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(value)


def _described(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" and type {str(tensor.dtype).removeprefix('torch.')}"
    return f"an array of shape {tuple(tensor.shape)}{kind}"
