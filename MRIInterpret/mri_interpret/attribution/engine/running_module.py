"""Which module of the model is running now, and what each one returned: without hooks on the model.

torch offers hooks that are registered with torch itself and see every module call; they are put up for one forward
pass, look only at calls of this model in this thread, and are taken down whatever happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


class RunningModule:
    """The stack of running modules, by dotted name.

    Parameters
    ----------
    model
        The model whose modules are followed.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._stack: list[str] = []

    @property
    def name(self) -> str:
        """Dotted name of the innermost running module; empty for the model itself."""
        return self._stack[-1] if self._stack else ""

    def enter(self, name: str) -> None:
        """Take ``name`` as the running module: for programs, which call no modules."""
        self._stack = [name]

    @contextmanager
    def following(
        self, on_output: Callable[[str, Any], None], on_input: Callable[[Any], None] = lambda _inputs: None
    ) -> Iterator[None]:
        """Follow the module calls of this thread inside the block.

        ``on_output(name, output)`` hears of each module's result, ``on_input(inputs)`` of the call, while the caller is
        still the running module.
        """
        thread = threading.get_ident()

        def enter(module: nn.Module, inputs: Any) -> None:
            if threading.get_ident() == thread and id(module) in self._names:
                on_input(inputs)
                self._stack.append(self._names[id(module)])

        def leave(module: nn.Module, _inputs: Any, output: Any) -> None:
            if threading.get_ident() == thread and id(module) in self._names:
                self._stack.pop()
                on_output(self._names[id(module)], output)

        handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()
