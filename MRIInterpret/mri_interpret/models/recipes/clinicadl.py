"""A ClinicaDL output folder (MAPS): its 3D networks, with its own record of the preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError
from .clinicadl_2 import read_clinicadl_2
from .clinicadl_2_transforms import CROPPED, UNCROPPED, t1_linear
from .recipe import Imported, Recipe, read_state

# Channels are 8, 16, 32, 64, 128 in all of them; what differs is the way down and the width of the dense layers.
_DENSE = {
    "Conv5_FC3": (1300, 50), "Conv4_FC3": (50, 40), "Stride_Conv5_FC3": (1300, 50), "Conv5_FC3_SSDA": (1300, 50),
}  # fmt: skip
_CHANNELS = (8, 16, 32, 64, 128)
# Residual networks, and whether they are gated; ClinicaDL makes them for its cropped images of two classes only.
_RESIDUAL = {"ResNet3D": False, "SqueezeExcitationCNN": True}
_COVERED = (*_DENSE, *_RESIDUAL)
_2D = ("resnet18",)
# Domain adaptation trains a head for each of two domains beside one that tells them apart.
_HEADS = {"source": "fc_class_source", "target": "fc_class_target"}


class ClinicaDL(Recipe):
    """One split of a trained network; classification or regression on whole images after t1-linear.

    Versions 1.x write maps.json; version 2 writes model.json, which :mod:`.clinicadl_2` reads.
    """

    name = "clinicadl"
    title = "A network trained with ClinicaDL (its output folder, MAPS)"
    source = "the MAPS folder that ClinicaDL wrote, with maps.json (1.x) or model.json (2)"
    reference = "Thibeau-Sutre et al. 2022, ClinicaDL, Comput Methods Programs Biomed 220"
    options: ClassVar[dict[str, str]] = {
        "split": "0", "selection": "best-loss", "unit": "", "classes": "", "domain": "",
    }  # fmt: skip

    def read(self, source: Path, options: Mapping[str, str]) -> Imported:
        chosen = self.checked(options)
        if (source / "model.json").is_file() and not (source / "maps.json").is_file():
            if chosen["domain"]:
                raise UserError(
                    f"{source}: networks of ClinicaDL 2 have one head, so the option 'domain' has no meaning."
                )
            return read_clinicadl_2(source, chosen)
        if chosen["classes"]:
            raise UserError(f"{source}: maps.json names the classes, so the option 'classes' has no meaning.")
        record = _record(source)
        architecture = str(record.get("architecture", record.get("model")))
        if architecture not in _COVERED:
            why = "takes 2D images" if architecture in _2D else "is not covered"
            raise UserError(f"{source}: ClinicaDL's network {architecture} {why}; covered are {', '.join(_COVERED)}.")
        if record.get("mode", "image") != "image":
            raise UserError(f"{source}: the network works on a {record['mode']}, not on the whole image.")
        shape = _input_shape(source, record)
        weights = _of_one_head(source, architecture, chosen["domain"], read_state(_weights(source, chosen)))
        if architecture in _RESIDUAL:
            if shape != CROPPED["shape"]:
                size = " x ".join(map(str, shape))
                raise UserError(f"{source}: ClinicaDL's {architecture} takes 169 x 208 x 179 voxels, not {size}.")
            target = "mri_interpret.models.pooled_residual_network.PooledResidualNetwork"
            arguments: dict[str, Any] = {"shape": shape, "gated": _RESIDUAL[architecture]}
            renamed = _residual_names(source, weights)
        else:
            target = "mri_interpret.models.layer_list.LayerList"
            arguments = {"layers": _layers(source, architecture, shape, record, weights)}
            renamed = _renamed(source, arguments["layers"], weights)
        return Imported(
            target=target,
            arguments=arguments,
            weights=renamed,
            metadata={
                "name": f"clinicadl_{source.resolve().name}",
                "version": "1.0.0",
                "description": f"{architecture} trained with ClinicaDL, split {chosen['split']}, {chosen['selection']}",
                "data_source": "as the MAPS folder records it",
                "intended_use": "Research. Not for diagnosis.",
                "license": "not stated",
                "mri_interpret": {
                    "banner": "Research use only, not for diagnosis. Trained with ClinicaDL by its owner.",
                    **_output(source, record, chosen["unit"]),
                    "preprocessing": _preprocessing(source, record, shape),
                },
            },
            card=f"# {architecture}, trained with ClinicaDL\n\nResearch use only, not for diagnosis. Split "
            f"{chosen['split']}, selected by {chosen['selection']}.\n",
            notes=("t1-linear's registration by ANTs is replaced by this project's affine registration.",),
        )


def _record(source: Path) -> dict[str, Any]:
    path = source / "maps.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{source} holds neither maps.json nor model.json: give the folder that ClinicaDL wrote."
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} must hold a JSON object.")
    return record


def _input_shape(source: Path, record: dict[str, Any]) -> list[int]:
    size = record.get("input_size")
    if isinstance(size, str):  # "1@169x208x179"
        channels, _, rest = size.partition("@")
        size = [channels, *rest.split("x")]
    try:
        numbers = [int(value) for value in size or []]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or numbers[0] != 1:
        raise UserError(f"{source}: maps.json gives no 3D input of one channel ('input_size' is {size!r}).")
    return numbers[1:]


def _weights(source: Path, chosen: Mapping[str, str]) -> Path:
    for prefix in ("split", "fold"):  # versions before 1.1 called it a fold
        path = source / f"{prefix}-{chosen['split']}" / chosen["selection"] / "model.pth.tar"
        if path.is_file():
            return path
    raise UserError(f"{source} holds no split-{chosen['split']}/{chosen['selection']}/model.pth.tar.")


def _layers(
    source: Path, architecture: str, shape: list[int], record: dict[str, Any], weights: Mapping[str, Any]
) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    strided = architecture.startswith("Stride")
    inputs, size = 1, list(shape)
    for number, outputs in enumerate(_CHANNELS):
        name = f"convolution{number + 1}"
        layers.append(
            {
                "layer": "Conv3d", "name": name, "in_channels": inputs, "out_channels": outputs, "kernel_size": 3,
                "padding": 1, "stride": 2 if strided else 1,
            }
        )  # fmt: skip
        layers.append({"layer": "BatchNorm3d", "name": f"norm{number + 1}", "num_features": outputs})
        layers.append({"layer": "ReLU", "name": f"relu{number + 1}"})
        if not strided:
            layers.append({"layer": "PadMaxPool3d", "name": f"pool{number + 1}", "kernel_size": 2, "stride": 2})
        inputs, size = outputs, [-(-length // 2) for length in size]
    features = inputs * size[0] * size[1] * size[2]
    layers.append({"layer": "Flatten", "name": "flatten"})
    widths = [*_DENSE[architecture], int(record.get("output_size", 2))]
    for number, width in enumerate(widths, start=1):
        layers.append({"layer": "Linear", "name": f"dense{number}", "in_features": features, "out_features": width})
        if number < len(widths):
            layers.append({"layer": "ReLU", "name": f"dense{number}_relu"})
        features = width
    return layers


def _renamed(source: Path, layers: list[dict[str, Any]], weights: Mapping[str, Any]) -> dict[str, Any]:
    """The weights under this project's names: layers with weights come in the same order in both."""
    own = [entry["name"] for entry in layers if entry["layer"] in ("Conv3d", "BatchNorm3d", "Linear")]
    theirs = list(dict.fromkeys(name.rpartition(".")[0] for name in weights))
    if len(own) != len(theirs):
        raise UserError(f"{source}: the weights hold {len(theirs)} layers, and the network has {len(own)}.")
    names = dict(zip(theirs, own, strict=True))
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in weights.items()}


def _of_one_head(source: Path, architecture: str, domain: str, weights: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights without the heads of other domains."""
    if architecture != "Conv5_FC3_SSDA":
        if domain:
            raise UserError(
                f"{source}: the network {architecture} has one head, so the option 'domain' has no meaning."
            )
        return weights
    if domain not in _HEADS:
        raise UserError(
            f"{source}: the network has a head for each domain: say which as the recipe's option 'domain', source or "
            "target, such as domain=target."
        )
    kept = ("convolutions.", f"{_HEADS[domain]}.")
    return {name: value for name, value in weights.items() if name.startswith(kept)}


def _residual_names(source: Path, weights: Mapping[str, Any]) -> dict[str, Any]:
    """ClinicaDL's convolutions.STAGE.0.PART and fc.NUMBER under this project's names."""
    dense = iter(("dense1", "dense2"))
    ours: dict[str, str] = {}
    for layer in dict.fromkeys(name.rpartition(".")[0] for name in weights):
        parts = layer.split(".")
        if parts[0] == "convolutions" and len(parts) >= 4 and parts[1].isdigit():
            inner = ".".join(parts[3:]).replace("shortcut.0", "shortcut")
            inner = inner.replace("se_block.fc1", "gate.fc.0").replace("se_block.fc2", "gate.fc.2")
            ours[layer] = f"stages.{2 * int(parts[1])}.{inner}"
        elif parts[0] == "fc" and (found := next(dense, None)):
            ours[layer] = found
        else:
            raise UserError(f"{source}: the weights hold the layer {layer}, which the network has not.")
    return {f"{ours[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in weights.items()}


def _output(source: Path, record: dict[str, Any], unit: str) -> dict[str, Any]:
    task = record.get("network_task", "classification")
    if task == "regression":
        name = str(record.get("label", "value"))
        if not unit:
            raise UserError(
                f"{source}: maps.json does not tell the unit of the {name}: give it as the recipe's option 'unit', "
                "such as unit=years, or unit=1 for a score that has none."
            )
        return {"output": {"kind": "regression", "name": name, "unit": unit}}
    codes = record.get("label_code") or {}
    if task != "classification" or not isinstance(codes, dict) or not codes:
        raise UserError(f"{source}: maps.json tells no classes (network_task {task!r}, label_code {codes!r}).")
    classes = [name for name, _ in sorted(codes.items(), key=lambda item: int(item[1]))]
    return {"output": "logits", "classes": classes}


def _preprocessing(source: Path, record: dict[str, Any], shape: list[int]) -> list[dict[str, Any]]:
    about = record.get("preprocessing_dict") or {}
    name = about.get("preprocessing", record.get("preprocessing"))
    if name != "t1-linear":
        raise UserError(f"{source}: scans preprocessed by {name!r} cannot be made here; t1-linear can.")
    grid = next((grid for grid in (CROPPED, UNCROPPED) if grid["shape"] == shape), None)
    if grid is None:
        raise UserError(f"{source}: an input of {' x '.join(map(str, shape))} voxels is not t1-linear's whole image.")
    steps = t1_linear(grid)
    normalised = record.get("normalize", record.get("minmaxnormalization", True))
    if normalised:
        steps.append({"step": "intensity", "method": "minmax", "over": "volume"})
    return steps
