"""Which of a model's outputs are explained, and the logits behind them.

Models return class scores alone, with features or auxiliary outputs beside them, in a dict, or after a softmax or
sigmoid. What is explained is decided once, for the recorded pass, and every other pass of that explanation follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from ..errors import UserError
from .engine.tag import tag_of

Key = int | str
Path = tuple[Key, ...]

_USUAL_KEYS = ("logits", "logit", "scores")
_SUM_TOLERANCE = 1e-4  # of probabilities that add up to one in float32


@dataclass(frozen=True)
class OutputChoice:
    """Which tensor of what a model returns is explained.

    Attributes
    ----------
    path
        Keys and indices that lead to it; empty where the model returns a single tensor.
    shape
        Its shape.
    number
        How many tensors the model returns.
    activation
        The function that the network ends in: ``"softmax"``, ``"log_softmax"``, ``"sigmoid"`` or none.
    undone
        Whether what goes into that function is explained instead of what comes out.
    scale
        What the explained numbers are: ``"logit"`` (for lack of evidence, anything else too), ``"probability"`` or
        ``"log-probability"``.
    """

    path: Path = ()
    shape: tuple[int, ...] = ()
    number: int = 1
    activation: str = ""
    undone: bool = False
    scale: str = "logit"

    def scores(self, output: Any, samples: int) -> Tensor:
        """What is explained, (N, classes), from a pass's output."""
        for key in self.path:
            output = output[key]
        if self.undone:
            _, output = _before_activation(output)
        scores = as_scores(output, samples)
        if scores is None:
            raise UserError(f"The model returned {_described(output)} instead of class scores (N, classes).")
        return scores

    def unrecorded_scores(self, output: Any, samples: int) -> Tensor:
        """What :meth:`scores` gives, from the output of a pass that was not recorded.

        Logits are found through the inverse of the activation; see :attr:`up_to_a_constant`.
        """
        scores = replace(self, undone=False).scores(output, samples)
        if self.undone and self.activation == "softmax":
            return scores.log()
        return torch.logit(scores) if self.undone and self.activation == "sigmoid" else scores

    @property
    def up_to_a_constant(self) -> bool:
        """Whether :meth:`unrecorded_scores` may differ by one number per sample, which a softmax forgets."""
        return self.undone and self.activation in ("softmax", "log_softmax")

    @property
    def is_plain(self) -> bool:
        """Whether the model returns what is explained, and nothing else."""
        return not self.path and not self.undone

    @property
    def name(self) -> str:
        """The tensor in words; empty where the model returned nothing else."""
        return f"output {_spelled(self.path)} of {self.number}, shape {self.shape}" if self.path else ""

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences that whoever reads the maps should know."""
        sentences = []
        if self.path and self.number > 1:
            sentences.append(
                f"The model returned {self.number} outputs: {_spelled(self.path)}, of shape {self.shape}, is explained."
            )
        if self.undone:
            sentences.append(f"The network ends in a {self.activation}: the logits before it are explained.")
        elif self.scale != "logit":
            what = {"probability": "probabilities", "log-probability": "logarithms of probabilities"}[self.scale]
            sentences.append(
                f"The network returns {what}, and the logits before them cannot be told: the {what} are explained."
            )
        return tuple(sentences)


def choose_output(
    output: Any, samples: int, wanted: Key | None = None, classes: int | None = None, undo_activation: bool = True
) -> OutputChoice:
    """Find what is to be explained in whatever a model returned.

    The only tensor that can be class scores, one number per class for each sample, is taken. Of several, that is taken
    which the model calls ``"logits"``; else the one with the expected number of classes; else the one that was computed
    from all others, as logits are from an embedding.

    Parameters
    ----------
    output
        A recorded tensor, or recorded tensors in tuples, lists and dicts.
    samples
        Number of samples of the input.
    wanted
        An index or key of ``output``, if the user chose.
    classes
        Number of classes that are expected, where it is known.
    undo_activation
        Whether the numbers before a final softmax or sigmoid are explained where they can be reached.

    Raises
    ------
    UserError
        If nothing can be class scores, or several tensors can.
    """
    everything = dict(_tensors(output))
    allowed = everything
    if wanted is not None:
        allowed = {path: tensor for path, tensor in everything.items() if path and path[0] == wanted}
        if not allowed:
            raise UserError(f"The model has no output {wanted!r}: it returned {_described(output)}.")
    candidates = {path: tensor for path, tensor in allowed.items() if as_scores(tensor, samples) is not None}
    depending = {path: tensor for path, tensor in candidates.items() if tensor.requires_grad}
    candidates = depending or candidates
    if not candidates:
        what = _described(next(iter(allowed.values())) if len(allowed) == 1 else output)
        raise UserError(f"The model returned {what} instead of class scores (N, classes): it is no classifier.")
    path = _the_one(candidates, samples, classes)
    if path is None:
        raise UserError(
            f"The model returned several outputs that can be class scores, {_listed(candidates)}: choose one of them."
        )
    tensor = candidates[path]
    activation = _final_activation(tensor, samples)
    undone = undo_activation and activation != ""
    scale = "logit" if undone or not undo_activation else _scale(as_scores(tensor, samples))
    return OutputChoice(path, tuple(tensor.shape), len(everything), activation, undone, scale)


def as_scores(value: Any, samples: int) -> Tensor | None:
    """``value`` as (N, classes), or None if it has no such form.

    Trailing axes of length one are dropped; one number per sample may come as (N,), the classes of a single sample as
    (classes,), and the only number of a single sample as ().
    """
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() == 0:
        return None
    if value.dim() == 0:
        return value.reshape(1, 1) if samples == 1 else None
    if value.dim() == 1:
        return value.unsqueeze(1) if len(value) == samples else value.unsqueeze(0) if samples == 1 else None
    if value.shape[0] != samples or value[0, 0].numel() != 1:
        return None
    return value.flatten(1) if value.dim() > 2 else value


def _the_one(candidates: Mapping[Path, Tensor], samples: int, classes: int | None) -> Path | None:
    paths = list(candidates)
    for chosen in (
        paths,
        [path for path in paths if path and str(path[-1]).lower() in _USUAL_KEYS],
        [path for path in paths if _width(candidates[path], samples) == classes],
        [path for path in paths if _computed_from_the_others(path, candidates)],
    ):
        if len(chosen) == 1:
            return chosen[0]
    return None


def _width(tensor: Tensor, samples: int) -> int:
    scores = as_scores(tensor, samples)
    return 0 if scores is None else scores.shape[1]


def _computed_from_the_others(path: Path, candidates: Mapping[Path, Tensor]) -> bool:
    others = {tensor.grad_fn for other, tensor in candidates.items() if other != path}
    return None not in others and others <= _ancestors(candidates[path].grad_fn)


def _ancestors(node: Node | None) -> set[Node | None]:
    ancestors: set[Node | None] = set()
    waiting = [node]
    while waiting:
        for parent, _ in current.next_functions if (current := waiting.pop()) is not None else ():
            if parent is not None and parent not in ancestors:
                ancestors.add(parent)
                waiting.append(parent)
    return ancestors


def _before_activation(output: Tensor) -> tuple[str, Tensor | None]:
    """The final activation that made a recorded tensor, and what went into it, of the tensor's shape."""
    tag = tag_of(output)
    if tag is None or tag.activated is None or tag.activated[1].numel() != output.numel():
        return "", None
    activation, before = tag.activated
    return activation, before.reshape(output.shape)


def _final_activation(output: Tensor, samples: int) -> str:
    """The function that ``output`` is of what went into it, value for value; empty if there is none."""
    activation, before = _before_activation(output)
    scores, logits = as_scores(output, samples), as_scores(before, samples)
    if scores is None or logits is None:
        return ""
    made = torch.sigmoid(logits) if activation == "sigmoid" else getattr(torch, activation)(logits, 1)
    return activation if torch.allclose(made.detach(), scores.detach(), atol=1e-6) else ""


def _scale(scores: Tensor | None) -> str:
    assert scores is not None
    if scores.shape[1] > 1:
        values = scores.detach().double()
        if bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < _SUM_TOLERANCE).all()):
            return "probability"
        if bool((values <= 0).all()) and bool((torch.logsumexp(values, 1).abs() < _SUM_TOLERANCE).all()):
            return "log-probability"
    return "logit"


def _tensors(output: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    if isinstance(output, Tensor):
        yield path, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from _tensors(value, (*path, key))
    elif isinstance(output, (tuple, list)):
        for index, value in enumerate(output):
            yield from _tensors(value, (*path, index))


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        kind = "" if output.is_floating_point() else f" and type {str(output.dtype).removeprefix('torch.')}"
        return f"shape {tuple(output.shape)}{kind}"
    tensors = dict(_tensors(output))
    return f"a {type(output).__name__}" + (f" ({_listed(tensors)})" if tensors else "")


def _listed(tensors: Mapping[Path, Tensor]) -> str:
    return ", ".join(f"{_spelled(path)} of shape {tuple(tensor.shape)}" for path, tensor in tensors.items())


def _spelled(path: Path) -> str:
    return "".join(f"[{key!r}]" for key in path)
