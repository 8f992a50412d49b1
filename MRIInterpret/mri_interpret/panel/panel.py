"""The panel: sections over one parameter node. It owns no results and does no work of its own."""

from __future__ import annotations

from typing import Any

from .changes_section import ChangesSection
from .cohort_section import CohortSection
from .compare_section import CompareSection
from .context import PanelContext
from .explain_section import ExplainSection
from .model_section import ModelSection
from .result_section import ResultSection
from .saving_section import SavingSection
from .scan_section import ScanSection


class Panel:
    """Connects the widgets of MRIInterpret.ui with the module's logic.

    Parameters
    ----------
    ui
        The widgets by name.
    logic
        MRIInterpretLogic.
    requirements
        Path of the module's requirements.txt.
    """

    def __init__(self, ui: Any, logic: Any, requirements: str) -> None:
        self.context = PanelContext(ui, logic, requirements)
        self.scan = ScanSection(self.context)
        self.model = ModelSection(self.context)
        self.explain = ExplainSection(self.context)
        self.result = ResultSection(self.context)
        self.saving = SavingSection(self.context, lambda: self.result.result)
        self.compare = CompareSection(self.context, lambda: (self.result.result, self.result.key))
        self.changes = ChangesSection(self.context, lambda: self.result.result)
        self.cohort = CohortSection(self.context)
        self._sections = (
            self.scan, self.model, self.explain, self.result, self.saving, self.compare, self.changes,
            self.cohort,
        )  # fmt: skip
        self._updating = False
        self.context.changed.connect(self.update)

    def set_parameters(self, parameters: Any) -> None:
        """Use another parameter node; with None, nothing is reacted to."""
        self.context.parameters = parameters
        self.result.forget()  # another scene may have a result of the same name
        self.update()
        self.result.cursor.follow(parameters is not None)
        if parameters is not None:
            self.result.enter()

    def forget(self) -> None:
        """The scene was closed: what the status lines say is of the past."""
        self.explain.forget()
        self.cohort.forget()
        self.compare.forget()

    def close(self) -> None:
        """The module is reloaded or Slicer ends."""
        self.model.close()

    def update(self) -> None:
        """Show the parameter node's content and what can be pressed."""
        if self.context.parameters is None or self._updating:
            return
        self._updating = True
        try:
            with self.result.held():
                for section in self._sections:
                    section.update()
        finally:
            self._updating = False
