"""A check of recorded passes that knows nothing of how they were recorded: torch's own scores and gradient.

The gradients of the plain and of the recorded model are compared as whole vectors, for random weights of the outputs.
That would cost one plain pass for every input, so it is done once for every way in which a model is recorded, which the
recorder lists: its operations, their modules, and what they are connected to. A later pass with the same list runs
through the same code, also where the weights are others (:func:`checked_as`). Where a model takes smaller inputs, a
crop of the input serves in its place, provided that it is recorded by the very same operations as the whole; an
exported program is asked without its guards, which insist on the size that it was exported for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ...errors import Cancelled, UserError
from ..evaluation_mode import evaluation_mode
from .forward_pass import record_forward, run_by_torch
from .graph import Recorded
from .operation import Backward
from .pooled_convolution import SlabPolicy
from .programs import is_program, without_guards

#: Largest difference that rounding explains, relative to the norm of torch's gradient. The networks of
#: Testing/attribution/zoo.py differ by 3e-15 at most in float64; by 2e-6, and one of them by 5e-4, in float32.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-3}
#: The same on a GPU, which multiplies float32 with 10 bits (TF32).
TOLERANCE_ON_GPU = 2e-2
#: Edge lengths of the crops that are tried before the whole input.
EDGES = (32, 64)
#: What was checked, for every model that is still there, and whether its samples know nothing of each other.
_CHECKED: WeakKeyDictionary[nn.Module, set[int]] = WeakKeyDictionary()
_BATCHES: WeakKeyDictionary[nn.Module, dict[int, bool]] = WeakKeyDictionary()


Scores = Callable[[Any, int], Tensor]


def checked_as(model: nn.Module, like: nn.Module) -> None:
    """Let ``model``, a copy of ``like`` with other weights, pass for checked wherever that one was."""
    _CHECKED.setdefault(model, set()).update(_CHECKED.get(like, ()))


class _NotComparable(Exception):
    """The model does not take this input, or goes another way for it."""


class _NoGradient(Exception):
    """torch cannot differentiate the model, or the recorded pass."""


class GradientCheck:
    """Compares recorded passes of one model with what torch computes.

    Parameters
    ----------
    model
        In evaluation mode.
    scores
        ``scores(output, samples)``: the logits (N, classes) in what a recorded pass returned.
    plain_scores
        The same for what the plain model returned.
    up_to_a_constant
        Whether these two may differ by one number per sample.
    slabs
        With which the passes are recorded.
    """

    def __init__(
        self, model: nn.Module, scores: Scores, plain_scores: Scores, up_to_a_constant: bool, slabs: SlabPolicy | None
    ) -> None:
        self._model, self._slabs = model, slabs
        self._scores, self._plain_scores, self._centred = scores, plain_scores, up_to_a_constant

    def knows(self, x: Tensor, operations: list[Recorded]) -> bool:
        """Whether a pass that was recorded by these operations was checked before."""
        return _key(x, operations) in _CHECKED.get(self._model, ())

    def accepts_batches(self, x: Tensor, operations: list[Recorded]) -> bool:
        """Whether the model treats each sample of a batch as if it were alone."""
        known = _BATCHES.setdefault(self._model, {})
        key = _key(x, operations)
        if key not in known:
            points = [*(crop for crop, _ in _crops(x.detach())), x.detach()]
            known[key] = not is_program(self._model) and any(self._samples_are_alone(point) for point in points)
        return known[key]

    def accepts_crop(self, x: Tensor, operations: list[Recorded]) -> bool:
        """Check a crop of ``x`` in place of ``x``: False if that cannot be done, or shows a difference."""
        model = without_guards(self._model)
        for crop, share in _crops(x.detach()):
            slabs = None if self._slabs is None else self._slabs.scaled(share)
            # In float64 too, where rounding moves next to nothing over a ReLU's edge, before the whole input is tried.
            points = [crop, crop.double()] if crop.dtype == torch.float32 else [crop]
            compared = False
            for point in points:
                try:
                    difference = self._difference(_noisy(point, 0), operations, slabs, model)
                except (_NotComparable, _NoGradient, UserError):
                    continue
                if difference is None:
                    continue
                if self._accepts(difference, point, x, operations):
                    return True
                compared = True
            if compared:
                return False
        return False

    def refusal(self, x: Tensor, operations: list[Recorded]) -> UserError | None:
        """Check ``x`` itself: the reason why no gradient and no relevance may be computed, or None.

        Raises
        ------
        UserError
            If not even the scores are the model's own.
        """
        difference: float | None = None
        reason: Exception | None = None
        for point, expected in self._points(x.detach(), operations):
            try:
                difference = self._difference(point, expected, self._slabs, self._model)
            except _NotComparable as error:
                reason = error
                continue
            except _NoGradient as error:
                return UserError(f"No gradient of this model can be computed: {error}.")
            if difference is None or self._accepts(difference, point, x, operations):
                return None
        if difference is None:
            return UserError(f"No gradient of this model can be computed: run by torch alone, {reason}.")
        return UserError(
            f"The gradient recorded of this model differs from torch's own by {difference:.2g} times its size: a part "
            "of the model cannot be followed, so no map is made of it."
        )

    @staticmethod
    def _points(x: Tensor, operations: list[Recorded]) -> Iterator[tuple[Tensor, list[Recorded] | None]]:
        """Inputs to compare at, and the operations to expect there, until one of them shows no difference.

        With noise first: where a scan is constant, poolings choose among equal values, each in its own way. Then in
        float64, where rounding moves next to nothing over a ReLU's edge.
        """
        yield _noisy(x, 0), operations
        if x.dtype == torch.float32:
            yield _noisy(x.double(), 0), operations
        yield x, None

    def _accepts(self, difference: float, point: Tensor, x: Tensor, operations: list[Recorded]) -> bool:
        if difference > _tolerance(point):
            return False
        _CHECKED.setdefault(self._model, set()).add(_key(x, operations))
        return True

    def _samples_are_alone(self, x: Tensor) -> bool:
        other = _noisy(x, 1).flip(2) / 2
        try:
            with evaluation_mode(self._model), torch.no_grad():
                alone = self._comparable(self._plain_scores(run_by_torch(self._model, x), len(x)))
            with evaluation_mode(self._model), torch.no_grad():
                together = self._plain_scores(run_by_torch(self._model, torch.cat([other, x])), 2 * len(x))
                together = self._comparable(together)
        except (Cancelled, torch.OutOfMemoryError):
            raise
        except Exception:
            return False
        if len(together) != 2 * len(x):
            return False
        return float((together[len(x) :] - alone).abs().max()) <= _tolerance(x) * max(float(alone.abs().max()), 1e-6)

    def _difference(
        self, x: Tensor, expected: list[Recorded] | None, slabs: SlabPolicy | None, model: nn.Module
    ) -> float | None:
        """The difference of the two gradients relative to torch's; None if both are zero, which shows nothing.

        With ``expected``, the pass has to be recorded by the operations of that one.
        """
        logits, weights, wanted = self._by_torch(x, model)
        with evaluation_mode(model), torch.enable_grad():
            leaf = x.clone().requires_grad_()
            recorder, output = record_forward(model, leaf, Backward(), slabs=slabs)
            if expected is not None and recorder.operations != expected:
                raise _NotComparable("it takes another way")
            found_logits = self._comparable(self._scores(output, len(x)))
            found = _gradient(found_logits, weights, leaf)
        if not bool(torch.isfinite(logits).all() and torch.isfinite(wanted).all()):
            raise _NotComparable("its scores or their gradient are not finite")
        if (found_logits.detach() - logits).abs().max() > _tolerance(x) * max(float(logits.abs().max()), 1e-6):
            if expected is not None:
                raise _NotComparable("its scores differ")
            raise UserError("The recorded pass gives other scores than the model itself: it cannot be followed.")
        size = float(wanted.double().norm())
        distance = float((found.double() - wanted.double()).norm())
        if size == 0:
            return None if distance == 0 else float("inf")
        return distance / size

    def _comparable(self, logits: Tensor) -> Tensor:
        return logits - logits.mean(1, keepdim=True) if self._centred else logits

    def _by_torch(self, x: Tensor, model: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, random weights of them, and the gradient of the weighted sum, of the plain model."""
        with evaluation_mode(model), torch.enable_grad():
            leaf = x.clone().requires_grad_()
            try:
                logits = self._comparable(self._plain_scores(run_by_torch(model, leaf), len(x)))
            except (Cancelled, torch.OutOfMemoryError):
                raise
            except Exception as error:
                raise _NotComparable(f"it stops with '{_first_line(error)}'") from error
            generator = torch.Generator().manual_seed(0)
            weights = torch.rand(logits.shape, generator=generator) + 0.5
            weights = (weights * (torch.randint(0, 2, logits.shape, generator=generator) * 2 - 1)).to(logits)
            return logits.detach(), weights, _gradient(logits, weights, leaf)


def _gradient(logits: Tensor, weights: Tensor, leaf: Tensor) -> Tensor:
    if not logits.requires_grad:
        return torch.zeros_like(leaf)
    try:
        (found,) = torch.autograd.grad(logits, leaf, weights, allow_unused=True)
    except (Cancelled, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise _NoGradient(_first_line(error)) from error
    return torch.zeros_like(leaf) if found is None else found.detach()


def _crops(x: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Middle parts of the first sample that have at most an eighth of its voxels, and their share."""
    for edge in EDGES:
        shape = tuple(min(size, edge) for size in x.shape[2:])
        share = prod(shape) / prod(x.shape[2:])
        if share <= 1 / 8:
            middle = [slice((size - n) // 2, (size - n) // 2 + n) for size, n in zip(x.shape[2:], shape, strict=True)]
            yield x[(slice(0, 1), slice(None), *middle)], share


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _noisy(x: Tensor, seed: int) -> Tensor:
    """``x`` with normal noise of one per cent of its standard deviation."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    spread = float(x.std()) if x.numel() > 1 else 0.0
    return x + 0.01 * (spread or 1.0) * noise


def _tolerance(x: Tensor) -> float:
    return TOLERANCES[x.dtype] if x.device.type == "cpu" else TOLERANCE_ON_GPU


def _key(x: Tensor, operations: list[Recorded]) -> int:
    return hash((tuple(operations), x.dtype, x.device.type))
