"""ClinicaDL 2's networks as data: from the settings in model.json to networks, with their weights."""

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
COVERED = ("CNN", "ResNet", "SEResNet", "DenseNet", "ViT")
_OWN = "mri_interpret.models"


class NotCovered(Exception):
    """What of the settings is not understood, as the end of a sentence."""


def network_parts(
    network: Any, weights: Mapping[str, Any], source: str, keeps_last: bool = False
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Target, arguments and weights of a bundle's network.

    Parameters
    ----------
    network
        The object "network" of model.json.
    weights
        The state dict under ClinicaDL's names, without "network.".
    source
        The file, for messages.
    keeps_last
        Whether the network ends in its "output_act"; otherwise that is left away, and the network ends in logits.

    Raises
    ------
    UserError
        If it is none of :data:`COVERED`, or has a setting or weights that do not fit.
    """
    name = network.get("name_") if isinstance(network, Mapping) else network
    if not isinstance(network, Mapping) or name not in COVERED:
        raise UserError(f"{source}: ClinicaDL's network {name} is not covered; covered in 3D are {', '.join(COVERED)}.")
    try:
        last = _activation(_output_act(network)) if keeps_last else None
        if name == "CNN":
            layers, names = _cnn(network)
            layers += [] if last is None else [{**last, "name": "output_act"}]
            target, arguments = f"{_OWN}.layer_list.LayerList", {"layers": layers}
        elif name in ("ResNet", "SEResNet"):
            target, arguments = f"{_OWN}.residual_network.ResidualNetwork", _resnet(network) | {"last": last}
            names = {key: key.replace("fc.out.", "fc.") for key in weights}
        elif name == "ViT":
            target, arguments = f"{_OWN}.vision_transformer.VisionTransformer", _vit(network) | {"last": last}
            names = _vit_names(weights)
        else:
            if last is not None:
                raise NotCovered(f"the activation '{last_activation(network)}' at the end of a DenseNet is not covered")
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
    chosen = _output_act(network)
    return "" if chosen is None else _named(chosen)[0]


def is_pointwise(activation: str) -> bool:
    """Whether an activation of that name takes each output by itself, and can stand at a network's end here."""
    return activation in _ACTIVATIONS and activation != "prelu"


def _output_act(network: Settings) -> Any:
    return (
        (network.get("mlp_args") or {}).get("output_act")
        if network.get("name_") == "CNN"
        else network.get("output_act")
    )


def _activation(setting: Any) -> dict[str, Any]:
    """An activation without weights as an entry of a list of layers."""
    kind, arguments = _named(setting)
    if not is_pointwise(kind):
        raise NotCovered(f"the activation '{kind}' is not covered")
    arguments.pop("inplace", None)
    return {"layer": _ACTIVATIONS[kind], **arguments}


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
    """With or without squeeze-and-excitation; the weights have ClinicaDL's names but for the last layer."""
    _check_input(int(network["spatial_dims"]), int(network["in_channels"]))
    return {
        "in_channels": 1, "num_outputs": _outputs(network), "blocks": list(network["n_res_blocks"]),
        "features": list(network["n_features"]), "act": _activation(network["act"]),
        "bottleneck": int(network["bottleneck_reduction"]) if str(network["block_type"]) == "bottleneck" else None,
        "gate": int(network["se_reduction"]) if network["name_"] == "SEResNet" else None,
        "first_kernel": list(network["init_conv_size"]), "first_stride": list(network["init_conv_stride"]),
    }  # fmt: skip


def _outputs(network: Settings) -> int:
    if network["num_outputs"] is None:
        raise NotCovered("the network ends in a map of features, without outputs")
    return int(network["num_outputs"])


def _vit(network: Settings) -> dict[str, Any]:
    inputs, *shape = (int(number) for number in network["in_shape"])
    _check_input(len(shape), inputs)
    patch = network["patch_size"]
    return {
        "in_channels": 1, "shape": shape, "patch": [patch] * 3 if isinstance(patch, int) else list(patch),
        "num_outputs": _outputs(network), "width": int(network["embedding_dim"]), "blocks": int(network["num_layers"]),
        "heads": int(network["num_heads"]), "hidden": int(network["mlp_dim"]),
    }  # fmt: skip


def _vit_names(weights: Iterable[str]) -> dict[str, str]:
    """Of each dense layer within a block, dropouts left out of the numbering; an embedding by formula is stored too."""
    renamed = {}
    for name in weights:
        ours = name.removeprefix("encoder.").replace("fc.out.", "out.")
        renamed[name] = ours.replace(".mlp.3.", ".mlp.2.")
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
