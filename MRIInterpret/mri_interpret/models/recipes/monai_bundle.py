"""A bundle as MONAI's model zoo has them, whose metadata knows nothing of this project: 3D classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError
from ...preprocessing.steps.monai_chain import read_monai_chain
from ..bundle import check_inside
from ..metadata import read_json
from .monai_config import plain_value, read_config
from .recipe import OUTPUT_OPTIONS, Imported, Recipe, output_said, read_state

_BANNER = "Research use only, not for diagnosis."
_CLASSES = ("classes", "labels", "probabilities", "logits")  # what zoo bundles call a classifier's output format


def is_foreign_bundle(folder: Path) -> bool:
    """Whether a folder is a MONAI bundle that says nothing to this project in particular."""
    path = folder / "configs" / "metadata.json"
    return path.is_file() and "mri_interpret" not in read_json(path)


class MonaiBundle(Recipe):
    """Network, transforms and class names from the bundle's own files: references are followed, nothing evaluated."""

    name = "monai"
    title = "A bundle of MONAI's model zoo that is a 3D classifier"
    source = "the bundle's folder, with configs/metadata.json, configs/inference.json or .yaml, and models/model.pt"
    reference = "MONAI Bundle specification, https://docs.monai.io/en/stable/mb_specification.html"
    options: ClassVar[dict[str, str]] = {"classes": "", "weights": "models/model.pt", **OUTPUT_OPTIONS}

    def read(self, source: Path, options: Mapping[str, str]) -> Imported:
        chosen = self.checked(options)
        path = source / "configs" / "metadata.json"
        if not path.is_file():
            raise UserError(f"{source} holds no configs/metadata.json: give the folder of a MONAI bundle.")
        check_inside(source, path)
        metadata = read_json(path)
        config, config_path = read_config(source)
        check_inside(source, config_path)
        target, arguments = _network(config, config_path)
        _check_input(metadata, arguments, path)
        pred = _place(metadata, "network_data_format", "outputs", "pred")
        pred = pred if isinstance(pred, Mapping) else {}
        names = [name.strip() for name in chosen["classes"].split(",") if name.strip()] or _channel_names(pred)
        said = output_said(chosen, names, 0, path)
        output, words = (said, _words(said, names)) if said else _output(pred, config, arguments, path, names)
        transforms = plain_value(config, "preprocessing", config_path)
        if transforms is None:
            raise UserError(f"{config_path}: 'preprocessing' is missing: how scans are prepared is not said.")
        transforms = _listed(transforms, config_path)
        read_monai_chain(transforms, str(config_path))  # refused now, and by the name of its own file
        name = str(metadata.get("name") or source.resolve().name)
        own_shape = _shape(metadata)
        return Imported(
            target=target,
            arguments=arguments,
            weights=read_state(_weights(source, chosen["weights"])),
            metadata={
                "name": name,
                "version": str(metadata.get("version", "not stated")),
                "description": str(metadata.get("description", name)),
                "data_source": str(metadata.get("data_source", "not stated")),
                "intended_use": str(metadata.get("intended_use", "Research. Not for diagnosis.")),
                "license": str(metadata.get("license", metadata.get("copyright", "not stated"))),
                **({"network_data_format": {"inputs": {"image": {"spatial_shape": own_shape}}}} if own_shape else {}),
                "mri_interpret": {"banner": f"{_BANNER} From MONAI's model zoo or in its form.", **output},
            },
            card=_card(source, name),
            notes=(words, "Whether scans were skull-stripped in training is not said: they are taken as they are."),
            transforms=transforms,
        )


def _network(config: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    definition = plain_value(config, "network_def", path)
    if not isinstance(definition, dict) or not isinstance(definition.get("_target_"), str):
        raise UserError(f"{path}: 'network_def' with the network's '_target_' is missing.")
    if definition.get("_disabled_") not in (None, False) or definition.get("_mode_", "default") != "default":
        raise UserError(f"{path}: 'network_def' is disabled or no plain network ('_disabled_', '_mode_').")
    arguments = {key: value for key, value in definition.items() if not key.startswith("_")}
    if arguments.get("pretrained"):
        arguments["pretrained"] = False  # it would be fetched, and the bundle's own weights replace it anyway
    return definition["_target_"], arguments


def _check_input(metadata: Mapping[str, Any], arguments: Mapping[str, Any], path: Path) -> None:
    dimensions = arguments.get("spatial_dims", 3)
    if dimensions != 3:
        raise UserError(f"{path.parent.parent} is a {dimensions}D network: only 3D ones can take a scan.")
    image = _place(metadata, "network_data_format", "inputs", "image")
    channels = image.get("num_channels", 1) if isinstance(image, Mapping) else 1
    if channels != 1:
        raise UserError(
            f"{path}: the network takes {channels} channels, and MONAI's transforms are followed for one image alone: "
            "write its steps under 'mri_interpret.preprocessing' instead."
        )


def _output(
    pred: Mapping[str, Any], config: Mapping[str, Any], arguments: Mapping[str, Any], path: Path, names: list[str]
) -> tuple[dict[str, Any], str]:
    """The metadata's entries on a classifier's outputs, and what was concluded, as a sentence."""
    form = str(pred.get("format", "classes")).lower()
    if form not in _CLASSES:
        raise UserError(
            f"{path}: the output's format is '{form}', so this is no classifier: if it returns a quantity, say so "
            "with the option 'output', as 'regression' with the quantity's name and 'unit'."
        )
    if not names:
        raise UserError(
            f"{path} does not name the classes (network_data_format.outputs.pred.channel_def): give the classes too."
        )
    activation = _activation(config)
    one = 1 in (arguments.get("out_channels"), arguments.get("num_classes"))
    several = activation == "sigmoid" and not one
    kind = "labels" if several else "logit" if one and activation != "softmax" else "logits"
    entries = {"output": kind, "classes": names}
    return entries, _words(entries, names)


def _words(entries: Mapping[str, Any], names: list[str]) -> str:
    kind = entries["output"] if isinstance(entries["output"], str) else "a regression"
    return f"Its outputs are taken as {kind} of {', '.join(names)}."


def _channel_names(pred: Mapping[str, Any]) -> list[str]:
    channels = pred.get("channel_def")
    if not isinstance(channels, Mapping) or sorted(channels) != sorted(str(number) for number in range(len(channels))):
        return []
    return [str(channels[str(number)]) for number in range(len(channels))]


def _activation(config: Mapping[str, Any]) -> str:
    """What MONAI's postprocessing makes of the outputs: "softmax", "sigmoid" or nothing that is said plainly."""
    postprocessing = config.get("postprocessing")
    transforms = postprocessing.get("transforms") if isinstance(postprocessing, Mapping) else None
    for one in transforms if isinstance(transforms, list) else []:
        if isinstance(one, Mapping) and str(one.get("_target_", "")).rpartition(".")[2] in (
            "Activationsd",
            "Activations",
        ):
            for name in ("softmax", "sigmoid"):
                if one.get(name) is True:
                    return name
    return ""


def _listed(transforms: Any, path: Path) -> dict[str, Any]:
    """A Compose of transforms; a bare list of them is one too."""
    if isinstance(transforms, list):
        return {"_target_": "Compose", "transforms": transforms}
    if not isinstance(transforms, dict):
        raise UserError(f"{path}: 'preprocessing' must be a Compose with a list of 'transforms'.")
    return transforms


def _shape(metadata: Mapping[str, Any]) -> list[int] | None:
    shape = _place(metadata, "network_data_format", "inputs", "image", "spatial_shape")
    sound = isinstance(shape, list) and len(shape) == 3 and all(isinstance(size, int) and size > 0 for size in shape)
    return shape if sound else None


def _weights(source: Path, name: str) -> Path:
    path = source / name
    check_inside(source, path)
    if not path.is_file():
        raise UserError(
            f"{path} is missing: the zoo keeps weights apart (large_files.yml names them); fetch them first."
        )
    return path


def _card(source: Path, name: str) -> str:
    own = source / "docs" / "README.md"
    check_inside(source, own)
    text = own.read_text(encoding="utf-8", errors="replace") if own.is_file() else ""
    return f"# {name}\n\n{_BANNER} What follows is the card of the bundle that it was added from.\n\n{text}\n"


def _place(record: Any, *keys: str) -> Any:
    for key in keys:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record
