"""The models at hand: those that ship, and those in the user's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..resources import resource
from ..user_folders import user_models_folders
from . import DEFAULT_MODEL
from .bundle import ModelBundle, load_bundle
from .metadata import Metadata, read_metadata, segments


@dataclass(frozen=True)
class ListedModel:
    """A model that can be chosen by name, or the reason why it cannot."""

    name: str
    path: Path
    metadata: Metadata | None
    problem: str  # empty if the metadata is sound


def list_models() -> list[ListedModel]:
    """Shipped models first, then the user's, each group by name. Nothing heavy is loaded."""
    listed: list[ListedModel] = []
    for folder in (resource("Models"), *user_models_folders()):
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            # Of two with one name, the one that shipped or was added last is meant.
            if not (path / "configs").is_dir() or path.name in {model.name for model in listed}:
                continue
            if segments(path):  # of the brain's structures, not a model to explain
                continue
            try:
                listed.append(ListedModel(path.name, path, read_metadata(path, light=True), ""))
            except UserError as error:
                listed.append(ListedModel(path.name, path, None, str(error)))
    return listed


def find_model(name_or_path: str | Path = DEFAULT_MODEL) -> ModelBundle:
    """Load a model by its folder's name in the lists above, or by a path.

    Raises
    ------
    UserError
        If there is no such model (the message lists those there are), or the bundle is unsound.
    """
    listed = list_models()
    for model in listed:
        if model.name == str(name_or_path):
            return load_bundle(model.path)
    path = Path(name_or_path).expanduser()
    if path.exists():
        return load_bundle(path)
    names = ", ".join(model.name for model in listed) or "none"
    raise UserError(f"There is no model '{name_or_path}'. Installed: {names}; or give the path of a bundle's folder.")
