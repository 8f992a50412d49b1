"""Models into the user's folder and out of it, from whatever form they come in."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..user_folders import user_models_folder
from .bundle import FILES, ModelBundle, load_bundle
from .bundle_folder import write_bundle_folder
from .export import export_network, temporary_folder
from .metadata import read_metadata
from .recipes.recipe import read_state
from .recipes.table import recipe_named
from .registry import list_models

if TYPE_CHECKING:
    from torch import nn

BANNER = "Research use only, not for diagnosis."
_NAME = re.compile(r"[\w.+-]{1,80}")


@dataclass(frozen=True)
class Answers:
    """What a file of weights does not say of itself.

    Attributes
    ----------
    classes
        Names of the classes in the order of the outputs; for a single quantity its name.
    output
        "logits", "softmax", "sigmoid", "logit" or "regression".
    preprocessing
        The steps from a scan to the input, as a bundle's metadata lists them.
    shape
        Spatial shape of the input, where the steps do not set it.
    """

    classes: tuple[str, ...]
    preprocessing: tuple[Mapping[str, Any], ...]
    output: str = "logits"
    shape: tuple[int, int, int] | None = None
    unit: str = ""
    training_data: str = "not stated"


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
) -> Added:
    """Put a model into the user's folder, where every door finds it by its name.

    Parameters
    ----------
    source
        A bundle's folder; a program (.pt2 of torch.export, .ts or .pt of TorchScript) with ``answers``; a state dict
        (.pt, .pth, .safetensors) with ``answers`` and ``trusted_class``; or the files that a ``recipe`` names.
    name
        What it is called; the bundle's own name, or the file's, if left out.
    recipe, options
        A recipe's name (``qiu2022``, ``clinicadl``, ``keras``) and its options.
    answers
        What the file does not say.
    trusted_class, arguments
        Dotted name of the network's class in an installed package, and its constructor's arguments. Importing a class
        runs its package's code: name only what you trust. What is kept is a program without that code.

    Raises
    ------
    UserError
        If the source is not what was said, the model does not work, or the name is taken. Nothing is left behind then.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise UserError(f"There is no {source}: give a bundle's folder, a model's file, or a recipe's folder.")
    if recipe:
        imported = recipe_named(recipe).read(source, options or {})
        metadata = _completed(imported.metadata, answers)
        with _new_model(name or str(metadata["name"])) as folder:
            write_bundle_folder(
                folder, metadata, imported.card,
                definition={"_target_": imported.target, **imported.arguments}, weights=imported.weights,
            )  # fmt: skip
        return Added(folder.name, user_models_folder() / folder.name, imported.notes)
    if options:
        raise UserError("Options belong to a recipe: name the recipe too.")
    if (source / "configs" / "metadata.json").is_file():
        return _copied(source, name)
    if source.is_dir():
        raise UserError(f"{source} is no model bundle (it lacks configs/metadata.json): name the recipe that fits it.")
    if answers is None:
        raise UserError(
            f"{source.name} does not say what its outputs mean nor how scans are prepared: give its classes and its "
            "preprocessing too."
        )
    return _from_file(source, name or source.name.partition(".")[0], answers, trusted_class, arguments or {})


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
        The bundle's folder.
    network
        Takes (N, C, I, J, K), returns its scores (N, outputs). It is not changed.
    input
        ``preprocessing``: the list of steps; ``shape`` (I, J, K) where they do not set it.
    output
        ``classes`` (a list of names) or ``name`` (of a quantity); ``kind`` ("logits" if left out, "softmax",
        "sigmoid", "logit", "regression"); ``unit`` of a quantity.
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
    classes = tuple(output.get("classes") or ([output["name"]] if "name" in output else []))
    shape = input.get("shape")
    answers = Answers(
        classes, tuple(input.get("preprocessing", ())), str(output.get("kind", "logits")),
        tuple(shape) if shape else None, str(output.get("unit", "")),
    )  # fmt: skip
    folder = Path(folder)
    return _write_program(folder, network, folder.name, answers, card)


def _copied(source: Path, name: str) -> Added:
    bundle = load_bundle(source)
    with _new_model(name or bundle.metadata.name or source.name) as folder:
        for file in (*FILES, "models/SHA256SUMS"):
            if (source / file).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, folder / file)
    return Added(folder.name, user_models_folder() / folder.name)


def _from_file(source: Path, name: str, answers: Answers, trusted: str, arguments: Mapping[str, Any]) -> Added:
    if trusted:
        network = _trusted_network(trusted, arguments)
        state = _state_of(source)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).partition(":")[2].split())[:200]
            raise UserError(f"{source} does not fit {trusted}: {reason}") from error
        with _new_model(name) as folder:
            notes = _write_program(folder, network, name, answers, "")
        return Added(name, user_models_folder() / name, (f"The code of {trusted} was run once, to import it.", *notes))
    if source.suffix not in (".pt2", ".ts", ".pt"):
        raise UserError(f"{source.name} holds weights alone: name the recipe or the trusted class that they belong to.")
    with _new_model(name) as folder:
        suffix = ".pt2" if source.suffix == ".pt2" else ".ts"
        with temporary_folder() as place:
            program = Path(place) / f"model{suffix}"
            shutil.copyfile(source, program)
            write_bundle_folder(folder, _metadata(name, answers), _card(name, ""), program=program)
    return Added(name, user_models_folder() / name)


def _write_program(folder: Path, network: nn.Module, name: str, answers: Answers, card: str) -> tuple[str, ...]:
    metadata = _metadata(name, answers)
    with temporary_folder() as place:
        checked = Path(place) / "configs" / "metadata.json"
        checked.parent.mkdir()
        checked.write_text(json.dumps(metadata), encoding="utf-8")
        input_shape = read_metadata(Path(place)).input_shape
        if input_shape is None:
            raise UserError("The shape of the network's input is not known: give it, or steps that set it.")
        program, note = export_network(network, input_shape, Path(place))
        write_bundle_folder(folder, metadata, _card(name, card), program=program)
    _try_out(load_bundle(folder))
    return (note,) if note else ()


def _metadata(name: str, answers: Answers) -> dict[str, Any]:
    if not answers.classes:
        raise UserError("The outputs have no names: give the classes, or the quantity's name.")
    if not answers.preprocessing:
        raise UserError("How scans are prepared is not said: give the preprocessing steps.")
    own: dict[str, Any] = {"banner": BANNER, "preprocessing": [dict(step) for step in answers.preprocessing]}
    if answers.output == "regression":
        own["output"] = {"kind": "regression", "name": answers.classes[0], "unit": answers.unit}
    else:
        own |= {"output": answers.output, "classes": list(answers.classes)}
    metadata: dict[str, Any] = {
        "name": name, "version": "1.0.0", "description": name, "data_source": answers.training_data,
        "intended_use": "Research. Not for diagnosis.", "license": "not stated", "mri_interpret": own,
    }  # fmt: skip
    if answers.shape is not None:
        image = {"spatial_shape": list(answers.shape)}
        metadata["network_data_format"] = {"inputs": {"image": image}}
    return metadata


def _completed(metadata: dict[str, Any], answers: Answers | None) -> dict[str, Any]:
    """A recipe's metadata with the preprocessing that the user gave, where the recipe cannot know it."""
    own = dict(metadata["mri_interpret"])
    if answers is not None and answers.preprocessing:
        own["preprocessing"] = [dict(step) for step in answers.preprocessing]
    if "preprocessing" not in own:
        raise UserError("This recipe's files do not say how scans are prepared: give the preprocessing steps too.")
    return {**metadata, "mri_interpret": own}


def _card(name: str, card: str) -> str:
    return card or f"# {name}\n\n{BANNER} Added by its user; no further card was given.\n"


def _trusted_network(dotted: str, arguments: Mapping[str, Any]) -> Any:
    from torch import nn

    module, _, name = dotted.rpartition(".")
    if not module:
        raise UserError(f"'{dotted}' is no dotted name such as package.module.Class.")
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{dotted} cannot be imported ({error}): install its package first.") from error
    try:
        network = make(**arguments)
    except Exception as error:  # networks check their arguments in many ways
        raise UserError(f"{dotted} cannot be made from its arguments ({error}).") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{dotted} makes a {type(network).__name__}, not a network.")
    return network


def _state_of(source: Path) -> dict[str, Any]:
    if source.suffix != ".safetensors":
        return read_state(source)
    from safetensors.torch import load_file

    try:
        return load_file(source)
    except Exception as error:  # safetensors' errors have no common base
        raise UserError(f"{source} is damaged: it cannot be read as safetensors.") from error


def _try_out(bundle: ModelBundle) -> None:
    """Run the network once: a program tells the number of its outputs only then."""
    import torch

    shape = bundle.metadata.input_shape
    if shape is None:
        return
    try:
        with torch.no_grad():
            output = bundle.network(torch.zeros(1, *shape))
    except Exception as error:  # whatever a network raises for an input that it cannot take
        sizes = " x ".join(map(str, shape))
        reason = str(error).strip().rpartition("\n")[2][:160]
        raise UserError(f"The network cannot take an input of {sizes} ({reason}).") from error
    if isinstance(output, torch.Tensor) and output.dim() <= 2 and output.numel() != bundle.metadata.output.count:
        raise UserError(
            f"The network returns {output.numel()} values, and {bundle.metadata.output.count} outputs were named "
            f"({', '.join(bundle.metadata.classes)})."
        )


@contextmanager
def _new_model(name: str) -> Iterator[Path]:
    """A folder beside the user's models; it takes its place among them when the block succeeds and it loads."""
    if not _NAME.fullmatch(name) or name.startswith("."):
        raise UserError(f"'{name}' is no name for a model: use letters, digits, '.', '_', '+' and '-'.")
    place = user_models_folder()
    if any(model.name == name for model in list_models()) or (place / name).exists():
        raise UserError(f"There is a model '{name}' already: choose another name, or remove that one first.")
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=place) as aside:
            folder = Path(aside) / name
            yield folder
            _try_out(load_bundle(folder))
            os.replace(folder, place / name)
    except OSError as error:
        raise UserError(f"Cannot write the model {place / name} ({error.strerror or error}).") from error
