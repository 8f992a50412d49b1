"""Section "Model": the models at hand, what the chosen one is, its card; adding and removing models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from .context import PanelContext
from .widgets import chosen, enable, fill_combo

if TYPE_CHECKING:
    from .add_model_form import AddModelForm


class ModelSection:
    """Wires the section's widgets with the parameter node."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self.form: AddModelForm | None = None
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.on_model)
        self.ui.addModelButton.connect("clicked(bool)", self.on_add)
        self.ui.removeModelButton.connect("clicked(bool)", self.on_remove)
        self.ui.openCardButton.connect("clicked(bool)", self.on_open_card)

    def update(self) -> None:
        """Show what the parameter node holds."""
        model = self.context.model
        fill_combo(self.ui.modelComboBox, [(name, name) for name in self.context.models.names], model.name)
        self.ui.modelDescriptionLabel.text = model.description
        self.ui.bannerLabel.text = model.banner
        reason = "" if model.card is not None else _("This model has no card.")
        enable(self.ui.openCardButton, reason, _("Show the model card: training data, intended use, performance."))
        reason = self.context.models.removable(model.name) or self.context.busy
        enable(self.ui.removeModelButton, _(reason), _("Delete the chosen model from your models folder."))

    def on_model(self, _index: int) -> None:
        self.context.choose("model", chosen(self.ui.modelComboBox))

    def on_add(self, _checked: bool = False) -> None:
        if self.form is None:
            from .add_model_form import AddModelForm  # not on top: nothing of it is needed when the panel opens

            self.form = AddModelForm(self.context)
        self.form.open()

    def on_remove(self, _checked: bool = False) -> None:
        name = self.context.model.name
        question = _("Delete the model {name} from this computer?").format(name=name)
        if not slicer.util.confirmOkCancelDisplay(question, _("Remove model")):
            return
        with slicer.util.tryWithErrorDisplay(_("The model could not be removed.")):
            self.context.models.remove(name)
        self.context.choose("model", "")
        self.context.changed.emit()

    def close(self) -> None:
        """The module is left for good: its window goes with it."""
        if self.form is not None:
            self.form.dialog.reject()
            self.form = None

    def on_open_card(self, _checked: bool = False) -> None:
        card = self.context.model.card
        if card is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(card)))
