"""Section "Model": the bundles at hand, what each is, and its card."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import UserError
from .widgets import chosen, enable, fill_combo

if TYPE_CHECKING:
    from .panel import Panel


class ModelSection:
    """Wires the section's widgets with the parameter node."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui = panel.ui
        self._models: list[Any] = []
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.on_model)
        self.ui.addModelButton.connect("clicked(bool)", self.on_add)
        self.ui.openCardButton.connect("clicked(bool)", self.on_open_card)
        self.refresh()

    def refresh(self) -> None:
        """Look for models again."""
        from ..models.registry import DEFAULT_MODEL, list_models

        self._models = sorted(list_models(), key=lambda model: model.name != DEFAULT_MODEL)

    @property
    def current(self) -> Any:
        """The listed model that is chosen; None if there is none."""
        wanted = self.panel.parameters.model if self.panel.parameters else ""
        found = [model for model in self._models if model.name == wanted]
        return (found or self._models or [None])[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of the chosen model."""
        model = self.current
        return tuple(model.metadata.classes) if model is not None and model.metadata is not None else ()

    @property
    def problem(self) -> str:
        """Why the chosen model cannot be explained; empty if it can."""
        if self.current is None:
            return _("There is no model: add one.")
        return str(self.current.problem)

    def update(self) -> None:
        model = self.current
        choices = [(m.name, m.name) for m in self._models]
        fill_combo(self.ui.modelComboBox, choices, model.name if model is not None else "")
        metadata = model.metadata if model is not None else None
        self.ui.modelDescriptionLabel.text = metadata.description if metadata else self.problem
        self.ui.bannerLabel.text = metadata.banner if metadata else ""
        card = self.card
        reason = "" if card is not None else _("This model has no card.")
        enable(self.ui.openCardButton, reason, _("Show the model card: training data, intended use, performance."))

    @property
    def card(self) -> Path | None:
        """The model card's file."""
        path = self.current.path / "docs" / "README.md" if self.current is not None else None
        return path if path is not None and path.is_file() else None

    def on_model(self, _index: int) -> None:
        if self.panel.parameters:
            self.panel.parameters.model = chosen(self.ui.modelComboBox)

    def on_add(self, _checked: bool = False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder of a model bundle"), str(Path.home())
        )
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The model could not be added.")):
                self.add(Path(folder))

    def add(self, folder: Path) -> None:
        """Check a bundle and copy it into the user's models folder, whole or not at all."""
        from ..models.metadata import read_metadata
        from ..models.registry import user_models_folder

        read_metadata(folder)
        target = user_models_folder() / folder.name
        if target.exists():
            raise UserError(f"There is a model named {folder.name} already: rename the folder and add it again.")
        aside = target.with_name(f".partial-{folder.name}")
        try:
            shutil.copytree(folder, aside)
            aside.rename(target)
        except OSError as error:
            raise UserError(f"The model cannot be copied to {target} ({error.strerror or error}).") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self.refresh()
        if self.panel.parameters:
            self.panel.parameters.model = folder.name
        self.panel.update()

    def on_open_card(self, _checked: bool = False) -> None:
        if self.card is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.card)))
