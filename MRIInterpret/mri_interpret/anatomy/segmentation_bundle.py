"""A segmentation network from disk: a bundle in MONAI layout whose metadata lists FreeSurfer's structures.

``configs/metadata.json`` says under ``mri_interpret``:

- ``"output": "segmentation"``: the network takes (1, 1, I, J, K) float32 and returns logits (1, classes, I, J, K);
- ``classes``: FreeSurfer's names in the order of the logits, "Background" first; or ``labels``: their values, 0 first;
- ``grid``: shape, spacing and origin in the template's RAS mm, as for classifiers;
- ``intensity``: the percentiles of the voxels above 0 in the grid that become 0 and 1;
- ``held_out``: structure to {"dice", "volume_error"}, measured on anatomies that were kept from training;
- ``unsure_entropy``: structure to the mean entropy (0 to 1) from which on it counts as unsure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..images.volume import Grid
from ..models.bundle import FILES, check_inside, file_hash, fill_network, find_weights, network_definition
from ..models.metadata import SEGMENTATION, read_grid, read_json
from ..models.networks import build_network
from ..models.shape_check import output_without_values
from ..resources import resource
from . import freesurfer

if TYPE_CHECKING:
    from torch import nn

_BACKGROUND = ("Background", "Unknown")


@dataclass(frozen=True)
class HeldOut:
    """How well a structure was found on anatomies that were kept from training."""

    dice: float
    volume_error: float  # mean of |volume - truth| / truth


@dataclass(frozen=True)
class SegmentationBundle:
    """A segmentation network ready to be used.

    Attributes
    ----------
    labels
        FreeSurfer's values in the order of the network's logits; 0 first.
    grid
        Where the network's voxels lie, in the template's RAS mm.
    percentiles
        Of the voxels above 0 in the grid: they become 0 and 1.
    unsure_entropy
        Structure to the mean entropy from which on it is unsure: small structures are all border, so each has its own.
    hash
        SHA-256 of the weights file.
    network
        In eval mode, on the CPU, parameters without gradients.
    """

    path: Path
    name: str
    version: str
    banner: str
    labels: tuple[int, ...]
    grid: Grid
    percentiles: tuple[float, float]
    held_out: dict[str, HeldOut]
    unsure_entropy: dict[str, float]
    hash: str
    network: nn.Module


def load_segmentation_bundle(bundle: str | Path | SegmentationBundle) -> SegmentationBundle:
    """Read a segmentation bundle and check it.

    Parameters
    ----------
    bundle
        Its folder, the name of one that ships, or one that is loaded already.

    Raises
    ------
    UserError
        One sentence that says what is missing, does not fit, or is damaged.
    """
    if isinstance(bundle, SegmentationBundle):
        return bundle
    path = Path(bundle).expanduser()
    if not path.is_dir():
        if path.name != str(bundle):
            raise UserError(f"{path} is no folder of a segmentation network: give the folder of a bundle.")
        path = resource("Models", str(bundle))
    for name in FILES:
        check_inside(path, path / name)
    file = path / "configs" / "metadata.json"
    raw = read_json(file)
    own = raw.get("mri_interpret")
    if not isinstance(own, dict) or own.get("output") != SEGMENTATION:
        raise UserError(f"{file} is not of a segmentation network: 'mri_interpret.output' must be '{SEGMENTATION}'.")
    labels = _labels(own, file)
    if not isinstance(own.get("grid"), dict):
        raise UserError(f"{file}: the entry 'mri_interpret.grid' is missing.")
    grid = read_grid(own["grid"], file)
    config = path / "configs" / "inference.json"
    target, arguments = network_definition(config)
    _check_shapes(target, arguments, grid, len(labels), config)
    weights = find_weights(path)
    network = fill_network(build_network(target, arguments), weights, config)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return SegmentationBundle(
        path=path,
        name=str(raw.get("name", path.name)),
        version=str(raw.get("version", "")),
        banner=str(own.get("banner", "Research use only, not for diagnosis.")),
        labels=labels,
        grid=grid,
        percentiles=_percentiles(own, file),
        held_out=_held_out(own, file),
        unsure_entropy=_unsure_entropy(own, file),
        hash=file_hash(weights),
        network=network,
    )


def _labels(own: dict[str, Any], file: Path) -> tuple[int, ...]:
    given = own.get("labels")
    if given is None:
        names = own.get("classes")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
            raise UserError(f"{file}: 'mri_interpret.classes' must list FreeSurfer's name of each class.")
        known = {freesurfer.name_of(label): label for label in freesurfer.LABELS} | dict.fromkeys(_BACKGROUND, 0)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(
                f"{file}: 'mri_interpret.classes' names '{unknown[0]}', which is no structure of FreeSurfer's."
            )
        given = [known[name] for name in names]
    labels = tuple(given) if isinstance(given, list) else ()
    if not all(isinstance(label, int) and (label == 0 or freesurfer.is_known(label)) for label in labels):
        raise UserError(f"{file}: 'mri_interpret.labels' must hold FreeSurfer's values.")
    if len(labels) < 2 or labels[0] != 0 or len(set(labels)) != len(labels):
        raise UserError(f"{file}: the background must be the first class, and no class may come twice.")
    return labels


def _percentiles(own: dict[str, Any], file: Path) -> tuple[float, float]:
    intensity = own.get("intensity", {})
    given: dict[str, Any] = intensity if isinstance(intensity, dict) else {"low": None}
    low, high = given.get("low", 0.5), given.get("high", 99.5)
    if not all(isinstance(one, int | float) for one in (low, high)) or not 0 <= low < high <= 100:
        raise UserError(f"{file}: 'mri_interpret.intensity' must satisfy 0 <= low < high <= 100.")
    return float(low), float(high)


def _held_out(own: dict[str, Any], file: Path) -> dict[str, HeldOut]:
    given = own.get("held_out", {})
    try:
        found = {str(name): HeldOut(float(one["dice"]), float(one["volume_error"])) for name, one in given.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file}: 'mri_interpret.held_out' must give 'dice' and 'volume_error' of a structure."
        ) from error
    if not all(math.isfinite(one.dice) and math.isfinite(one.volume_error) for one in found.values()):
        raise UserError(f"{file}: 'mri_interpret.held_out' holds a number that is not finite.")
    return found


def _unsure_entropy(own: dict[str, Any], file: Path) -> dict[str, float]:
    given = own.get("unsure_entropy", {})
    numbers = given.values() if isinstance(given, dict) else [None]
    if not all(isinstance(one, int | float) and 0 < one <= 1 for one in numbers):
        raise UserError(f"{file}: 'mri_interpret.unsure_entropy' must give a number above 0, up to 1, for a structure.")
    return {str(name): float(one) for name, one in given.items()}


def _check_shapes(target: str, arguments: dict[str, Any], grid: Grid, classes: int, config: Path) -> None:
    """Run shapes, not numbers, through the network, before any weight is read."""
    import torch

    shape = " x ".join(map(str, grid.shape))
    try:
        output = output_without_values(target, arguments, (1, 1, *grid.shape))
    except UserError:  # there is no such network
        raise
    except Exception as error:  # whatever a network raises for an input that it cannot take
        reason = str(error).strip().partition("\n")[0][:160]
        raise UserError(f"The network in {config} cannot take a grid of {shape}: {reason}") from error
    if not isinstance(output, torch.Tensor) or tuple(output.shape) != (1, classes, *grid.shape):
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UserError(f"{config}: the network must return {classes} classes on a grid of {shape}, not {found}.")
