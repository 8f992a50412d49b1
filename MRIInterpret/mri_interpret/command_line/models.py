"""`mri-interpret models` and `mri-interpret methods`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from ..errors import UserError
from ..models.registry import DEFAULT_MODEL, list_models
from ..user_folders import user_models_folder


def models_command(card: str, as_json: bool) -> None:
    """List the models, or print one model's card."""
    listed = list_models()
    if card:
        _print_card(card)
        return
    if as_json:
        records = [
            {
                "name": model.name,
                "path": str(model.path),
                "version": model.metadata.version if model.metadata else None,
                "description": model.metadata.description if model.metadata else None,
                "classes": list(model.metadata.classes) if model.metadata else None,
                "output": model.metadata.output.kind if model.metadata else None,
                "problem": model.problem or None,
            }
            for model in listed
        ]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    for model in listed:
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        if model.metadata is None:
            typer.echo(f"{model.name}: cannot be used. {model.problem}")
            continue
        typer.echo(f"{model.name} {model.metadata.version}{default}: {model.metadata.description}")
        typer.echo(f"  {model.metadata.banner}")
    typer.echo(f"Your own bundles go into {user_models_folder()}, or are named by their path.")


def _print_card(name: str) -> None:
    for model in list_models():
        if model.name == name:
            path = model.path / "docs" / "README.md"
            if not path.is_file():
                raise UserError(f"The model {name} has no card ({path} is missing).")
            typer.echo(path.read_text(encoding="utf-8"))
            return
    raise UserError(f"There is no model '{name}'. Installed: {', '.join(model.name for model in list_models())}.")


def models_add_command(
    source: Path, name: str, recipe: str, options: Sequence[str], trusted: str, arguments: str, **answers: Any
) -> None:
    """Add a model and say what the user should know about it; ``answers`` are those of ``read_answers``."""
    from ..models.adding import add_model
    from ..models.answers import read_answers

    if trusted:
        typer.echo(f"Warning: the code of {trusted} is run now, to import it.", err=True)
    added = add_model(
        source, name=name, recipe=recipe, options=_options(options), answers=read_answers(**answers),
        trusted_class=trusted, arguments=_arguments(arguments),
    )  # fmt: skip
    typer.echo(f"Added {added.name} ({added.path}). Research use only.")
    for note in added.notes:
        typer.echo(f"  {note}")


def models_remove_command(name: str) -> None:
    """Remove a model of the user's folder."""
    from ..models.adding import remove_model

    typer.echo(f"Removed {remove_model(name)}.")


def _options(entries: Sequence[str]) -> dict[str, str]:
    found = {}
    for entry in entries:
        key, sign, value = entry.partition("=")
        if not (sign and key.strip() and value.strip()):
            raise UserError(f"--option does not understand '{entry}': give pairs such as head=add.")
        found[key.strip()] = value.strip()
    return found


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"--arguments is no JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UserError("--arguments must hold a JSON object.")
    return value


def methods_command(as_json: bool) -> None:
    """List the attribution methods with what they are."""
    from ..attribution import available_methods

    known = available_methods()
    if as_json:
        records = [
            {"name": name, "title": info.title, "description": info.description, "reference": info.reference}
            for name, info in known.items()
        ]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    width = max(map(len, known))
    for name, info in known.items():
        typer.echo(f"{name:<{width}}  {info.description} [{info.reference}]")
