"""Recovery: would the model have noticed if this very brain were more wasted, and do the maps follow?

This brain's structures are made smaller (ventricles wider) by 10, 20 and 30 % with the product's own deformation, and
the network is asked again. Does the answer move the right way, and from which size on beyond its own noise? And does
each map's change lie where the brain was changed? Published checks of this kind use other people's simulated scans
(Arras et al. 2022, "CLEVR-XAI"; Budding et al. 2021, "Evaluating saliency methods on artificial data with different
background types"); here the truth is made in the scan that is explained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..progress import ProgressCallback, silent
from ..thresholds import (
    LOCALISATION_TIMES_CHANCE,
    RECOVERY_LARGEST,
    RECOVERY_NOISE,
    SMALLEST_REGION_ML,
)
from .answer_noise import answer_noise
from .explained_image import ExplainedImage, explained_values
from .localisation import localise
from .verdict import MODEL, Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    import torch

    from ..deformation.head import Head

CHECK = "recovery"
#: Structures in the order in which they are asked about; the first is the one whose map is computed again.
HIPPOCAMPI, VENTRICLES = "hippocampi", "ventricles"
STRUCTURES = (HIPPOCAMPI, "amygdalae", "temporal cortex", VENTRICLES)
SIZES = (0.10, 0.20, RECOVERY_LARGEST)
MAPPED = 0.20  # the size for which the maps are computed again
UNNOTICED = 100.0  # per cent: the value of a verdict where not even the largest change was noticed
_TRUTH_SHARE = 0.4  # of the strongest change of volume, as for simulated subjects
STEP = "Checking: recovery"


@dataclass(frozen=True)
class Change:
    """A structure of one size.

    Attributes
    ----------
    size
        The share of its volume that it loses; gains, for ventricles.
    image
        (1, C, I, J, K): the scan with it.
    log_volume
        (I, J, K): change of log-volume at each place.
    """

    size: float
    image: torch.Tensor
    log_volume: NDArray[np.float32]


def badge(verdict: Verdict) -> str:
    """What a verdict on the model says in a few words, with its number; "" for other verdicts.

    Examples
    --------
    >>> badge(Verdict("model", "recovery (hippocampi)", 12.3, 30.0, "pass", "..."))
    'would have noticed a loss of 12 % (hippocampi)'
    """
    name = verdict.check.removeprefix(f"{CHECK} (").removesuffix(")")
    if verdict.method != MODEL or name not in STRUCTURES or math.isnan(verdict.value):
        return ""
    what = "widening" if name == VENTRICLES else "loss"
    if verdict.verdict == "pass":
        return f"would have noticed a {what} of {verdict.value:.0f} % ({name})"
    return f"would not have noticed a {what} of {verdict.threshold:.0f} % ({name})"


def warnings_of_model(verdicts: Iterable[Verdict]) -> list[str]:
    """Sentences that every output must show: the model reads an outline, or would have noticed none of the changes.

    A model may rightly look at one structure and not at another, so a single one that it overlooks is no warning.
    """
    on_model = [one for one in verdicts if one.method == MODEL and one.verdict != "not applicable"]
    asked = [one for one in on_model if one.check.startswith(CHECK)]
    failed = [one for one in on_model if one.verdict == "fail" and one not in asked]
    failed += asked if all(one.verdict == "fail" for one in asked) else []
    return [f"The model on this scan fails a check ({one.check}): {one.sentence}" for one in failed]


def changed_structure(
    explained: ExplainedImage,
    name: str,
    sizes: Sequence[float] = SIZES,
    told: Callable[[float], None] = lambda part: None,
) -> tuple[Change, ...]:
    """The scan with one of its structures changed, by size; fewer than asked for where the deformation fails.

    Parameters
    ----------
    name
        One of :attr:`ExplainedImage.structures`.
    sizes
        Shares of the volume, ascending.
    told
        Called with the part that is done; may raise to cancel.
    """
    import torch

    from ..deformation.head import head_of
    from ..deformation.resize import resize

    structures = {
        key: torch.as_tensor(np.where(explained.inside, one, 0).astype(np.float32))
        for key, one in explained.structures.items()
    }
    box = _box_around(explained.inside)
    head = head_of(torch.as_tensor(np.ascontiguousarray(explained.inside[box])), explained.spacing)
    structure = structures[name][box]
    fluid = structures[VENTRICLES][box] if VENTRICLES in structures else torch.zeros_like(structure)
    grows = name == VENTRICLES
    found: list[Change] = []
    u = None
    for number, size in enumerate(sizes):
        done = number / len(sizes)
        goal = math.log(1 + size) if grows else math.log(1 - size)
        reached = resize(head, structure, fluid if not grows else 0 * fluid, goal, u, partial(told, done))
        if not reached.reached:
            break
        u = reached.u
        found.append(_changed(explained, head, box, u, size))
    return tuple(found)


def _changed(explained: ExplainedImage, head: Head, box: tuple[slice, ...], u: torch.Tensor, size: float) -> Change:
    from ..deformation.displacement import log_jacobian

    image = explained.image.detach().cpu().clone()
    image[0][(slice(None), *box)] = head.deformed(image[0][(slice(None), *box)], u)
    log_volume = np.zeros(explained.inside.shape, dtype=np.float32)
    log_volume[box] = -log_jacobian(u, head.box).numpy()  # the field maps backwards
    return Change(size, image.to(explained.image), log_volume)


def _box_around(inside: NDArray[np.bool_], margin: int = 2) -> tuple[slice, slice, slice]:
    """The brain's bounding box with a margin; at least four voxels along each axis, where the volume has them."""
    where = np.argwhere(inside)
    low, high = where.min(0), where.max(0) + 1
    i, j, k = (
        slice(max(0, int(a) - margin), min(size, int(b) + margin))
        for a, b, size in zip(low, high, inside.shape, strict=True)
    )
    return i, j, k


def noticed_from(sizes: Sequence[float], moves: Sequence[float], limit: float) -> float:
    """The smallest size whose move reaches the limit, linear between sizes and from no change at 0; NaN if none."""
    before, at = 0.0, 0.0
    for size, move in zip(sizes, moves, strict=True):
        if move >= limit and move > 0:  # without noise, no move at all would reach the limit
            return at + (size - at) * (limit - before) / (move - before) if move > before else size
        before, at = move, size
    return math.nan


def check_recovery(explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent) -> list[Verdict]:
    """A verdict on the model for each structure, and one on each map for the first structure that could be changed."""
    if not explained.methods:
        return []
    asked = [name for name in STRUCTURES if name in explained.structures]
    if not asked:
        sentence = "No segmentation of this brain was given whose structures could be changed."
        return [not_applicable(name, CHECK, sentence) for name in (*explained.methods, MODEL)]
    weights = explained.towards if explained.towards is not None else explained.target
    share = 1 / (len(asked) + 2)
    progress(STEP, 0.0)
    noise = answer_noise(explained, weights, seed, lambda part: progress(STEP, share * part))
    whole = _value(explained, explained.image, weights)
    verdicts: list[Verdict] = []
    mapped: tuple[str, Change] | None = None
    for number, name in enumerate(asked):
        about = f"{CHECK} ({name})"
        there = np.asarray(explained.structures[name], dtype=np.float64)[explained.inside]
        ml = float(there.sum()) * math.prod(explained.spacing) / 1000
        if ml < SMALLEST_REGION_ML:
            verdicts.append(
                not_applicable(MODEL, about, f"This brain's {name} measure {ml:.2g} ml: too small to change.")
            )
            continue
        changes = changed_structure(explained, name, told=partial(_tell, progress, share, number + 1))
        if not changes:
            sentence = (
                f"The deformation failed: this brain's {name} cannot be changed by {SIZES[0]:.0%} without folding."
            )
            verdicts.append(not_applicable(MODEL, about, sentence))
            continue
        moves = [_value(explained, change.image, weights) - whole for change in changes]
        verdicts.append(_of_answer(explained, name, about, changes, moves, RECOVERY_NOISE * noise.total))
        if mapped is None:
            mapped = name, min(changes, key=lambda change: abs(change.size - MAPPED))
    verdicts += _of_maps(explained, mapped)
    progress(STEP, 1.0)
    return verdicts


def _tell(progress: ProgressCallback, share: float, number: int, part: float) -> None:
    progress(STEP, share * (number + part))


def _value(explained: ExplainedImage, image: torch.Tensor, weights: Sequence[float]) -> float:
    return float(explained_values(explained.network, image, weights, explained.output)[0])


def _of_answer(
    explained: ExplainedImage, name: str, check: str, changes: Sequence[Change], moves: Sequence[float], limit: float
) -> Verdict:
    sizes = [change.size for change in changes]
    directed = explained.towards is not None
    if not any(moves):
        sentence = f"The answer does not change at all when this brain's {name} change by up to {sizes[-1]:.0%}."
        return pass_or_fail(MODEL, check, UNNOTICED, 100 * RECOVERY_LARGEST, False, sentence)
    noticed = noticed_from(sizes, moves if directed else [abs(move) for move in moves], limit)
    what = "widening" if name == VENTRICLES else "loss"
    of = "towards the disease" if directed else "in either direction, as the model has no class of the disease"
    sentence = (
        f"With this brain's {name} {'wider' if name == VENTRICLES else 'smaller'} by "
        f"{', '.join(f'{size:.0%}' for size in sizes)}, the answer moves by "
        f"{', '.join(f'{move:+.2g}' for move in moves)} ({of}; its own noise reaches {limit:.2g}): the model "
    )
    if not math.isnan(noticed):
        sentence += f"would have noticed a {what} of {100 * noticed:.0f} %."
    elif directed and moves[-1] <= -limit:
        sentence += f"moves the wrong way at a {what} of {sizes[-1]:.0%}."
    else:
        sentence += f"would not have noticed a {what} of {sizes[-1]:.0%}."
    if sizes[-1] < SIZES[-1]:
        sentence += f" Larger changes could not be made: the deformation failed beyond {sizes[-1]:.0%}."
        if math.isnan(noticed):
            return not_applicable(MODEL, check, sentence)
    value = UNNOTICED if math.isnan(noticed) else 100 * noticed
    return pass_or_fail(MODEL, check, value, 100 * RECOVERY_LARGEST, value < UNNOTICED, sentence)


def _of_maps(explained: ExplainedImage, mapped: tuple[str, Change] | None) -> list[Verdict]:
    reason = ""
    if explained.explain is None:
        reason = "No function was given that computes the map again, here for a changed brain."
    elif mapped is None:
        reason = "No structure of this brain could be changed."
    if reason or mapped is None or explained.explain is None:
        return [not_applicable(method, CHECK, reason) for method in explained.methods]
    name, change = mapped
    found = explained.explain(explained.network, change.image, explained.target, explained.methods)
    size = np.where(explained.inside, np.abs(change.log_volume), 0)
    truth = size >= _TRUTH_SHARE * size.max()
    verdicts = []
    for method in explained.methods:
        moved = np.abs(np.asarray(found[method], dtype=np.float64) - explained.maps[method])
        place = localise(moved, truth, explained.inside)
        gain = place.mass / place.chance if place.chance > 0 else math.nan
        sentence = (
            f"With this brain's {name} {change.size:.0%} smaller, {place.mass:.1%} of the map's change lies where the "
            f"brain changed most, {gain:.1f} times chance."
        )
        if name == VENTRICLES:
            sentence = sentence.replace("smaller", "wider")
        if math.isnan(gain):
            sentence = "The map stays exactly as it is when the brain changes."
        passed = gain > LOCALISATION_TIMES_CHANCE
        verdicts.append(pass_or_fail(method, CHECK, gain, LOCALISATION_TIMES_CHANCE, passed, sentence))
    return verdicts
