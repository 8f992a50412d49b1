"""Models into the user's folder and out of it, from whatever form they come in."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..progress import ProgressCallback, silent, step
from ..user_folders import user_models_folder
from .answers import Answers, card_of, checked_metadata, completed
from .bundle import FILES, load_bundle
from .bundle_folder import write_bundle_folder
from .export import export_network, temporary_folder
from .recipes.monai_bundle import MonaiBundle, is_foreign_bundle
from .recipes.recipe import Recipe
from .recipes.table import recipe_named
from .registry import list_models
from .source_file import program_suffix
from .trial import try_out
from .trusted_code import trusted_network

if TYPE_CHECKING:
    from torch import nn

READING, WRITING, TRYING = "Reading the model", "Writing the model", "Trying the model"  # the steps of adding one
_NAME = re.compile(r"[\w.+-]{1,80}")


@dataclass(frozen=True)
class Added:
    """A model that is at hand now."""

    name: str
    path: Path
    notes: tuple[str, ...] = field(default=())


def add_model(
    source: str | Path,
    *,
    name: str = "",
    recipe: str = "",
    options: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    trusted_class: str = "",
    arguments: Mapping[str, Any] | None = None,
    place: str = "",
    progress: ProgressCallback = silent,
) -> Added:
    """Put a model into the user's folder, where every door finds it by its name.

    Parameters
    ----------
    source
        A bundle's folder; a program (.pt2 of torch.export, .ts or .pt of TorchScript) with ``answers``; a state dict
        (.pt, .pth, .safetensors, or within a checkpoint) with ``answers`` and ``trusted_class``; or the files that a
        ``recipe`` names.
    name
        What it is called; the bundle's own name, or the file's, if left out.
    recipe, options
        A recipe's name (``qiu2022``, ``clinicadl``, ``keras``, ``monai``) and its options. A MONAI bundle whose
        metadata knows nothing of this project is read by its recipe without being named.
    answers
        What the file does not say. Where a recipe's files leave the meaning of the outputs open, they say that too.
    trusted_class, arguments
        Dotted name of the network's class in an installed package, and its constructor's arguments. Importing a class
        runs its package's code: name only what you trust. What is kept is a program without that code.
    place
        Name of the folder beside the models in which it is put together (see :func:`partial_folder`), for callers who
        may end this process in the middle and then delete it.
    progress
        Told about each step; may raise Cancelled.

    Raises
    ------
    UserError
        If the source is not what was said, the model does not work, or the name is taken. Nothing is left behind then.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise UserError(f"There is no {source}: give a bundle's folder, a model's file, or a recipe's folder.")
    if recipe:
        return _from_recipe(source, name, recipe, dict(options or {}), answers, trusted_class, place, progress)
    if options:
        raise UserError("Options belong to a recipe: name the recipe too.")
    if arguments and not trusted_class:
        raise UserError("Arguments belong to a class: name the class that you trust too.")
    if is_foreign_bundle(source):
        return _from_recipe(source, name, MonaiBundle.name, {}, answers, trusted_class, place, progress)
    if (source / "configs" / "metadata.json").is_file():
        if answers is not None or trusted_class:
            raise UserError(f"{source} is a bundle, which says all of itself: leave the class and the answers away.")
        return _copied(source, name, place, progress)
    if source.is_dir():
        raise UserError(f"{source} is no model bundle (it lacks configs/metadata.json): name the recipe that fits it.")
    if answers is None:
        raise UserError(
            f"{source.name} does not say what its outputs mean nor how scans are prepared: give its classes and its "
            "preprocessing too."
        )
    if trusted_class:
        return _from_weights(source, name, answers, trusted_class, arguments or {}, place, progress)
    return _from_program(source, name, answers, place, progress)


def partial_folder(place: str) -> Path:
    """Where :func:`add_model` puts a model together that was given this ``place``."""
    return user_models_folder() / f".partial-{place}"


def remove_model(name: str) -> Path:
    """Delete a model of the user's folder; what ships cannot be removed.

    Raises
    ------
    UserError
        If there is no such model, or it cannot be deleted.
    """
    path = user_models_folder() / name
    own = [model.name for model in list_models() if model.path.parent == user_models_folder()]
    if name not in own:
        raise UserError(f"There is no model '{name}' among those that were added ({', '.join(own) or 'none'}).")
    try:
        aside = Path(tempfile.mkdtemp(prefix=".removed-", dir=path.parent))
        os.replace(path, aside / path.name)  # a half-deleted model must not be found
        shutil.rmtree(aside)
    except OSError as error:
        raise UserError(f"The model {path} cannot be removed ({error.strerror or error}).") from error
    return path


def save_bundle(
    folder: str | Path, network: nn.Module, *, input: Mapping[str, Any], output: Mapping[str, Any], card: str = ""
) -> tuple[str, ...]:
    """Write a live network as a bundle that loads without its code.

    Parameters
    ----------
    folder
        The bundle's folder. A model that lies there is replaced: its weights are removed once the new ones are written.
    network
        Takes (N, C, I, J, K), returns its scores (N, outputs). It is not changed.
    input
        ``preprocessing``: the list of steps; ``shape`` (I, J, K) where they do not set it; ``statistics``: what inputs
        looked like in training, as ``input_statistics`` of a bundle's metadata holds it.
    output
        ``classes`` (a list of names) or ``name`` (of a quantity); ``kind`` ("logits" if left out, "softmax",
        "sigmoid", "labels", "logit", "ordinal", "regression"); ``unit`` and ``range`` of a quantity.
    card
        The model card, Markdown; a short one if left out.

    Returns
    -------
    What the user should know: what the network could not be exported as, for instance.

    Raises
    ------
    UserError
        If the network cannot be exported, or does not fit what is said of it.

    Examples
    --------
    >>> import mri_interpret as mi
    >>> steps = [{"step": "mask"}, {"step": "registration", "shape": [91, 109, 91], "spacing": [2, 2, 2],
    ...          "origin": [-90, -126, -72]}, {"step": "intensity", "method": "zscore"}]
    >>> mi.save_bundle("my-model", network, input={"preprocessing": steps},
    ...                output={"classes": ["CN", "AD"]})  # doctest: +SKIP
    """
    _check_keys("input", input, ("preprocessing", "shape", "statistics"))
    _check_keys("output", output, ("classes", "name", "kind", "unit", "range"))
    classes = tuple(output.get("classes") or ([output["name"]] if "name" in output else []))
    shape = input.get("shape")
    answers = Answers(
        classes, tuple(input.get("preprocessing", ())), str(output.get("kind", "logits")),
        tuple(shape) if shape else None, str(output.get("unit", "")),
        range=tuple(output["range"]) if "range" in output else None,
    )  # fmt: skip
    folder = Path(folder)
    answers = replace(answers, statistics=input.get("statistics"))
    return _write_program(folder, network, folder.name, answers, card)


def _check_keys(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse what would be passed over in silence."""
    unknown = [key for key in given if key not in known]
    if unknown:
        raise UserError(f"save_bundle knows no '{unknown[0]}' in its {what}; it knows {', '.join(known)}.")


def _from_recipe(
    source: Path,
    name: str,
    recipe: str,
    options: dict[str, str],
    answers: Answers | None,
    trusted: str,
    place: str,
    progress: ProgressCallback,
) -> Added:
    kind = recipe_named(recipe)
    if trusted:
        raise UserError(f"The recipe {recipe} needs no class: leave the class or the recipe away.")
    if answers is not None:
        options = _options_of(answers, kind) | options
    with step(progress, READING):
        imported = kind.read(source, options)
        metadata = completed(imported.metadata, answers, has_transforms=imported.transforms is not None)
        metadata = {**metadata, "name": name} if name else metadata  # results tell models apart as the user does
    with _new_model(name or _as_name(str(metadata["name"])), place, progress) as folder:
        write_bundle_folder(
            folder, metadata, imported.card,
            definition={"_target_": imported.target, **imported.arguments}, weights=imported.weights,
            transforms=None if "preprocessing" in metadata["mri_interpret"] else imported.transforms,
        )  # fmt: skip
    return _added(folder.name, *imported.notes)


def _options_of(answers: Answers, recipe: Recipe) -> dict[str, str]:
    """What the answers say of the outputs, as options of a recipe whose files leave it open."""
    given = {
        "output": "" if answers.output == "logits" else answers.output,  # which is what is said of nothing
        "unit": answers.unit,
        "range": "" if answers.range is None else ",".join(map(repr, answers.range)),
    }
    given = {name: text for name, text in given.items() if text}
    if answers.shape or not set(given) <= set(recipe.options):
        raise UserError(f"The recipe {recipe.name} knows its network's outputs and shape: leave these answers away.")
    if answers.classes and "classes" not in recipe.options:
        raise UserError(f"The recipe {recipe.name} knows the names of its network's outputs: leave the classes away.")
    return given | ({"classes": ",".join(answers.classes)} if answers.classes else {})


def _copied(source: Path, name: str, place: str, progress: ProgressCallback) -> Added:
    with step(progress, READING):
        bundle = load_bundle(source)
    with _new_model(name or _as_name(bundle.metadata.name or source.name), place, progress) as folder:
        for file in (*FILES, "models/SHA256SUMS"):
            if (source / file).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, folder / file)
    return _added(folder.name)


def _from_weights(
    source: Path,
    name: str,
    answers: Answers,
    trusted: str,
    arguments: Mapping[str, Any],
    place: str,
    progress: ProgressCallback,
) -> Added:
    name = name or _as_name(source.name.partition(".")[0])
    with step(progress, READING):
        network = trusted_network(trusted, arguments, source)
    with _new_model(name, place, progress) as folder:
        notes = _write_program(folder, network, name, answers, "")
    return _added(name, f"The code of {trusted} was run once, to import it.", *notes)


def _from_program(source: Path, name: str, answers: Answers, place: str, progress: ProgressCallback) -> Added:
    name = name or _as_name(source.name.partition(".")[0])
    suffix = program_suffix(source)
    raw, _ = checked_metadata(name, answers)
    try:
        with _new_model(name, place, progress) as folder, temporary_folder() as aside:
            program = Path(aside) / f"model{suffix}"
            shutil.copyfile(source, program)
            write_bundle_folder(folder, raw, card_of(name, ""), program=program)
    except UserError as error:  # the user knows the file by its own name
        copy = str(Path(name) / "models" / f"model{suffix}")
        raise UserError(str(error).replace(copy, source.name), option=error.option) from error
    return _added(name)


def _added(name: str, *notes: str) -> Added:
    return Added(name, user_models_folder() / name, notes)


def _as_name(text: str) -> str:
    """A name for a model from a title such as "Alzheimer's, fold 0"."""
    return re.sub(r"[^\w.+-]+", "_", text).strip("._")[:80] or "model"


def _write_program(folder: Path, network: nn.Module, name: str, answers: Answers, card: str) -> tuple[str, ...]:
    raw, metadata = checked_metadata(name, answers)
    if metadata.input_shape is None:
        raise UserError("The shape of the network's input is not known: give it, or steps that set it.")
    with temporary_folder() as place:
        program, note = export_network(network, metadata.input_shape, Path(place))
        tried = write_bundle_folder(Path(place) / name, raw, card_of(name, card), program=program)
        try_out(load_bundle(tried))  # before anything is written where it shall stay
        write_bundle_folder(folder, raw, card_of(name, card), program=program)
    return (note,) if note else ()


@contextmanager
def _new_model(name: str, place: str, progress: ProgressCallback) -> Iterator[Path]:
    """A folder beside the user's models; it takes its place among them when the block succeeds and it loads."""
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise UserError(f"'{name}' is no name for a model: use letters, digits, '.', '_', '+' and '-'.")
    models = user_models_folder()
    if any(model.name == name for model in list_models()) or (models / name).exists():
        raise UserError(f"There is a model '{name}' already: choose another name, or remove that one first.")
    try:
        models.mkdir(parents=True, exist_ok=True)
        aside = partial_folder(place) if place else Path(tempfile.mkdtemp(prefix=".partial-", dir=models))
        try:
            folder = aside / name
            with step(progress, WRITING):
                yield folder
            with step(progress, TRYING):
                try:
                    try_out(load_bundle(folder))
                except UserError as error:  # the folder aside is gone when the user reads this
                    raise UserError(str(error).replace(str(folder), name), option=error.option) from error
            os.replace(folder, models / name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise UserError(f"Cannot write the model {models / name} ({error.strerror or error}).") from error
