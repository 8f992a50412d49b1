"""Which axis of the input each axis of a recorded tensor is, and where its voxels lie there, through moves of axes.

A network may put channels last, flip or transpose the scan, or cut it up and put it together again. A class activation
map is right only if that is followed; an axis that is not followed is :data:`LOST`, and no map is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from .geometry import Geometry


@dataclass(frozen=True)
class Origin:
    """What an axis of a tensor is: position ``f`` on it is centred at ``scale * f + offset`` on ``axis`` of the input.

    Axis 0 is that of the samples, 2 and more are spatial.
    """

    axis: int
    scale: float = 1.0
    offset: float = 0.0


#: An axis that may be spatial, of which it is not known how it lies.
LOST = Origin(-1)
#: For each axis of a tensor; None for channels and whatever else is not spatial.
Origins = tuple[Origin | None, ...]


def of_input(rank: int) -> Origins:
    """Of the input itself, (N, C, *spatial)."""
    return Origin(0), None, *(Origin(axis) for axis in range(2, rank))


def lost(axes: int) -> Origins:
    """Of a tensor of which nothing is known."""
    return (LOST,) * axes


def through_spatial(origins: Origins, axes: int, change: Callable[[Geometry], Geometry]) -> Origins:
    """After an operation on the last ``axes`` axes, of which ``change`` says how it moves voxels."""
    before, spatial = origins[:-axes], [origin or LOST for origin in origins[-axes:]]
    moved = change(tuple((origin.scale, origin.offset) for origin in spatial))
    after = [
        origin if origin.axis < 2 else Origin(origin.axis, *place) for origin, place in zip(spatial, moved, strict=True)
    ]
    return *before, *(origin if origin.axis >= 2 else LOST for origin in after)


def with_new_channels(origins: Origins, axis: int = 1) -> Origins:
    """After an operation that mixes everything along ``axis``."""
    axis %= len(origins)
    return *origins[:axis], None, *origins[axis + 1 :]


def sliced(origin: Origin | None, start: float, step: int) -> Origin | None:
    """An axis of which every ``step``-th value from ``start`` on is kept; a negative start stands for padding."""
    if origin is None or (start == 0 and step == 1):
        return origin
    if origin.axis < 2:
        return LOST
    return Origin(origin.axis, origin.scale * step, origin.offset + origin.scale * start)


def flipped(origin: Origin | None, size: int) -> Origin | None:
    """An axis of ``size`` values in reverse."""
    return sliced(origin, size - 1, -1)


def reshaped(origins: Origins, before: Sequence[int], after: Sequence[int]) -> Origins:
    """After a view of another shape: axes that stay whole are followed, others are lost if one of them was spatial."""
    found: list[Origin | None] = []
    old = new = 0
    while old < len(before) or new < len(after):
        if old < len(before) and new < len(after) and before[old] == after[new]:
            found.append(origins[old])
            old, new = old + 1, new + 1
        elif old < len(before) and before[old] == 1:
            old += 1
        elif new < len(after) and after[new] == 1:
            found.append(None)
            new += 1
        else:
            left, right = _group(before[old:], after[new:])
            mixed = [origin for origin, size in zip(origins[old : old + left], before[old:], strict=False) if size > 1]
            found += [LOST if any(origin is not None for origin in mixed) else None] * right
            old, new = old + left, new + right
    return tuple(found)


def _group(before: Sequence[int], after: Sequence[int]) -> tuple[int, int]:
    """How many axes of both shapes hold the same number of values together, at least one of each."""
    left = right = 1
    while prod(before[:left]) != prod(after[:right]):
        if prod(before[:left]) < prod(after[:right]):
            left += 1
        else:
            right += 1
    return left, right


def stretched(origins: Origins, before: Sequence[int], after: Sequence[int]) -> Origins:
    """After an expansion or repetition, which may put new axes in front."""
    new = len(after) - len(before)
    kept = [
        origin if size == wide or origin is None else LOST
        for origin, size, wide in zip(origins, before, after[new:], strict=True)
    ]
    return *(None,) * new, *kept


def reduced(origins: Origins, axes: Sequence[int], keeps: bool) -> Origins:
    """After a sum or mean over ``axes``, which stay as axes of one value or vanish."""
    gone = {axis % len(origins) for axis in axes} if origins else set()
    if keeps:
        return tuple(None if axis in gone else origin for axis, origin in enumerate(origins))
    return tuple(origin for axis, origin in enumerate(origins) if axis not in gone)


def voxels(origins: Origins, shape: Sequence[int]) -> int:
    """Number of values along the axes that are or may be spatial."""
    return prod(
        size
        for axis, (origin, size) in enumerate(zip(origins, shape, strict=True))
        if origin is not None and (origin.axis >= 2 or (origin is LOST and axis >= 2))
    )


def may_be_features(origins: Origins, shape: Sequence[int]) -> bool:
    """Whether a tensor as the input has axes, and more than one voxel, is a feature map."""
    spatial = [origin for origin in origins if origin is not None and origin.axis != 0]
    return len(spatial) >= len(origins) - 2 and voxels(origins, shape) > 1


def agree(first: Origins, second: Origins, shape: Sequence[int]) -> bool:
    """Whether two tensors of one shape lie at one place, up to two of their voxels, as strides and paddings differ."""
    for one, other, size in zip(first, second, shape, strict=True):
        if one is None or other is None or one.axis < 2 or other.axis < 2:
            continue
        ends = [(origin.offset, origin.offset + origin.scale * (size - 1)) for origin in (one, other)]
        apart = max(abs(a - b) for a, b in zip(*ends, strict=True))
        if one.axis != other.axis or apart > 2 * max(abs(one.scale), abs(other.scale)):
            return False
    return True


def is_followed(origins: Origins) -> bool:
    """Whether each spatial axis of an input with as many axes is there."""
    found = {origin.axis for origin in origins if origin is not None}
    return found >= set(range(2, len(origins))) and LOST not in origins


def lying(origins: Origins, shape: Sequence[int], samples: int) -> tuple[tuple[int, ...], Geometry] | None:
    """How a feature map lies in the input.

    Returns
    -------
    order
        The permutation that makes it (N, C, *spatial) with spatial axes in the order of the input.
    geometry
        Per spatial axis of the input.

    None if that is not known.
    """
    if not is_followed(origins):
        return None
    at = {origin.axis: axis for axis, origin in enumerate(origins) if origin is not None}
    spatial = [at[axis] for axis in range(2, len(origins))]
    others = [axis for axis in range(len(origins)) if axis not in spatial]
    batch = at.get(0, next((axis for axis in others if samples == 1 and shape[axis] == 1), None))
    if batch is None or shape[batch] != samples:
        return None
    (channel,) = (axis for axis in others if axis != batch)
    places = [origin for axis in spatial if (origin := origins[axis]) is not None]
    return (batch, channel, *spatial), tuple((origin.scale, origin.offset) for origin in places)
