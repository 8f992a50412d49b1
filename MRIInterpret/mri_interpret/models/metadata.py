"""A bundle's configs/metadata.json: what a model must say of itself, checked when it is read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.volume import Grid
from ..preprocessing.input_check import InputStatistics, read_statistics
from ..preprocessing.steps.chain import StepChain, default_steps, read_steps
from ..preprocessing.steps.monai_chain import MonaiChain, read_monai_chain
from .output_entry import read_output
from .outputs import OutputMeaning

#: What ``mri_interpret.output`` says of a network that labels voxels; the anatomy room reads such bundles.
SEGMENTATION = "segmentation"
_MOST_BYTES, _DEEPEST = 16 * 2**20, 64  # of a JSON file
_MOST_VOXELS = 512**3  # more than any network takes in one piece


@dataclass(frozen=True)
class Metadata:
    """What the metadata says, checked."""

    name: str
    version: str
    description: str
    training_data: str
    intended_use: str
    banner: str
    licence: str
    output: OutputMeaning  # what the network returns
    preprocessing: StepChain | MonaiChain  # from a scan to the network's input
    input_shape: tuple[int, int, int, int] | None  # (C, I, J, K) of the input; None if it depends on the scan
    statistics: InputStatistics | None  # what inputs looked like in training, if the bundle says so
    metrics: dict[str, Any]  # name -> {"value", "ci95": [low, high], "n"}
    # Method -> why its maps of this model have no part in the summary score: they hardly depend on what it learned ...
    distrusted: dict[str, str]
    # ... or do not find what was changed in simulated subjects.
    poorly_localised: dict[str, str] = field(default_factory=dict)
    summary_weights: dict[str, float] = field(default_factory=dict)  # method -> its weight in the score, 1 for others

    @property
    def grid(self) -> Grid | None:
        """The network's grid in template space; None if it depends on the scan."""
        return self.preprocessing.template_grid

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; of a regression the quantity's name."""
        return self.output.classes

    @property
    def temperature(self) -> float:
        """Logits are divided by it before they become probabilities."""
        return self.output.temperature


def read_metadata(bundle: Path, *, light: bool = False) -> Metadata:
    """Read and check ``configs/metadata.json`` of a bundle.

    Parameters
    ----------
    bundle
        Its folder.
    light
        Without what takes seconds to import, for a list of models: MONAI's transforms are not made.

    Raises
    ------
    UserError
        One sentence that names the file and the entry that is missing or wrong.
    """
    path = bundle / "configs" / "metadata.json"
    raw = read_json(path)
    if "mri_interpret" not in raw:
        raise UserError(
            f"{path}: the entry 'mri_interpret' is missing; a bundle as others make them, MONAI's model zoo for one, "
            "must be added to your models first."
        )
    own = _entry(raw, "mri_interpret", dict, path)
    meaning = read_output(own, path)
    _check_channels(raw, meaning, path)
    chain = _preprocessing(bundle, own, path, light)
    return Metadata(
        name=str(raw.get("name", bundle.name)),
        version=str(_entry(raw, "version", str, path)),
        description=str(raw.get("description", "")),
        training_data=str(raw.get("data_source", "not stated")),
        intended_use=str(raw.get("intended_use", "not stated")),
        banner=str(own.get("banner", "Research use only, not for diagnosis.")),
        licence=str(raw.get("license", "not stated")),
        output=meaning,
        preprocessing=chain,
        input_shape=_input_shape(raw, chain, path),
        statistics=read_statistics(own["input_statistics"], str(path)) if "input_statistics" in own else None,
        metrics=_optional(own, "metrics", dict, path, {}),
        distrusted=_texts(own, "distrusted_methods", path),
        summary_weights=_weights(own, path),
        poorly_localised=_texts(own, "poorly_localised_methods", path),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or a UserError that names the file."""
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} is larger than any such JSON file ({path.stat().st_size:,} bytes).")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: a model bundle needs it.") from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, endless digits
        raise UserError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object.")
    left: list[tuple[Any, int]] = [(value, 1)]  # a loop: what is nested too deeply for json is not for a recursion
    while left:
        part, depth = left.pop()
        if depth > _DEEPEST:
            raise UserError(f"{path} cannot be read as JSON (it is nested more than {_DEEPEST} levels deep).")
        if isinstance(part, (dict, list)):
            left.extend((inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part))
    return value


def segments(bundle: Path) -> bool:
    """Whether a bundle's metadata says that its network labels voxels; False where it cannot be read."""
    try:
        own = read_json(bundle / "configs" / "metadata.json").get("mri_interpret")
    except UserError:
        return False
    return isinstance(own, dict) and own.get("output") == SEGMENTATION


def _preprocessing(bundle: Path, own: dict[str, Any], path: Path, light: bool) -> StepChain | MonaiChain:
    """The entry ``preprocessing``, else MONAI's own transforms, else the brain on ``grid`` with ``intensity``."""
    if "preprocessing" in own:
        if "grid" in own or "intensity" in own or "bias_correction" in own:
            raise UserError(
                f"{path}: 'preprocessing' says it all: take 'grid', 'intensity' and 'bias_correction' away."
            )
        return read_steps(own["preprocessing"], str(path))
    inference = bundle / "configs" / "inference.json"
    if "grid" not in own and inference.is_file():
        transforms = read_json(inference).get("preprocessing")
        if transforms is not None:
            return read_monai_chain(transforms, str(inference), make=not light)
    intensity = _optional(own, "intensity", dict, path, {})
    if intensity.get("method", "percentile") != "percentile":
        raise UserError(
            f"{path}: 'intensity' knows the method 'percentile' only, not {intensity['method']!r}: list the steps "
            "under 'preprocessing' instead."
        )
    if own.get("mask", "brain") != "brain":  # it was read by nobody: the network got the brain whatever it said
        raise UserError(
            f"{path}: with 'grid' the network gets the brain alone, so 'mask' can only be 'brain', not "
            f"{own['mask']!r}: list the steps under 'preprocessing' instead."
        )
    bias = own.get("bias_correction", "none")
    if bias not in ("none", "n4"):
        raise UserError(f"{path}: 'bias_correction' must be 'none' or 'n4', not {bias!r}.")
    low, high = (_number(intensity, key, path, usual) for key, usual in (("low", 0.5), ("high", 99.5)))
    if not 0 <= low < high <= 100:
        raise UserError(f"{path}: percentiles must satisfy 0 <= low < high <= 100.")
    grid = read_grid(_entry(own, "grid", dict, path), path)
    return default_steps(grid, (low, high), bias_correction=bias == "n4")


def _input_shape(raw: dict[str, Any], chain: StepChain | MonaiChain, path: Path) -> tuple[int, int, int, int] | None:
    """Channels and shape as the preprocessing makes them; what MONAI's description says must agree."""
    image: Any = raw
    for key in ("network_data_format", "inputs", "image"):
        image = image.get(key) if isinstance(image, dict) else None
    image = image if isinstance(image, dict) else {}
    channels, stated = image.get("num_channels", len(chain.channels)), image.get("spatial_shape")
    if channels != len(chain.channels):
        raise UserError(
            f"{path}: the network takes {channels} channels, and the preprocessing makes {len(chain.channels)} "
            f"({', '.join(chain.channels)})."
        )
    fixed = isinstance(stated, list) and len(stated) == 3 and all(isinstance(n, int) and n > 0 for n in stated)
    shape = chain.output_shape
    if shape is not None and fixed and list(shape) != stated:
        raise UserError(f"{path}: the network takes {stated} voxels, and the preprocessing makes {list(shape)}.")
    if shape is None and fixed:
        shape = (stated[0], stated[1], stated[2])
    return None if shape is None else (channels, *shape)


def _entry(parent: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    if key not in parent:
        raise UserError(f"{path}: the entry '{key}' is missing.")
    if not isinstance(parent[key], kind):
        raise UserError(f"{path}: the entry '{key}' must be a {kind.__name__}, not {type(parent[key]).__name__}.")
    return parent[key]


def _optional(parent: dict[str, Any], key: str, kind: type, path: Path, usual: Any) -> Any:
    return _entry(parent, key, kind, path) if key in parent else usual


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(parent: dict[str, Any], key: str, path: Path, usual: float) -> float:
    value = parent.get(key, usual)
    if not _is_number(value):
        raise UserError(f"{path}: '{key}' must be a finite number, not {value!r}.")
    return float(value)


def _texts(own: dict[str, Any], key: str, path: Path) -> dict[str, str]:
    return {str(name): str(text) for name, text in _optional(own, key, dict, path, {}).items()}


def _weights(own: dict[str, Any], path: Path) -> dict[str, float]:
    given = _optional(own, "summary_weights", dict, path, {})
    weights = {str(name): _number(given, name, path, 1.0) for name in given}
    if min(weights.values(), default=0) < 0:
        raise UserError(f"{path}: 'mri_interpret.summary_weights' must not be negative.")
    return weights


def read_grid(raw: dict[str, Any], path: Path) -> Grid:
    """The entry ``mri_interpret.grid``: shape, spacing and origin (the first voxel's centre) in RAS mm."""
    numbers = {}
    for key in ("shape", "spacing", "origin"):
        value = _entry(raw, key, list, path)
        if len(value) != 3 or not all(map(_is_number, value)):
            raise UserError(f"{path}: 'mri_interpret.grid.{key}' must hold three numbers.")
        numbers[key] = value
    if min(numbers["shape"]) < 1 or min(numbers["spacing"]) <= 0:
        raise UserError(f"{path}: 'mri_interpret.grid' must have a positive shape and spacing.")
    if any(number != int(number) for number in numbers["shape"]):
        raise UserError(f"{path}: 'mri_interpret.grid.shape' must hold whole numbers.")
    if math.prod(numbers["shape"]) > _MOST_VOXELS:
        raise UserError(f"{path}: 'mri_interpret.grid.shape' asks for more than {_MOST_VOXELS:,} voxels.")
    affine = np.diag([*map(float, numbers["spacing"]), 1.0])
    affine[:3, 3] = numbers["origin"]
    i, j, k = (int(number) for number in numbers["shape"])
    return Grid((i, j, k), affine)


def _check_channels(raw: dict[str, Any], meaning: OutputMeaning, path: Path) -> None:
    """MONAI's own description of the output must agree with the class names, where it is there."""
    place: Any = raw
    for key in ("network_data_format", "outputs", "pred", "channel_def"):
        place = place.get(key) if isinstance(place, dict) else None
    if meaning.count != len(meaning.classes) or meaning.is_quantity or not isinstance(place, dict):
        return
    if [place.get(str(index)) for index in range(len(meaning.classes))] != list(meaning.classes):
        raise UserError(
            f"{path}: 'network_data_format.outputs.pred.channel_def' does not name the classes "
            f"{', '.join(meaning.classes)} in this order."
        )
