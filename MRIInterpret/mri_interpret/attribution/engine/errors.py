"""What the engine cannot do, said before any time is spent."""

from __future__ import annotations

from ...errors import UserError


class UnsupportedOperation(UserError):
    """The network uses an operation for which no relevance rule is known.

    Parameters
    ----------
    operation
        The operation's name as torch calls it, such as ``"fft_rfft"``.
    module
        Dotted name of the module that was running; empty for the model's own ``forward``.
    reason
        One clause that says why, or what would help.
    """

    def __init__(self, operation: str, module: str, reason: str) -> None:
        self.operation = operation
        self.module = module
        where = f"module '{module}'" if module else "the model's own forward()"
        super().__init__(f"Operation '{operation}' in {where} cannot be explained: {reason}.")
