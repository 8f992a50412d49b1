"""Steepest descent on volumes: small deformations, one after another, until the network answers otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..deformation.displacement import log_jacobian
from ..deformation.head import Head
from ..deformation.metric import Metric
from .criterion import Criterion
from .recorded_pass import RecordedPass

Window = tuple[slice, slice, slice]

_TOLERANCE = 2e-3  # of the way from the first value to the level: the last step ends within it
_PROBES = 12  # of the last step's length
_PATIENCE = 6  # steps that hardly move the value, before it counts as stuck
_HARDLY = 2e-3  # of the way to the level
_HALVINGS = 4  # of a step that leads away from the level
_LEAST_LOG_JACOBIAN = -3.0  # a cell twenty times as small: the next step could fold it
_STEPS_AHEAD = 10  # a step is lengthened while more than so many of its length would be left


@dataclass
class Descent:
    """One way from a scan to its counterfactual.

    Attributes
    ----------
    u
        The deformation so far, on the head's field; None where nothing moved.
    path
        Per step: its number, the explained value, the number that has to reach a level, and the size so far.
    reached
        Whether the level was reached.
    reason
        Why not; empty if it was.
    """

    u: Tensor | None = None
    path: list[dict[str, float]] = field(default_factory=list)
    reached: bool = False
    reason: str = ""


@dataclass
class Descender:
    """What a descent needs.

    Attributes
    ----------
    record, logits_of
        The recorded pass, and the outputs (1, classes) alone, of an image (C, I, J, K) on the input's grid.
    explained
        (1, classes): the weights of the value that is explained, for the path.
    window
        The part of the input that the head covers; the rest stays as it is.
    step
        Largest change of log-volume anywhere in one step near the goal.
    longest_step
        The same far from the goal: a step is lengthened in proportion to the way that is left.
    told
        Called with the part of the way that is done, before each step; may raise Cancelled.
    """

    record: Callable[[Tensor], RecordedPass]
    logits_of: Callable[[Tensor], Tensor]
    explained: Tensor
    head: Head
    metric: Metric
    criterion: Criterion
    window: Window
    step: float
    longest_step: float
    most_steps: int
    told: Callable[[float], None]

    def descend(self, scan: Tensor, recorded: RecordedPass) -> Descent:
        """From ``scan`` (C, I, J, K), whose recorded pass is given, to the level or as far as it goes."""
        criterion, found = self.criterion, Descent()
        value = criterion.value(recorded.logits.detach())
        self._note(found, recorded.logits.detach(), value)
        if criterion.reached(value):
            found.reached = True
            return found
        way = criterion.missing(value)
        best = missing = way
        stuck, length, rate = 0, self.step, 0.0
        for _ in range(self.most_steps):
            self.told(max(1 - best / way, (len(found.path) - 1) / self.most_steps))
            step = self._step(scan, recorded, found.u, length)
            del recorded  # its memory is needed for the next one
            if step is None:
                found.reason = "the answer does not change with any volume inside the mask"
                return found
            taken = self._taken(scan, found.u, step, missing)
            if taken is None:
                found.reason = "a further step would fold the brain, or leads away from the goal"
                return found
            u, recorded, part = taken
            del taken  # it holds the pass too
            logits = recorded.logits.detach()
            now = criterion.value(logits)
            if criterion.reached(now):
                del recorded
                found.u, logits = self._exactly(scan, found.u, u, part * step, way)
                found.reached = True
                self._note(found, logits, criterion.value(logits))
                return found
            found.u = u
            self._note(found, logits, now)
            missing = criterion.missing(now)
            rate = rate or (way - missing) / (part * length)
            length = self._length(missing / rate)
            stuck = 0 if missing < best - _HARDLY * way else stuck + 1
            best = min(best, missing)
            if stuck >= _PATIENCE:
                found.reason = "further changes of volume hardly move the answer"
                return found
        found.reason = f"{self.most_steps} steps were not enough"
        return found

    def _length(self, left: float) -> float:
        """The next step's length, when so much change of log-volume would be left if all steps gained as the first.

        A brain far from the goal would otherwise take more steps than there are; near it, steps are the shortest.
        Not what the last step gained: a network that saturates would be chased with ever longer steps.
        """
        return min(max(left / _STEPS_AHEAD, self.step), self.longest_step)

    def _step(self, scan: Tensor, recorded: RecordedPass, u: Tensor | None, length: float) -> Tensor | None:
        """The displacement of the next small change of volumes; None if nothing would change the answer."""
        weights = self.criterion.weights(recorded.logits.detach())
        towards = replace(recorded, weights=weights, _cache={})  # the pass itself may serve other methods
        gradient = towards.input_gradient()[0][(slice(None), *self.window)]
        by_volume = self.head.step_gradient(scan[(slice(None), *self.window)], gradient, u)
        change = self.metric.direction(by_volume) * (1.0 if self.criterion.upwards else -1.0)
        most = float(change.abs().max())
        if not most > 0:
            return None
        further = self.head.displacement(change * (length / most))
        # Along the head's rim, volume changes by more than was asked.
        largest = float(log_jacobian(further, self.head.box).abs().max())
        return further * min(1.0, length / largest) if largest > 0 else None

    def _taken(
        self, scan: Tensor, u: Tensor | None, step: Tensor, missing: float
    ) -> tuple[Tensor, RecordedPass, float] | None:
        """The deformation after the step, halved until it leads towards the level; its recorded pass; the part of the
        step that was left."""
        for part in (2.0**-halvings for halvings in range(_HALVINGS)):
            further = part * step if u is None else self.head.then(u, part * step)
            volumes = log_jacobian(further, self.head.box)
            # Folded cells are not a number, which compares as false.
            if bool((volumes > _LEAST_LOG_JACOBIAN).all()):
                recorded = self.record(self.seen(scan, further))
                if self.criterion.missing(self.criterion.value(recorded.logits.detach())) < missing:
                    return further, recorded, part
                del recorded
        return None

    def _exactly(
        self, scan: Tensor, u: Tensor | None, beyond: Tensor, step: Tensor, way: float
    ) -> tuple[Tensor, Tensor]:
        """The last step cut so that the value just reaches the level; the deformation and its outputs."""
        low, high = 0.0, 1.0
        found = beyond
        logits = self.logits_of(self.seen(scan, beyond))
        for _ in range(_PROBES):
            if -self.criterion.missing(self.criterion.value(logits)) <= _TOLERANCE * way:
                break
            middle = (low + high) / 2
            further = middle * step if u is None else self.head.then(u, middle * step)
            tried = self.logits_of(self.seen(scan, further))
            if self.criterion.reached(self.criterion.value(tried)):
                high, found, logits = middle, further, tried
            else:
                low = middle
        return found, logits

    def seen(self, scan: Tensor, u: Tensor) -> Tensor:
        """The scan through a deformation, (C, I, J, K)."""
        image = scan.clone()
        place = (slice(None), *self.window)
        image[place] = self.head.deformed(scan[place], u)
        return image

    def _note(self, found: Descent, logits: Tensor, value: float) -> None:
        size = 0.0 if found.u is None else self.size(found.u)
        explained = float((self.explained * logits).sum())
        found.path.append({"step": len(found.path), "value": explained, "criterion": value, "size": size})

    def size(self, u: Tensor) -> float:
        """Root mean square of the change of log-volume inside the head, in per cent."""
        volumes = log_jacobian(u, self.head.box)[self.head.inside > 0]
        return 100 * float(volumes.square().mean().sqrt())
