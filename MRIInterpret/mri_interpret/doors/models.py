"""The models that can be chosen, and what is told about the chosen one. Nothing heavy is loaded."""

from __future__ import annotations

from pathlib import Path

from ..models.outputs import OutputMeaning
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

    def removable(self, name: str) -> str:
        """Why the model of that name cannot be removed; empty if it can."""
        named = [model for model in self._models if model.name == name]
        own = named and named[0].path.parent == user_models_folder()
        return "" if own else "Only models that were added can be removed."

    def remove(self, name: str) -> None:
        """Delete a model that was added.

        Raises
        ------
        UserError
            If it was not added, or cannot be deleted.
        """
        from ..models.adding import remove_model

        try:
            remove_model(name)
        finally:
            self.refresh()


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
    def further_inputs(self) -> tuple[str, ...]:
        """The channels that want a volume of their own, beside the scan that is explained."""
        channels = self._metadata.preprocessing.channels if self._metadata is not None else ()
        return tuple(dict.fromkeys(name for name in channels if name not in ("image", "mask")))

    @property
    def output(self) -> OutputMeaning | None:
        """What its network returns; None for a model that cannot be used."""
        return self._metadata.output if self._metadata is not None else None

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
