"""Which attribution methods make a map of a network, tried and not guessed; and whether LRP conserves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..attribution import DEFAULT_METHODS, LRP, available_methods
from ..attribution.registry import BASELINES
from ..errors import Cancelled, UserError
from ..explanation.scan_attribution import explainer_of
from ..models.bundle import ModelBundle
from ..progress import ProgressCallback
from .facts import Conservation, MethodOutcome

if TYPE_CHECKING:
    from torch import Tensor

    from ..attribution import Attributions

_HANDED_ON = LRP(bias="redistribute")


class _Enough(Cancelled):
    """A slow method made its first passes: it works, and the rest of its map is not needed here."""


@dataclass(frozen=True)
class Tried:
    """What came of trying: an outcome for each method, LRP's sums, and the seconds of the default methods together."""

    outcomes: tuple[MethodOutcome, ...]
    conservation: Conservation | None
    default_seconds: float | None


def try_methods(
    bundle: ModelBundle, x: Tensor, target: Any, places: Mapping[str, Any], device: str, progress: ProgressCallback
) -> Tried:
    """Make the map of every method, slow ones as far as their first passes.

    Parameters
    ----------
    bundle
        The model.
    x
        (1, C, I, J, K), the network's input.
    target
        As :meth:`Explainer.explain` takes it.
    places
        ``brain_mask`` and ``regions`` on the input's grid, and its ``spacing``.
    device
        "cpu" or "cuda".
    progress
        May raise Cancelled.
    """
    explainer = explainer_of(bundle)
    names = [name for name in available_methods() if name not in BASELINES]

    def run(methods: list[Any], told: ProgressCallback) -> Attributions:
        return explainer.explain(x, target, methods, progress=told, device=device, **places)

    def plain(_step: str, _fraction: float) -> None:
        progress("Trying the methods", 0.0)

    started = time.perf_counter()
    found: Attributions | None = None
    reasons: dict[str, str] = {}
    try:
        found = run([*DEFAULT_METHODS], plain)
        default_seconds: float | None = time.perf_counter() - started
    except UserError:
        default_seconds = None  # at least one does not apply: which, is asked one by one
    left = [name for name in names if found is None or name not in found]
    for number, name in enumerate(left):
        progress("Trying the methods", number / (len(left) + 1))
        reasons[name] = _reason(lambda told, name=name: run([name], told), progress)
    outcomes = tuple(
        MethodOutcome(
            name, available_methods()[name].title, name in DEFAULT_METHODS, not reasons.get(name), reasons.get(name, "")
        )
        for name in names
    )
    conservation = None
    if not reasons.get("lrp"):
        conservation = _conservation(run(["lrp", _HANDED_ON], plain))
    progress("Trying the methods", 1.0)
    return Tried(outcomes, conservation, default_seconds)


def _reason(attempt: Any, progress: ProgressCallback) -> str:
    """Why a method cannot be used; empty if it can."""

    def told(step: str, fraction: float) -> None:
        progress("Trying the methods", 0.0)
        if fraction > 0 and step not in ("Forward pass", "Maps"):
            raise _Enough(step)

    try:
        attempt(told)
    except _Enough:
        return ""
    except UserError as error:
        return str(error)
    return ""


def _conservation(found: Attributions) -> Conservation:
    score = float(found.explained[0])
    usual, handed_on = (float(one.map.double().sum()) for one in found.values())
    size = max(abs(score), 1e-12)
    return Conservation(score, usual, abs(usual - score) / size, handed_on, abs(handed_on - score) / size)
