"""The group "What would have to change": sentences of volume methods, the deformed scan, and how it is deformed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..doors.result_tables import volume_sentences
from .context import PanelContext
from .widgets import enable, quiet

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult


class ChangesSection:
    """Wires the group's widgets with the result that is shown.

    Parameters
    ----------
    context
        Widgets and parameters.
    shown
        The result that is shown, or None.
    """

    def __init__(self, context: PanelContext, shown: Callable[[], MRIInterpretResult | None]) -> None:
        self.context = context
        self.ui = context.ui
        self._shown = shown
        self.ui.showCounterfactualCheckBox.connect("toggled(bool)", self.on_show_counterfactual)
        self.ui.showDeformationCheckBox.connect("toggled(bool)", self.on_show_deformation)

    def update(self) -> None:
        """Show the sentences, and what of the counterfactual is in the views."""
        result = self._shown()
        sentences = volume_sentences(result.nodes) if result else ()
        ui, method = self.ui, self._method()
        ui.changesGroupBox.visible = bool(sentences)
        ui.changesTextEdit.plainText = "\n".join(sentences)
        missing = "" if method else _("No counterfactual was asked: tick Volume counterfactual among the methods.")
        enable(ui.showCounterfactualCheckBox, missing, _("Show the deformed scan in place of the scan in the slices."))
        enable(ui.showDeformationCheckBox, missing, _("Draw how the scan is deformed, as a bent grid over the slices."))
        with quiet(ui.showCounterfactualCheckBox, ui.showDeformationCheckBox):
            ui.showCounterfactualCheckBox.checked = False
            ui.showDeformationCheckBox.checked = False
            if result is not None and method:
                from ..scene import counterfactual

                ui.showCounterfactualCheckBox.checked = counterfactual.counterfactual_is_shown(result.nodes, method)
                ui.showDeformationCheckBox.checked = counterfactual.grid_is_shown(result.nodes, method)

    def _method(self) -> str:
        """The counterfactual that is meant: the map that is shown if it is one, else the first; empty without one."""
        result = self._shown()
        if result is None:
            return ""
        from ..scene.counterfactual import counterfactuals_of

        methods = list(counterfactuals_of(result.nodes))
        wanted = str(self.context.parameters.shownMap)
        return wanted if wanted in methods else methods[0] if methods else ""

    def on_show_counterfactual(self, wanted: bool) -> None:
        from ..scene.counterfactual import show_counterfactual

        self._do(show_counterfactual, wanted)

    def on_show_deformation(self, wanted: bool) -> None:
        from ..scene.counterfactual import show_grid

        self._do(show_grid, wanted)

    def _do(self, change: Callable[[Any, str, bool], None], wanted: bool) -> None:
        result, method = self._shown(), self._method()
        if result is not None and method:
            change(result.nodes, method, wanted)
