"""A Keras model in one HDF5 file: a plain stack of layers, read with h5py alone, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import UserError
from .recipe import OUTPUT_OPTIONS, Imported, Recipe, output_said

if TYPE_CHECKING:
    import h5py

_ACTIVATIONS: dict[str, dict[str, Any]] = {
    "relu": {"layer": "ReLU"},
    "leaky_relu": {"layer": "LeakyReLU", "negative_slope": 0.2},
    "elu": {"layer": "ELU"},
    "gelu": {"layer": "GELU"},
    "swish": {"layer": "SiLU"},
    "silu": {"layer": "SiLU"},
    "sigmoid": {"layer": "Sigmoid"},
    "tanh": {"layer": "Tanh"},
    "softplus": {"layer": "Softplus"},
    "softmax": {"layer": "Softmax", "dim": 1},
}
_NOTHING = ("Dropout", "SpatialDropout3D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization")


class KerasHdf5(Recipe):
    """Conv3D, BatchNormalization, activations, pooling, Flatten, Dense and Dropout, one after the other."""

    name = "keras"
    title = "A Keras model in an HDF5 file (.h5, .hdf5)"
    source = "the file that model.save(...) wrote, with its architecture and weights"
    reference = "for instance the grey-matter networks of Dyrba et al. 2021, Alzheimers Res Ther 13"
    options: ClassVar[dict[str, str]] = {"classes": "", **OUTPUT_OPTIONS}
    takes_file = True
    says_preprocessing = False

    def read(self, source: Path, options: Mapping[str, str]) -> Imported:
        chosen = self.checked(options)
        try:
            import h5py
        except ImportError as error:
            raise UserError("h5py, which reads Keras files, is missing: pip install h5py") from error
        try:
            with h5py.File(source, "r") as file:
                stack = _Stack(source, file)
                stack.build()
        except OSError as error:
            raise UserError(f"{source} cannot be read as an HDF5 file ({error}).") from error
        classes = [name.strip() for name in chosen["classes"].split(",") if name.strip()]
        meaning = output_said(chosen, classes, stack.outputs, source) or _meaning(stack, classes)
        return Imported(
            target="mri_interpret.models.layer_list.LayerList",
            arguments={"layers": stack.layers},
            weights=stack.weights,
            metadata={
                "name": source.stem.replace(".", "_"),
                "version": "1.0.0",
                "description": f"Keras network from {source.name}",
                "data_source": "not stated",
                "intended_use": "Research. Not for diagnosis.",
                "license": "not stated",
                "network_data_format": {"inputs": {"image": {"spatial_shape": stack.shape, "num_channels": 1}}},
                "mri_interpret": {
                    "banner": "Research use only, not for diagnosis. Trained by its owner.",
                    **meaning,
                },
            },
            card=f"# {source.name}\n\nResearch use only, not for diagnosis. Imported from a Keras file.\n",
            notes=(
                "A Keras file says nothing of how scans were prepared: that is taken from your answers.",
                "Keras indexes the image (i, j, k, channel); the axes are taken in the file's order.",
            ),
        )


def _meaning(stack: _Stack, classes: list[str]) -> dict[str, Any]:
    """What the outputs are, told by the last layer: the metadata's entries."""
    if classes and len(classes) != stack.outputs:
        raise UserError(f"{stack.source} has {stack.outputs} outputs, and {len(classes)} classes were named.")
    last = stack.layers[-1]["layer"]
    if stack.outputs == 1 and last not in ("Softmax", "Sigmoid"):
        raise UserError(
            f"{stack.source} ends in one unit without a sigmoid, and does not say what it is: give it with the option "
            "'output', as 'regression' with the quantity's name and 'unit', or as 'logit', the log-odds of a class."
        )
    kind = last.lower() if last in ("Softmax", "Sigmoid") else "logits"
    return {"output": kind, "classes": classes or [f"output {i}" for i in range(stack.outputs)]}


class _Stack:
    """The layers of a file, turned into torch's one by one; ``shape`` is the spatial shape so far."""

    def __init__(self, source: Path, file: h5py.File) -> None:
        self.source, self.file = source, file
        self.layers: list[dict[str, Any]] = []
        self.weights: dict[str, Any] = {}
        self.entries = self._entries()
        self.shape = self._input_shape()
        self._spatial: list[int] | None = list(self.shape)
        self._channels = 1
        self._features = 0  # after a Flatten or a global pooling
        self._order: tuple[int, ...] | None = None  # spatial shape and channels that a Flatten joined
        self.outputs = 0

    def _refuse(self, what: str) -> UserError:
        return UserError(f"{self.source}: {what}.")

    def _entries(self) -> list[dict[str, Any]]:
        text = self.file.attrs.get("model_config")
        if text is None:
            raise self._refuse("it holds no architecture (model_config): save the whole model, not its weights alone")
        try:
            config = json.loads(text)
            kind, entries = config["class_name"], config["config"]
            ends = json.dumps(entries.get("output_layers", [])) if isinstance(entries, dict) else "[]"
            entries = entries["layers"] if isinstance(entries, dict) else entries
        except (ValueError, KeyError, TypeError) as error:
            raise self._refuse("its architecture cannot be read") from error
        if kind not in ("Sequential", "Model", "Functional"):
            raise self._refuse(f"its architecture is a {kind}, not a stack of layers")
        if kind != "Sequential":
            self._check_chain(entries)
            if any(f'"{one["name"]}"' in ends for one in entries[:-1]):
                raise self._refuse("it returns what a layer before its last one makes: no plain stack")
        return [entry for entry in entries if isinstance(entry, dict)]

    def _check_chain(self, entries: list[dict[str, Any]]) -> None:
        """A functional model must lead from one layer to the next, without branches."""
        before = None
        for entry in entries:
            nodes = entry.get("inbound_nodes") or []
            text = json.dumps(nodes)
            names = [one["name"] for one in entries if f'"{one["name"]}"' in text]
            if before is not None and (len(nodes) != 1 or names != [before]):
                raise self._refuse(f"layer {entry.get('name')} has other inputs than the layer before: no plain stack")
            before = entry.get("name")

    def _input_shape(self) -> list[int]:
        for entry in self.entries:
            config = entry.get("config", {})
            shape = config.get("batch_input_shape") or config.get("batch_shape")
            if shape:
                if len(shape) != 5 or None in shape[1:] or shape[4] != 1:
                    raise self._refuse(f"its input has the shape {shape[1:]}: a 3D image of one channel is needed")
                return [int(size) for size in shape[1:4]]
        raise self._refuse("its input's shape is not stated")

    def build(self) -> None:
        """Turn every layer, or refuse by name the one that is not covered."""
        for entry in self.entries:
            kind, config = entry["class_name"], entry.get("config", {})
            if config.get("data_format", "channels_last") != "channels_last":
                raise self._refuse(f"layer {config.get('name')} keeps its channels first, which is not covered")
            if kind == "InputLayer" or kind in _NOTHING:
                continue
            if kind not in _TURNS:
                raise self._refuse(f"its layer {config.get('name')} ({kind}) is not covered")
            _TURNS[kind](self, config)
        self.outputs = self._features
        if self._spatial is not None:
            raise self._refuse("it ends in an image, not in scores")
        if self._order is not None and self._order[-1] > 1 and np.prod(self._order[:-1]) > 1:
            size = " x ".join(map(str, self._order[:-1]))
            raise self._refuse(
                f"its outputs are the values of an image of {size} voxels and {self._order[-1]} channels that was "
                "flattened, not scores: end it in a Dense layer or a global pooling"
            )

    def _add(self, layer: str, config: dict[str, Any], suffix: str = "", **arguments: Any) -> str:
        name = str(config["name"]).replace(".", "_").replace("/", "_") + suffix
        self.layers.append({"layer": layer, "name": name, **arguments})
        return name

    def _arrays(self, config: dict[str, Any]) -> dict[str, Any]:
        """Arrays of a layer by the last part of their names."""
        root = self.file.get("model_weights", self.file)
        found: dict[str, Any] = {}
        if config["name"] not in root:
            raise self._refuse(f"the weights of its layer {config['name']} are missing")

        def visit(name: str, value: Any) -> None:
            if hasattr(value, "shape"):
                found[name.rpartition("/")[2].partition(":")[0]] = np.asarray(value, dtype=np.float32)

        root[config["name"]].visititems(visit)
        return found

    def _activation_of(self, config: dict[str, Any]) -> None:
        name = config.get("activation", "linear")
        if isinstance(name, dict):
            name = name.get("config") if isinstance(name.get("config"), str) else name.get("class_name")
        if name in (None, "linear"):
            return
        if name not in _ACTIVATIONS:
            raise self._refuse(f"the activation '{name}' of its layer {config['name']} is not covered")
        arguments: dict[str, Any] = {**_ACTIVATIONS[name]}
        self._add(str(arguments.pop("layer")), config, "_activation", **arguments)

    def _activation(self, config: dict[str, Any]) -> None:
        self._activation_of(config)

    def _relu(self, config: dict[str, Any]) -> None:
        if config.get("max_value") is not None or config.get("threshold") or config.get("negative_slope"):
            raise self._refuse(f"the capped or leaky ReLU {config['name']} is not covered")
        self._add("ReLU", config)

    def _leakyrelu(self, config: dict[str, Any]) -> None:
        slope = config.get("alpha", config.get("negative_slope", 0.3))
        self._add("LeakyReLU", config, negative_slope=float(slope["value"] if isinstance(slope, dict) else slope))

    def _elu(self, config: dict[str, Any]) -> None:
        self._add("ELU", config, alpha=float(config.get("alpha", 1.0)))

    def _softmax(self, config: dict[str, Any]) -> None:
        axis = config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if axis not in (-1, self._last_axis):
            raise self._refuse(f"the softmax {config['name']} is not over channels")
        self._add("Softmax", config, dim=1)

    @property
    def _last_axis(self) -> int:
        """Number of Keras' axis of the channels, or of the features."""
        return 4 if self._spatial is not None else 1

    def _image(self, config: dict[str, Any]) -> list[int]:
        if self._spatial is None:
            raise self._refuse(f"its layer {config['name']} needs an image, and gets a list of features")
        return self._spatial

    def _window(self, config: dict[str, Any], kernel: list[int], stride: list[int]) -> list[int]:
        """Padding before and after each axis in torch's order (last axis first); sets the new spatial shape."""
        size, padding, new = self._image(config), [], []
        for length, width, step in zip(size, kernel, stride, strict=True):
            if config.get("padding", "valid") == "same":
                total = max((-(-length // step) - 1) * step + width - length, 0)
                padding.append((total // 2, total - total // 2))
                new.append(-(-length // step))
            else:
                padding.append((0, 0))
                new.append((length - width) // step + 1)
        self._spatial = new
        return [number for pair in reversed(padding) for number in pair]

    def _conv3d(self, config: dict[str, Any]) -> None:
        if config.get("groups", 1) != 1 or set(config.get("dilation_rate", [1])) != {1}:
            raise self._refuse(f"the grouped or dilated convolution {config['name']} is not covered")
        kernel, stride = list(config["kernel_size"]), list(config.get("strides", [1, 1, 1]))
        padding = self._window(config, kernel, stride)
        if any(padding):
            self._add("ConstantPad3d", config, "_padding", padding=padding, value=0.0)
        arrays = self._arrays(config)
        outputs = int(config["filters"])
        name = self._add(
            "Conv3d", config, in_channels=self._channels, out_channels=outputs, kernel_size=kernel, stride=stride,
            bias="bias" in arrays,
        )  # fmt: skip
        self._store(name, weight=arrays["kernel"].transpose(4, 3, 0, 1, 2), bias=arrays.get("bias"))
        self._channels = outputs
        self._activation_of(config)

    def _batchnormalization(self, config: dict[str, Any]) -> None:
        arrays = {key: self._channels_first(value) for key, value in self._arrays(config).items()}
        features = self._channels if self._spatial is not None else self._features
        axis = config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) else axis
        if axis not in (-1, self._last_axis):
            raise self._refuse(f"the normalisation {config['name']} is not over channels")
        kind = "BatchNorm3d" if self._spatial is not None else "BatchNorm1d"
        name = self._add(kind, config, num_features=features, eps=float(config.get("epsilon", 1e-3)))
        self._store(
            name,
            weight=arrays.get("gamma", np.ones(features, np.float32)),
            bias=arrays.get("beta", np.zeros(features, np.float32)),
            running_mean=arrays["moving_mean"],
            running_var=arrays["moving_variance"],
            num_batches_tracked=np.array(0),
        )

    def _pool(self, config: dict[str, Any], layer: str) -> None:
        kernel = list(config.get("pool_size", [2, 2, 2]))
        stride = list(config.get("strides") or kernel)
        padding = self._window(config, kernel, stride)
        if any(padding) and layer == "AvgPool3d":
            raise self._refuse(f"the average pooling {config['name']} with padding is not covered")
        if any(padding):
            self._add("ConstantPad3d", config, "_padding", padding=padding, value=float("-inf"))
        self._add(layer, config, kernel_size=kernel, stride=stride)

    def _maxpooling3d(self, config: dict[str, Any]) -> None:
        self._pool(config, "MaxPool3d")

    def _averagepooling3d(self, config: dict[str, Any]) -> None:
        self._pool(config, "AvgPool3d")

    def _global(self, config: dict[str, Any], layer: str) -> None:
        self._image(config)
        if config.get("keepdims"):
            raise self._refuse(f"the global pooling {config['name']} keeps its axes, which is not covered")
        self._add(layer, config, output_size=1)
        self._add("Flatten", config, "_flatten")
        self._spatial, self._features = None, self._channels

    def _globalaveragepooling3d(self, config: dict[str, Any]) -> None:
        self._global(config, "AdaptiveAvgPool3d")

    def _globalmaxpooling3d(self, config: dict[str, Any]) -> None:
        self._global(config, "AdaptiveMaxPool3d")

    def _flatten(self, config: dict[str, Any]) -> None:
        size = self._image(config)
        self._add("Flatten", config)
        self._order = (*size, self._channels)
        self._features, self._spatial = int(np.prod(self._order)), None

    def _dense(self, config: dict[str, Any]) -> None:
        if self._spatial is not None:
            raise self._refuse(f"the dense layer {config['name']} works on an image, which is not covered")
        arrays, outputs = self._arrays(config), int(config["units"])
        kernel = arrays["kernel"]
        kernel = self._channels_first(kernel)
        self._order = None
        name = self._add(
            "Linear", config, in_features=self._features, out_features=outputs, bias="bias" in arrays
        )  # fmt: skip
        self._store(name, weight=kernel.T, bias=arrays.get("bias"))
        self._features = outputs
        self._activation_of(config)

    def _channels_first(self, array: Any) -> Any:
        """One row for each feature, in torch's order: Keras flattens with the channels last, torch with them first."""
        if self._order is None:
            return array
        rest = array.shape[1:]
        return array.reshape(*self._order, *rest).transpose(3, 0, 1, 2, *range(4, 4 + len(rest))).reshape(-1, *rest)

    def _store(self, name: str, **arrays: Any) -> None:
        import torch

        for key, value in arrays.items():
            if value is not None:
                self.weights[f"{name}.{key}"] = torch.from_numpy(np.ascontiguousarray(value))


#: By Keras' name of the layer. Whatever is not here is refused, not looked for.
_TURNS: dict[str, Callable[[_Stack, dict[str, Any]], None]] = {
    "Activation": _Stack._activation,
    "ReLU": _Stack._relu,
    "LeakyReLU": _Stack._leakyrelu,
    "ELU": _Stack._elu,
    "Softmax": _Stack._softmax,
    "Conv3D": _Stack._conv3d,
    "BatchNormalization": _Stack._batchnormalization,
    "MaxPooling3D": _Stack._maxpooling3d,
    "AveragePooling3D": _Stack._averagepooling3d,
    "GlobalAveragePooling3D": _Stack._globalaveragepooling3d,
    "GlobalMaxPooling3D": _Stack._globalmaxpooling3d,
    "Flatten": _Stack._flatten,
    "Dense": _Stack._dense,
}
