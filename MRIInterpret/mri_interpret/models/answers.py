"""What a user says of a network whose files do not say it, and the metadata that is made of it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .metadata import Metadata, read_metadata

BANNER = "Research use only, not for diagnosis."


@dataclass(frozen=True)
class Answers:
    """What a file of weights does not say of itself.

    Attributes
    ----------
    classes
        Names of the classes in the order of the outputs; for a single quantity its name.
    preprocessing
        The steps from a scan to the input, as a bundle's metadata lists them.
    output
        "logits", "softmax", "sigmoid", "labels", "logit", "ordinal" or "regression".
    shape
        Spatial shape (I, J, K) of the input, where the steps do not set it.
    unit, range
        Of a quantity: its unit ("1" for a score without one), and its lowest and highest value.
    statistics
        What inputs looked like in training, as ``input_statistics`` of a bundle's metadata holds it.
    training_data
        What the network was trained on, in words.
    """

    classes: tuple[str, ...]
    preprocessing: tuple[Mapping[str, Any], ...]
    output: str = "logits"
    shape: tuple[int, int, int] | None = None
    unit: str = ""
    training_data: str = "not stated"
    range: tuple[float, float] | None = None
    statistics: Mapping[str, Any] | None = None


def metadata_of(name: str, answers: Answers) -> dict[str, Any]:
    """What configs/metadata.json says of a network that its user described.

    Raises
    ------
    UserError
        If the outputs have no names, or the preprocessing is not said.
    """
    if not answers.classes:
        raise UserError("The outputs have no names: give the classes, or the quantity's name.")
    if not answers.preprocessing:
        raise UserError("How scans are prepared is not said: give the preprocessing steps.")
    own: dict[str, Any] = {"banner": BANNER, "preprocessing": [dict(step) for step in answers.preprocessing]}
    own |= output_entries(answers.classes, answers.output, answers.unit, answers.range)
    if answers.statistics is not None:
        own["input_statistics"] = dict(answers.statistics)
    metadata: dict[str, Any] = {
        "name": name, "version": "1.0.0", "description": name, "data_source": answers.training_data,
        "intended_use": "Research. Not for diagnosis.", "license": "not stated", "mri_interpret": own,
    }  # fmt: skip
    if answers.shape is not None:
        image = {"spatial_shape": list(answers.shape)}
        metadata["network_data_format"] = {"inputs": {"image": image}}
    return metadata


def output_entries(
    names: Sequence[str], output: str, unit: str = "", ends: Sequence[float] | None = None
) -> dict[str, Any]:
    """The metadata's entries on the outputs; the arguments are those of :class:`Answers`.

    Raises
    ------
    UserError
        If a quantity has several names or no sound range, or classes have a unit or a range.
    """
    if output != "regression":
        if unit or ends is not None:
            raise UserError("A unit and a range belong to a quantity: say 'regression' as the output too.")
        return {"output": output, "classes": list(names)}
    if len(names) > 1:
        raise UserError(f"A regression has one quantity, but {len(names)} names were given: give one.")
    entry: dict[str, Any] = {"kind": "regression", "name": names[0], "unit": unit}
    if ends is not None:
        numbers = [float(end) for end in ends]
        if len(numbers) != 2 or not numbers[0] < numbers[1]:
            words = " to ".join(f"{end:g}" for end in numbers)
            raise UserError(f"The quantity's range {words} is none: give its lowest value first, then its highest.")
        entry["range"] = numbers
    return {"output": entry}


def checked_metadata(name: str, answers: Answers) -> tuple[dict[str, Any], Metadata]:
    """The same, and what a bundle's reader makes of it.

    Raises
    ------
    UserError
        As :func:`metadata_of`, or if the reader refuses it.
    """
    raw = metadata_of(name, answers)
    with tempfile.TemporaryDirectory(prefix="mri-interpret-model-") as place:
        path = Path(place) / "configs" / "metadata.json"
        path.parent.mkdir()
        path.write_text(json.dumps(raw), encoding="utf-8")
        try:
            return raw, read_metadata(Path(place))
        except UserError as error:
            raise UserError(str(error).replace(str(path), f"What is said of the model {name}")) from error


def completed(metadata: Mapping[str, Any], answers: Answers | None, *, has_transforms: bool = False) -> dict[str, Any]:
    """A recipe's metadata with the preprocessing and statistics that the user gave, where the recipe cannot know them.

    ``has_transforms``: MONAI's own preprocessing stands beside the metadata, and says how scans are prepared.

    Raises
    ------
    UserError
        If neither says how scans are prepared.
    """
    own = dict(metadata["mri_interpret"])
    if answers is not None and answers.preprocessing:
        own["preprocessing"] = [dict(step) for step in answers.preprocessing]
    if answers is not None and answers.statistics is not None:
        own["input_statistics"] = dict(answers.statistics)
    if "preprocessing" not in own and not has_transforms:
        raise UserError("This recipe's files do not say how scans are prepared: give the preprocessing steps too.")
    return {**metadata, "mri_interpret": own}


def card_of(name: str, card: str) -> str:
    """The model card: the given one, else a short one."""
    return card or f"# {name}\n\n{BANNER} Added by its user; no further card was given.\n"


def read_answers(
    *,
    classes: str = "",
    output: str = "logits",
    unit: str = "",
    range: str = "",
    shape: str = "",
    preprocessing: str | Path | None = None,
    statistics: str | Path | None = None,
    steps: tuple[Mapping[str, Any], ...] = (),
) -> Answers | None:
    """Answers from what a user typed, the same on the command line and in a form; None if nothing was.

    Parameters
    ----------
    classes
        Names separated by commas.
    output, unit
        As in :class:`Answers`.
    range, shape
        "0,100"; "96,112,96".
    preprocessing, statistics
        JSON files: the list of steps, and the statistics of inputs.
    steps
        The steps, if they do not lie in a file.

    Raises
    ------
    UserError
        For numbers that are none, or a file that cannot be read.
    """
    names = tuple(one.strip() for one in classes.split(",") if one.strip())
    steps = tuple(_read_json(Path(preprocessing), list)) if preprocessing else steps
    about = _read_json(Path(statistics), dict) if statistics else None
    given = (names, steps, about, unit, range, shape)
    if not any(given) and output == "logits":
        return None
    i_j_k = _numbers(shape, 3, int, "shape", "96,112,96")
    return Answers(
        classes=names,
        preprocessing=steps,
        output=output,
        shape=(i_j_k[0], i_j_k[1], i_j_k[2]) if i_j_k else None,
        unit=unit.strip(),
        range=read_range(range),
        statistics=about,
    )


def read_range(text: str) -> tuple[float, float] | None:
    """A quantity's lowest and highest value from "0,100"; None if nothing was typed.

    Raises
    ------
    UserError
        If these are not two finite numbers.
    """
    ends = _numbers(text, 2, float, "range", "0,100")
    return (ends[0], ends[1]) if ends else None


def _numbers(text: str, count: int, kind: type, what: str, example: str) -> tuple[Any, ...]:
    if not text.strip():
        return ()
    try:
        found = tuple(kind(number) for number in text.replace("x", ",").split(","))
    except ValueError:
        found = ()
    if len(found) != count or not all(math.isfinite(number) for number in found):
        words = {2: "two", 3: "three whole"}[count]
        raise UserError(f"The {what} '{text}' is not {words} numbers such as {example}.")
    return found


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON
        raise UserError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(value, kind):
        raise UserError(f"{path} must hold a JSON {'list' if kind is list else 'object'}.")
    return value
