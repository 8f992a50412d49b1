"""ClinicaDL 2's record of its preprocessing, dataset.json, as this project's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UserError

Entry = Mapping[str, Any]
#: Clinica's t1-linear pipeline: ICBM 2009c at 1 mm in RAS mm, and the box that it crops to.
CROPPED = {"shape": [169, 208, 179], "origin": [-84.0, -119.0, -78.0]}
UNCROPPED = {"shape": [193, 229, 193], "origin": [-96.0, -132.0, -78.0]}
_FAR = 3.0e38  # an end that does not clip float32
_LABELS_ONLY = ("RemapLabels", "OneHot")  # torchio's transforms that leave images alone


class NotCovered(Exception):
    """What of the record is not understood, as the end of a sentence."""


def t1_linear(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Clinica's t1-linear up to the network's own scaling: N4 and an affine registration onto the grid."""
    return [
        {"step": "bias_correction", "method": "n4"},
        {"step": "registration", **grid, "spacing": [1.0, 1.0, 1.0]},
    ]


def dataset_steps(dataset: Any, source: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The steps that a dataset.json records, and the shape of the network's input.

    Parameters
    ----------
    dataset
        The file's content.
    source
        The file, for messages.

    Raises
    ------
    UserError
        If the images are not T1-weighted ones after Clinica's t1-linear, or for a transform that is not understood;
        it is named.
    """
    try:
        if not isinstance(dataset, Mapping) or dataset.get("name_") != "BidsDataset":
            name = dataset.get("name_") if isinstance(dataset, Mapping) else dataset
            raise NotCovered(f"the dataset {name} is not covered, only a BidsDataset of images")
        grid = _grid(dataset["file_type"])
        handler = dataset["transforms"]
        extraction = handler["extraction"]["name_"]
        if extraction != "Image":
            raise NotCovered(f"the network works on a {str(extraction).lower()}, not on the whole image")
        steps, shape = t1_linear(grid), list(grid["shape"])
        for entry in (*handler["image_transforms"], *handler["sample_transforms"]):
            shape = _add(steps, shape, entry)
    except NotCovered as error:
        raise UserError(f"{source}: {error}.") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{source} is damaged, or no dataset.json of ClinicaDL 2 ({error!r}).") from error
    return steps, shape


def _grid(file_type: Entry) -> Mapping[str, Any]:
    """The grid of the images that were selected by their BIDS names."""
    entities = file_type["with_entities"] or {}
    registered = entities.get("space") == "MNI152NLin2009cSym" and entities.get("res") == "1x1x1"
    if file_type["data_type"] != "t1_linear" or file_type["suffix"] != "T1w" or not registered:
        raise NotCovered(
            f"images of the kind {file_type['data_type']}/{file_type['suffix']} cannot be made here; T1-weighted ones "
            "after Clinica's t1-linear can"
        )
    cropped = entities.get("desc") == "Crop"
    if not cropped and (file_type["without_entities"] or {}).get("desc") != "Crop":
        raise NotCovered("the record does not tell cropped images of t1-linear from uncropped ones")
    return CROPPED if cropped else UNCROPPED


def _add(steps: list[dict[str, Any]], shape: list[int], entry: Any) -> list[int]:
    """Append a transform's steps; the shape after it."""
    name = entry.get("name_") if isinstance(entry, Mapping) else None
    if name is None:
        raise NotCovered(f"the transform {entry} is the authors' own, and its settings are not recorded")
    if not _reaches_image(entry) or name in _LABELS_ONLY or name == "ToCanonical":  # t1-linear's axes are RAS
        return shape
    if entry.get("masking_method") is not None:
        raise NotCovered(f"the transform {name} with masking_method {entry['masking_method']!r} is not covered")
    if name == "ZNormalization":
        steps.append({"step": "intensity", "method": "zscore", "over": "volume", "outside": "scaled"})
    elif name == "RescaleIntensity":
        steps.extend(_rescaled(entry))
    elif name == "Clamp":
        low, high = entry["out_min"], entry["out_max"]
        ends = [-_FAR if low is None else float(low), _FAR if high is None else float(high)]
        steps.append({"step": "intensity", "method": "none", "clip": ends, "outside": "scaled"})
    elif name == "CropOrPad":
        return _fitted(steps, shape, entry)
    else:
        raise NotCovered(f"the transform {name} is not covered")
    return shape


def _reaches_image(entry: Entry) -> bool:
    include, exclude = entry.get("include"), entry.get("exclude")
    return "image" in include if include else "image" not in (exclude or ())


def _rescaled(entry: Entry) -> list[dict[str, Any]]:
    """torchio's RescaleIntensity: clipped to percentiles, then their range, or a given one, onto another."""
    low, high = _ends(entry["percentiles"])
    low = max(low, 0.0)  # torchio takes a single number p for -p to p
    step = {"step": "intensity", "over": "volume", "outside": "scaled"}
    to_low, to_high = _ends(entry["out_min_max"])
    if entry["in_min_max"] is None:
        steps = [{**step, "method": "percentile", "low": low, "high": high}]
        from_low, from_high = 0.0, 1.0
    elif (low, high) == (0.0, 100.0):
        steps, (from_low, from_high) = [], _ends(entry["in_min_max"])
    else:
        raise NotCovered("the transform RescaleIntensity with both percentiles and in_min_max is not covered")
    if not from_low < from_high or not to_low < to_high:
        raise NotCovered("the transform RescaleIntensity has an empty range")
    if (from_low, from_high) != (to_low, to_high):
        # y = to_low + (x - from_low) * scale, written as the range of x that goes to 0 .. 1.
        scale = (to_high - to_low) / (from_high - from_low)
        bottom = from_low - to_low / scale
        steps.append({**step, "method": "range", "low": bottom, "high": bottom + 1 / scale})
    return steps


def _ends(value: float | Sequence[float]) -> tuple[float, float]:
    low, high = (-value, value) if isinstance(value, int | float) else value
    return float(low), float(high)


def _fitted(steps: list[dict[str, Any]], shape: list[int], entry: Entry) -> list[int]:
    """torchio's CropOrPad about the image's middle; of an odd number of voxels, the one more is at the low end."""
    if entry["mask_name"] is not None or entry["target_shape"] is None:
        raise NotCovered("the transform CropOrPad about a mask is not covered")
    target = entry["target_shape"]
    wanted = [int(target)] * 3 if isinstance(target, int) else [int(size) for size in target]
    if any(new > old for new, old in zip(wanted, shape, strict=True)) and entry["padding_mode"] not in (0, 0.0):
        raise NotCovered(f"the transform CropOrPad with padding_mode {entry['padding_mode']!r} is not covered")
    starts = [-(-(old - new) // 2) if old >= new else (old - new) // 2 for old, new in zip(shape, wanted, strict=True)]
    shift = [start - (old // 2 - new // 2) for start, old, new in zip(starts, shape, wanted, strict=True)]
    steps.append({"step": "fit", "shape": wanted, **({"shift": shift} if any(shift) else {})})
    return wanted
