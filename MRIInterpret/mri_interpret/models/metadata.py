"""A bundle's configs/metadata.json: what a model must say of itself, checked when it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.volume import Grid


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
    classes: tuple[str, ...]
    grid: Grid  # the model's grid in template space
    percentiles: tuple[float, float]  # of the intensity normalisation
    temperature: float  # probabilities are softmax(logits / temperature)
    metrics: dict[str, Any]  # name -> {"value", "ci95": [low, high], "n"}
    # Method -> why its maps of this model have no part in the summary score: they hardly depend on what it learned ...
    distrusted: dict[str, str]
    # ... or do not find what was changed in simulated subjects.
    poorly_localised: dict[str, str] = field(default_factory=dict)
    summary_weights: dict[str, float] = field(default_factory=dict)  # method -> its weight in the score, 1 for others


def read_metadata(bundle: Path) -> Metadata:
    """Read and check ``configs/metadata.json`` of a bundle.

    Raises
    ------
    UserError
        One sentence that names the file and the entry that is missing or wrong.
    """
    path = bundle / "configs" / "metadata.json"
    raw = read_json(path)
    own = _entry(raw, "mri_interpret", dict, path)
    classes = tuple(_entry(own, "classes", list, path))
    if len(classes) < 1 or not all(isinstance(name, str) and name for name in classes):
        raise UserError(f"{path}: 'mri_interpret.classes' must list the name of each class.")
    if len(set(classes)) != len(classes):
        raise UserError(f"{path}: 'mri_interpret.classes' names a class twice: {', '.join(classes)}.")
    _check_channels(raw, classes, path)
    intensity = own.get("intensity", {})
    if intensity.get("method", "percentile") != "percentile":
        raise UserError(f"{path}: the intensity method '{intensity['method']}' is not known; it must be 'percentile'.")
    low, high = float(intensity.get("low", 0.5)), float(intensity.get("high", 99.5))
    temperature = float(own.get("temperature", 1.0))
    if not (0 <= low < high <= 100 and temperature > 0):
        raise UserError(f"{path}: percentiles must satisfy 0 <= low < high <= 100 and the temperature be positive.")
    return Metadata(
        name=str(raw.get("name", bundle.name)),
        version=str(_entry(raw, "version", str, path)),
        description=str(raw.get("description", "")),
        training_data=str(raw.get("data_source", "not stated")),
        intended_use=str(raw.get("intended_use", "not stated")),
        banner=str(own.get("banner", "Research use only, not for diagnosis.")),
        licence=str(raw.get("license", "not stated")),
        classes=classes,
        grid=_grid(_entry(own, "grid", dict, path), path),
        percentiles=(low, high),
        temperature=temperature,
        metrics=dict(own.get("metrics", {})),
        distrusted={str(name): str(reason) for name, reason in own.get("distrusted_methods", {}).items()},
        summary_weights={str(name): float(weight) for name, weight in own.get("summary_weights", {}).items()},
        poorly_localised={str(name): str(reason) for name, reason in own.get("poorly_localised_methods", {}).items()},
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or a UserError that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: a model bundle needs it.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object.")
    return value


def _entry(parent: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    if key not in parent:
        raise UserError(f"{path}: the entry '{key}' is missing.")
    if not isinstance(parent[key], kind):
        raise UserError(f"{path}: the entry '{key}' must be a {kind.__name__}, not {type(parent[key]).__name__}.")
    return parent[key]


def _grid(raw: dict[str, Any], path: Path) -> Grid:
    numbers = {}
    for key in ("shape", "spacing", "origin"):
        value = _entry(raw, key, list, path)
        if len(value) != 3 or not all(isinstance(number, int | float) for number in value):
            raise UserError(f"{path}: 'mri_interpret.grid.{key}' must hold three numbers.")
        numbers[key] = value
    if min(numbers["shape"]) < 1 or min(numbers["spacing"]) <= 0:
        raise UserError(f"{path}: 'mri_interpret.grid' must have a positive shape and spacing.")
    affine = np.diag([*map(float, numbers["spacing"]), 1.0])
    affine[:3, 3] = numbers["origin"]
    i, j, k = (int(number) for number in numbers["shape"])
    return Grid((i, j, k), affine)


def _check_channels(raw: dict[str, Any], classes: tuple[str, ...], path: Path) -> None:
    """MONAI's own description of the output must agree with the class names, where it is there."""
    outputs = raw.get("network_data_format", {}).get("outputs", {}).get("pred", {}).get("channel_def")
    if isinstance(outputs, dict) and [outputs.get(str(i)) for i in range(len(classes))] != list(classes):
        raise UserError(
            f"{path}: 'network_data_format.outputs.pred.channel_def' does not name the classes {', '.join(classes)} "
            "in this order."
        )
