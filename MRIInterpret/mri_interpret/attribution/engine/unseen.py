"""What depends on the input although the recorder did not see how: found by following torch's own graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .deferred import Deferred


class UnseenOperations:
    """Tells tensors that depend on the input from those that only depend on the model's weights.

    Both require a gradient. Which of them a tensor is, torch's graph says: it leads to the input, or it does not.

    Attributes
    ----------
    count
        How many tensors came from operations that were not recorded.
    """

    def __init__(self) -> None:
        self.count = 0
        self._input: Tensor | None = None
        # Held, so that no other node of the graph gets the same identity.
        self._known: dict[Any, bool] = {}

    def begin(self, x: Tensor) -> None:
        """Take ``x`` as the input."""
        self._input = x

    def reaches_input(self, tensor: Tensor, on_deferred: Callable[[Tensor], Any]) -> bool:
        """Whether torch's graph leads from ``tensor`` to the input; ``on_deferred`` is told of a deferred tensor."""
        start = tensor.grad_fn
        if start is None:
            return tensor is self._input
        if start not in self._known:
            waiting, visited, found = [start], {start}, False
            while waiting and not found:
                node: Any = waiting.pop()
                leaf = getattr(node, "variable", None)
                if isinstance(leaf, Deferred):
                    on_deferred(leaf)
                found = self._known.get(node, False) or (leaf is not None and leaf is self._input)
                parents = {parent for parent, _ in node.next_functions if parent is not None}
                waiting += parents - visited
                visited |= parents
            # Only a search that found nothing says something about the nodes on its way.
            self._known.update({start: True} if found else dict.fromkeys(visited, False))
        return self._known[start]

    @staticmethod
    def name(tensor: Tensor) -> str:
        """What torch calls the operation that made ``tensor``."""
        made_by = "" if tensor.grad_fn is None else str(tensor.grad_fn.name())
        return made_by.split("::")[-1].rstrip("0123456789").removesuffix("Backward") or "unknown"
