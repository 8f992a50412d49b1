"""ClinicaDL 2's networks as data: the settings in model.json to layers, or to MONAI's networks, with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UserError

Settings = Mapping[str, Any]
# ClinicaDL's names of what MONAI's factories make, and torch's.
_ACTIVATIONS = {
    "elu": "ELU", "relu": "ReLU", "leakyrelu": "LeakyReLU", "prelu": "PReLU", "relu6": "ReLU6", "selu": "SELU",
    "celu": "CELU", "gelu": "GELU", "sigmoid": "Sigmoid", "tanh": "Tanh", "mish": "Mish",
}  # fmt: skip
_POOLINGS = {
    "max": "MaxPool3d", "avg": "AvgPool3d", "adaptivemax": "AdaptiveMaxPool3d", "adaptiveavg": "AdaptiveAvgPool3d",
}  # fmt: skip
COVERED = ("CNN", "ResNet", "DenseNet")


class NotCovered(Exception):
    """What of the settings is not understood, as the end of a sentence."""


def network_parts(network: Any, weights: Mapping[str, Any], source: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Target, arguments and weights of a bundle's network.

    Parameters
    ----------
    network
        The object "network" of model.json. What its "output_act" makes of the last layer is not added: the network
        ends in logits, or in the quantity.
    weights
        The state dict under ClinicaDL's names, without "network.".
    source
        The file, for messages.

    Raises
    ------
    UserError
        If it is none of :data:`COVERED`, or has a setting or weights that do not fit.
    """
    name = network.get("name_") if isinstance(network, Mapping) else network
    if not isinstance(network, Mapping) or name not in COVERED:
        raise UserError(f"{source}: ClinicaDL's network {name} is not covered; covered in 3D are {', '.join(COVERED)}.")
    try:
        if name == "CNN":
            layers, names = _cnn(network)
            target, arguments = "mri_interpret.models.layer_list.LayerList", {"layers": layers}
        elif name == "ResNet":
            target, arguments, names = "monai.networks.nets.ResNet", _resnet(network), _resnet_names(weights)
        else:
            target, arguments, names = "monai.networks.nets.DenseNet", _densenet(network), _densenet_names(weights)
    except NotCovered as error:
        raise UserError(f"{source}: {error}.") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{source}: the settings of the network {name} are damaged ({error!r}).") from error
    if set(names) != set(weights):
        odd = sorted(set(names) ^ set(weights))
        raise UserError(f"{source}: the weights do not belong to this {name}: {odd[0]} is in only one of the two.")
    return target, arguments, {names[key]: value for key, value in weights.items()}


def last_activation(network: Settings) -> str:
    """The name of the "output_act", empty if there is none."""
    chosen = network.get("output_act")
    if network.get("name_") == "CNN":
        chosen = (network.get("mlp_args") or {}).get("output_act")
    return "" if chosen is None else _named(chosen)[0]


def _named(setting: Any) -> tuple[str, dict[str, Any]]:
    """An activation, normalisation or pooling: its name in lower case and its arguments."""
    name, arguments = (setting, {}) if isinstance(setting, str) else (setting[0], dict(setting[1]))
    return str(name).lower(), arguments


class _Stack:
    """Layers, and where ClinicaDL's weights go in them."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}

    def add(self, layer: str, name: str, theirs: str = "", weights: Iterable[str] = (), **arguments: Any) -> None:
        self.layers.append({"layer": layer, "name": name, **arguments})
        self.names |= {f"{theirs}.{weight}": f"{name}.{weight}" for weight in weights}

    def activation(self, setting: Any, name: str, theirs: str) -> None:
        kind, arguments = _named(setting)
        if kind not in _ACTIVATIONS:
            raise NotCovered(f"the activation '{kind}' is not covered")
        arguments.pop("inplace", None)
        self.add(_ACTIVATIONS[kind], name, theirs, ("weight",) if kind == "prelu" else (), **arguments)

    def normalisation(self, setting: Any, name: str, theirs: str, channels: int, dense: bool) -> None:
        kind, arguments = _named(setting)
        own = ["weight", "bias"]
        if kind in ("batch", "syncbatch"):  # the same once trained
            own = own if arguments.get("affine", True) else []
            tracked = ["running_mean", "running_var", "num_batches_tracked"]
            own += tracked if arguments.get("track_running_stats", True) else []
            self.add("BatchNorm1d" if dense else "BatchNorm3d", name, theirs, own, num_features=channels, **arguments)
        elif kind == "instance" and not dense:
            if arguments.get("track_running_stats"):
                raise NotCovered("an instance normalisation with running statistics is not covered")
            own = own if arguments.get("affine", False) else []
            self.add("InstanceNorm3d", name, theirs, own, num_features=channels, **arguments)
        elif kind == "group":
            own = own if arguments.get("affine", True) else []
            self.add("GroupNorm", name, theirs, own, num_channels=channels, **arguments)
        elif kind == "layer" and dense:
            own = own if arguments.get("elementwise_affine", True) else []
            self.add("LayerNorm", name, theirs, own, normalized_shape=channels, **arguments)
        else:
            raise NotCovered(f"the normalisation '{kind}' of a {'dense layer' if dense else 'convolution'} is unknown")

    def after(self, settings: Settings, name: str, theirs: str, channels: int, dense: bool = False) -> None:
        """Activation and normalisation in the order that "adn_ordering" says; dropout does nothing once trained."""
        for letter in str(settings["adn_ordering"]):
            if letter == "A" and settings["act"] is not None:
                self.activation(settings["act"], f"{name}_act", f"{theirs}.A")
            elif letter == "N" and settings["norm"] is not None:
                self.normalisation(settings["norm"], f"{name}_norm", f"{theirs}.N", channels, dense)
            elif letter not in "ADN":
                raise NotCovered(f"'adn_ordering' holds the letter {letter}")

    def pooling(self, setting: Any, name: str) -> None:
        kind, arguments = _named(setting)
        if kind not in _POOLINGS:
            raise NotCovered(f"the pooling '{kind}' is not covered")
        self.add(_POOLINGS[kind], name, **arguments)


def _cnn(network: Settings) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A stack of convolutions, then dense layers."""
    inputs, *shape = (int(number) for number in network["in_shape"])
    _check_input(len(shape), inputs)
    stack, convolutional = _Stack(), network["conv_args"]
    channels = [int(number) for number in convolutional["channels"]]
    pooled = sorted(convolutional["pooling_indices"] or []) if convolutional["pooling"] else []
    poolings = dict(zip(pooled, convolutional["pooling"] or [], strict=bool(pooled)))
    if -1 in poolings:
        stack.pooling(poolings[-1], "init_pool")
    for number, outputs in enumerate(channels):
        theirs, name = f"convolutions.layer{number}", f"convolution{number}"
        setting = {key: list(convolutional[key][number]) for key in ("kernel_size", "stride", "padding", "dilation")}
        bias = bool(convolutional["bias"])
        stack.add(
            "Conv3d", name, f"{theirs}.conv", ("weight", "bias") if bias else ("weight",), in_channels=inputs,
            out_channels=outputs, bias=bias, **setting,
        )  # fmt: skip
        if number < len(channels) - 1:
            stack.after(convolutional, name, f"{theirs}.adn", outputs)
        if number in poolings:
            stack.pooling(poolings[number], f"pool{number}")
        inputs = outputs
    if convolutional.get("output_act") is not None:
        stack.activation(convolutional["output_act"], "convolutions_act", "convolutions.output_act")
    stack.add("Flatten", "flatten")
    _dense(stack, network, inputs * _voxels(stack.layers, shape))
    return stack.layers, stack.names


def _dense(stack: _Stack, network: Settings, features: int) -> None:
    dense = network["mlp_args"]
    bias = bool(dense["bias"])
    weights = ("weight", "bias") if bias else ("weight",)
    for number, width in enumerate(dense["hidden_dims"]):
        theirs, name = f"mlp.hidden{number}", f"dense{number}"
        stack.add("Linear", name, f"{theirs}.linear", weights, in_features=features, out_features=int(width), bias=bias)
        stack.after(dense, name, f"{theirs}.adn", int(width), dense=True)
        features = int(width)
    outputs = int(network["num_outputs"])
    stack.add("Linear", "output", "mlp.output.linear", weights, in_features=features, out_features=outputs, bias=bias)


def _voxels(layers: list[dict[str, Any]], shape: list[int]) -> int:
    """How many voxels a channel has after the layers; found on torch's meta device, which holds no numbers."""
    import torch

    from ..layer_list import LayerList

    convolutional = [entry for entry in layers if entry["layer"] != "Flatten"]
    try:
        with torch.device("meta"):
            network = LayerList(convolutional).eval()
            channels = next((entry["in_channels"] for entry in layers if entry["layer"] == "Conv3d"), 1)
            found = network(torch.empty(1, channels, *shape))
    except (RuntimeError, ValueError) as error:
        size = " x ".join(map(str, shape))
        raise NotCovered(f"an image of {size} voxels does not pass the layers ({error})") from error
    return int(found[0, 0].numel())


def _check_input(dimensions: int, channels: int) -> None:
    if dimensions != 3:
        raise NotCovered(f"the network takes images of {dimensions} dimensions, and 3 are needed")
    if channels != 1:
        raise NotCovered(f"the network takes {channels} channels, and T1-weighted images have one")


def _resnet(network: Settings) -> dict[str, Any]:
    """MONAI's ResNet, which ClinicaDL's is adapted from: the same operations under other names."""
    _check_input(int(network["spatial_dims"]), int(network["in_channels"]))
    kind, blocks, features = str(network["block_type"]), list(network["n_res_blocks"]), list(network["n_features"])
    reduction = int(network["bottleneck_reduction"])
    if len(blocks) != 4 or len(features) != 4:
        raise NotCovered(f"a ResNet of {len(blocks)} stages is not covered, only one of four")
    if kind == "bottleneck" and reduction != 4:
        raise NotCovered(f"a bottleneck reduction of {reduction} is not covered, only 4")
    if _named(network["act"])[0] != "relu":
        raise NotCovered(f"the activation '{_named(network['act'])[0]}' of a ResNet is not covered, only relu")
    planes = [int(number) // (reduction if kind == "bottleneck" else 1) for number in features]
    return {
        "block": kind, "layers": blocks, "block_inplanes": planes, "spatial_dims": 3, "n_input_channels": 1,
        "conv1_t_size": list(network["init_conv_size"]), "conv1_t_stride": list(network["init_conv_stride"]),
        "num_classes": _outputs(network), "bias_downsample": False,
    }  # fmt: skip


def _outputs(network: Settings) -> int:
    if network["num_outputs"] is None:
        raise NotCovered("the network ends in a map of features, without outputs")
    return int(network["num_outputs"])


def _resnet_names(weights: Iterable[str]) -> dict[str, str]:
    renamed = {}
    for name in weights:
        parts = name.split(".")
        if parts[0] in ("conv0", "norm0"):
            parts[0] = {"conv0": "conv1", "norm0": "bn1"}[parts[0]]
        elif parts[0] == "fc":
            parts = [part for part in parts if part != "out"]
        renamed[name] = ".".join("bn" + part[4:] if part[:4] == "norm" else part for part in parts)
    return renamed


def _densenet(network: Settings) -> dict[str, Any]:
    """MONAI's DenseNet, which ClinicaDL's is made of."""
    _check_input(int(network["spatial_dims"]), int(network["in_channels"]))
    activation, arguments = _named(network["act"])
    if activation not in _ACTIVATIONS or activation == "prelu":
        raise NotCovered(f"the activation '{activation}' of a DenseNet is not covered")
    return {
        "spatial_dims": 3, "in_channels": 1, "out_channels": _outputs(network),
        "init_features": int(network["init_features"]), "growth_rate": int(network["growth_rate"]),
        "block_config": list(network["n_dense_layers"]), "bn_size": int(network["bottleneck_factor"]),
        "act": [activation, arguments],
    }  # fmt: skip


def _densenet_names(weights: Iterable[str]) -> dict[str, str]:
    return {name: name.replace("fc.", "class_layers.", 1) if name.startswith("fc.") else name for name in weights}
