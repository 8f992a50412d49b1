"""The models that can be chosen, and what is told about the chosen one. Nothing heavy is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import UserError
from ..models.metadata import read_metadata
from ..models.registry import DEFAULT_MODEL, ListedModel, list_models
from ..user_folders import user_models_folder


class ModelList:
    """The installed models, the default one first."""

    def __init__(self) -> None:
        self._models: list[ListedModel] = []
        self.refresh()

    def refresh(self) -> None:
        """Look for models again."""
        self._models = sorted(list_models(), key=lambda model: model.name != DEFAULT_MODEL)

    @property
    def names(self) -> list[str]:
        """Names to choose from."""
        return [model.name for model in self._models]

    def chosen(self, name: str) -> ChosenModel:
        """The model of that name, else the first."""
        named = [model for model in self._models if model.name == name]
        return ChosenModel(next(iter(named or self._models), None))

    def add(self, folder: Path) -> str:
        """Check a bundle and copy it into the user's models folder, whole or not at all; returns its name.

        Raises
        ------
        UserError
            If it is no sound bundle, there is a model of that name, or it cannot be copied.
        """
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
        return folder.name


class ChosenModel:
    """What a front end shows of a listed model, or of there being none."""

    def __init__(self, model: ListedModel | None) -> None:
        self._model = model
        self._metadata = model.metadata if model is not None else None

    @property
    def name(self) -> str:
        """Its name; empty if there is no model."""
        return self._model.name if self._model is not None else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(self._metadata.classes) if self._metadata is not None else ()

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty if it can."""
        return self._model.problem if self._model is not None else "There is no model: add one."

    @property
    def description(self) -> str:
        """One line, or the problem."""
        return self._metadata.description if self._metadata is not None else self.problem

    @property
    def banner(self) -> str:
        """The research-only banner."""
        return self._metadata.banner if self._metadata is not None else ""

    @property
    def card(self) -> Path | None:
        """The model card's file, if it has one."""
        path = self._model.path / "docs" / "README.md" if self._model is not None else None
        return path if path is not None and path.is_file() else None
