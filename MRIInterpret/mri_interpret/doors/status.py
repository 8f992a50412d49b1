"""What a front end says about work: why it cannot start now, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..progress import time_left
from ..worker import messages

_NOTICES_SHOWN = 5


def busy(explaining: bool, cohort_running: bool, adding_model: bool = False) -> str:
    """Why no job can start now; empty if one can."""
    if adding_model:
        return "A model is being added."
    if cohort_running:
        return "A cohort is running."
    return "An explanation is being made or opened." if explaining else ""


def explain_blocked(busy_with: str, has_scan: bool, model_problem: str, missing_input: str = "") -> str:
    """Why Explain cannot be pressed; empty if it can. ``missing_input`` is a channel for which no volume is chosen."""
    if busy_with or not has_scan:
        return busy_with or "Choose a volume, or load the sample."
    missing = f"Choose the volume for the model's further input '{missing_input}'." if missing_input else ""
    return model_problem or missing


def cohort_blocked(busy_with: str, table: str, output: str, model_problem: str) -> str:
    """Why a cohort cannot be run; empty if it can."""
    if busy_with:
        return busy_with
    if not table:
        return "Choose a participants table."
    return model_problem if output else "Choose an output folder."


class StatusText:
    """The text beside a progress bar: the step, the time left, and the last notices, one to a line.

    Attributes
    ----------
    percent
        How much of the whole is done, 0 to 100.
    """

    def __init__(self) -> None:
        self.percent = 0
        self._notices: list[str] = []

    def start(self) -> str:
        """A job starts."""
        self.percent = 0
        self._notices.clear()
        return "Starting"

    def after(self, message: messages.Message) -> str | None:
        """The text after a message; None if it stays as it is."""
        if isinstance(message, messages.Notice):
            self._notices.append(message.text)
        if not isinstance(message, messages.Progress):
            return None
        self.percent = round(100 * message.overall)
        step = ", ".join(filter(None, (message.step, time_left(message.seconds_left))))
        return self._with_notices(step)

    def end(self, sentence: str) -> str:
        """The job is over: ``sentence`` says why there is no result; empty if there is one."""
        return sentence or self._with_notices("Done.")

    def _with_notices(self, first: str) -> str:
        shown: Sequence[str] = self._notices[-_NOTICES_SHOWN:]
        return "\n".join([first, *shown])
