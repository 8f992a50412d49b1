"""Section "Model": the models at hand, what the chosen one is, and its card."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .context import PanelContext
from .widgets import chosen, enable, fill_combo


class ModelSection:
    """Wires the section's widgets with the parameter node."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.on_model)
        self.ui.addModelButton.connect("clicked(bool)", self.on_add)
        self.ui.openCardButton.connect("clicked(bool)", self.on_open_card)

    def update(self) -> None:
        """Show what the parameter node holds."""
        model = self.context.model
        fill_combo(self.ui.modelComboBox, [(name, name) for name in self.context.models.names], model.name)
        self.ui.modelDescriptionLabel.text = model.description
        self.ui.bannerLabel.text = model.banner
        reason = "" if model.card is not None else _("This model has no card.")
        enable(self.ui.openCardButton, reason, _("Show the model card: training data, intended use, performance."))

    def on_model(self, _index: int) -> None:
        self.context.choose("model", chosen(self.ui.modelComboBox))

    def on_add(self, _checked: bool = False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of a model bundle"), str(Path.home())
        )
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The model could not be added.")):
                self.context.choose("model", self.context.models.add(Path(folder)))
                self.context.changed.emit()

    def on_open_card(self, _checked: bool = False) -> None:
        card = self.context.model.card
        if card is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(card)))
