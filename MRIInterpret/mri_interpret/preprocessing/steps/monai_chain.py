"""A MONAI bundle's own preprocessing: the usual dictionary transforms of configs/inference.json, run by MONAI itself.

Only listed transforms are made, with plain values; nothing else is imported and no expression is evaluated. A map comes
back to the scan by the affine that MONAI tracks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UserError
from ...images.volume import Grid, Volume, resample
from .chain import NetworkInput
from .partial_input import ScanInTemplate

_READS = "LoadImaged"
TRANSFORMS = (
    _READS,
    "EnsureChannelFirstd",
    "Orientationd",
    "Spacingd",
    "Resized",
    "ScaleIntensityd",
    "ScaleIntensityRanged",
    "ScaleIntensityRangePercentilesd",
    "NormalizeIntensityd",
    "CropForegroundd",
    "SpatialPadd",
    "CenterSpatialCropd",
    "CastToTyped",
    "EnsureTyped",
    "ToTensord",
)
# What LoadImaged may be told: the scan is read by this project's readers, which refuse what MONAI's take on trust.
_READING = {"keys", "image_only", "ensure_channel_first", "reader", "dtype", "simple_keys"}
_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class MonaiChain:
    """Transforms by name with their arguments, in order, for one image.

    Attributes
    ----------
    key
        What the bundle calls the image, usually "image".
    transforms
        Pairs of name and arguments, without the reading.
    """

    source: str
    key: str
    transforms: tuple[tuple[str, dict[str, Any]], ...]
    channels = ("image",)
    template_grid = None  # MONAI's transforms register nothing: the grid depends on the scan
    wants_head = False  # whether the scan was stripped before them is not said

    @property
    def sets_axes(self) -> bool:
        """Whether the input's axes point the same way whatever the scan's do."""
        return any(name == "Orientationd" for name, _ in self.transforms)

    @property
    def output_shape(self) -> tuple[int, int, int] | None:
        """Spatial shape of the network's input, if it does not depend on the scan."""
        shape: tuple[int, int, int] | None = None
        for name, arguments in self.transforms:
            if name == "Resized":
                shape = _three(arguments.get("spatial_size")) if arguments.get("size_mode", "all") == "all" else None
            elif name in ("Spacingd", "CropForegroundd", "Orientationd"):
                shape = None
            elif shape is not None and name in ("SpatialPadd", "CenterSpatialCropd"):
                wanted = _three(arguments.get("spatial_size", arguments.get("roi_size")))
                better = max if name == "SpatialPadd" else min
                shape = wanted and (
                    better(shape[0], wanted[0]), better(shape[1], wanted[1]), better(shape[2], wanted[2])
                )  # fmt: skip
        return shape

    def run(self, scan: Volume, about: ScanInTemplate, others: Mapping[str, Volume] | None = None) -> NetworkInput:
        """Carry the transforms out, as :meth:`.chain.StepChain.run` does."""
        import torch
        from monai.data import MetaTensor
        from monai.transforms import Compose

        image = MetaTensor(torch.from_numpy(np.array(scan.array, dtype=np.float32))[None], affine=_tensor(scan.affine))
        image.meta.update(original_channel_dim=0, space="RAS")
        try:
            made = Compose(_made(self.source, self.transforms))({self.key: image})[self.key]
        except UserError:
            raise
        except Exception as error:  # MONAI's transforms have no common error
            reason = " ".join(str(error.__cause__ or error).split())[:160]
            raise UserError(f"{self.source}: its preprocessing cannot be done on {scan.name} ({reason}).") from error
        if made.dim() != 4 or made.shape[0] != 1:
            raise UserError(f"{self.source}: its preprocessing makes an image of shape {tuple(made.shape)}.")
        affine = np.asarray(made.affine.cpu().numpy(), dtype=np.float64)
        values = np.asarray(made.as_tensor().cpu().numpy(), dtype=np.float32)
        if not np.isfinite(values).all():
            raise UserError(f"{self.source}: its preprocessing makes values that are not finite from {scan.name}.")
        i, j, k = values.shape[1:]
        brain = about.brain.with_array((np.asarray(about.brain.array) > 0).astype(np.float32))
        inside = resample(brain, Grid((i, j, k), affine)).array > 0.5
        return NetworkInput(
            channels=values,
            image=Volume(values[0], affine, f"{scan.name} as the network sees it"),
            inside=Volume(inside.astype(np.uint8), affine, f"{scan.name} brain as the network sees it"),
        )


def read_monai_chain(raw: Any, source: str, *, make: bool = True) -> MonaiChain:
    """The chain of a bundle's "preprocessing": a Compose of listed transforms with plain values.

    Parameters
    ----------
    raw
        As JSON gave it.
    source
        The file, for messages.
    make
        Whether the transforms are made, so that wrong arguments are found now and not with the first scan. Without it
        MONAI, which takes seconds to import, is not needed: lists of models are made so.

    Raises
    ------
    UserError
        One sentence that names the transform, argument, reference or expression that is not followed.
    """
    entries = raw.get("transforms") if isinstance(raw, Mapping) else None
    if not isinstance(entries, Sequence) or _short(raw.get("_target_", "Compose")) != "Compose":
        raise UserError(f"{source}: 'preprocessing' must be a Compose with a list of 'transforms'.")
    chosen: list[tuple[str, dict[str, Any]]] = []
    for entry in entries:
        name = _short(entry.get("_target_")) if isinstance(entry, Mapping) else None
        if name not in TRANSFORMS:
            what = entry.get("_target_") if isinstance(entry, Mapping) else entry
            raise UserError(
                f"{source}: the transform {what!r} in 'preprocessing' is not followed; followed are "
                f"{', '.join(TRANSFORMS)}."
            )
        if entry.get("_disabled_") is True:
            continue
        arguments = {key: value for key, value in entry.items() if not key.startswith("_")}
        for key, value in arguments.items():
            _check_plain(source, name, key, value)
        if "dtype" in arguments:
            arguments["dtype"] = _dtype_name(source, name, arguments["dtype"])
        chosen.append((name, arguments))
    if not chosen:
        raise UserError(f"{source}: 'preprocessing' holds no transform.")
    chain = _chain(source, chosen)
    if make:
        _made(source, chain.transforms)
    return chain


def _chain(source: str, chosen: list[tuple[str, dict[str, Any]]]) -> MonaiChain:
    key = _key(source, chosen)
    first, arguments = chosen[0]
    if any(name == _READS for name, _ in chosen[1:]):
        raise UserError(f"{source}: {_READS} must be the first transform, and stand there once.")
    if first == _READS:
        unknown = sorted(set(arguments) - _READING)
        if unknown:
            raise UserError(f"{source}: {_READS} with '{unknown[0]}' is not followed.")
        chosen = chosen[1:]
    return MonaiChain(source, key, tuple(chosen))


def _key(source: str, chosen: list[tuple[str, dict[str, Any]]]) -> str:
    keys = set()
    for name, arguments in chosen:
        given = arguments.get("keys")
        named = [given] if isinstance(given, str) else given
        if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
            raise UserError(f"{source}: {name} names no image under 'keys'.")
        keys |= set(named)
    if len(keys) != 1:
        raise UserError(f"{source}: its preprocessing works on several images ({', '.join(sorted(keys))}), not on one.")
    return keys.pop()


def _made(source: str, transforms: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    try:
        import monai.transforms as known
    except ImportError as error:
        raise UserError(f"{source} holds MONAI's preprocessing, but MONAI is missing: pip install monai") from error
    made = []
    for name, arguments in transforms:
        given = {key: _dtype(name, value) if key == "dtype" else value for key, value in arguments.items()}
        try:
            made.append(getattr(known, name)(**given))
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{source}: {name} cannot be made from its arguments ({' '.join(str(error).split())})."
            ) from error
    return made


def _short(target: Any) -> str | None:
    """The bare name of a transform; MONAI accepts it with and without its modules."""
    if not isinstance(target, str):
        return None
    module, _, name = target.rpartition(".")
    return name if module == "" or module == "monai" or module.startswith("monai.transforms") else None


def _check_plain(source: str, name: str, key: str, value: Any) -> None:
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    for text in texts:
        if isinstance(text, str) and text.startswith("$"):
            raise UserError(
                f"{source}: {name} has the expression {text!r} for '{key}': expressions are never evaluated."
            )
        if isinstance(text, str) and text.startswith(("@", "%")):
            raise UserError(f"{source}: {name} refers to {text!r} for '{key}': write the value itself.")
    if isinstance(value, Mapping):
        raise UserError(f"{source}: {name} has an object for '{key}': only plain values are followed.")


def _dtype_name(source: str, name: str, value: Any) -> str:
    text = str(value).removeprefix("torch.").removeprefix("np.").removeprefix("numpy.")
    if text not in _DTYPES:
        raise UserError(f"{source}: {name} to {value!r} is not followed; followed are {', '.join(_DTYPES)}.")
    return text


def _dtype(name: str, text: str) -> Any:
    """The type that MONAI's transform of this name takes."""
    if name in ("CastToTyped", "EnsureTyped", "ToTensord"):
        import torch

        return getattr(torch, text)
    return getattr(np, text)


def _three(value: Any) -> tuple[int, int, int] | None:
    if isinstance(value, int):
        return (value, value, value)
    if isinstance(value, list) and len(value) == 3 and all(isinstance(size, int) and size > 0 for size in value):
        return (value[0], value[1], value[2])
    return None


def _tensor(affine: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(affine, dtype=np.float64))
