"""What a bundle's metadata says of its network's outputs: the entries ``classes``, ``output`` and ``temperature``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .outputs import KINDS, OutputMeaning


def read_output(own: Mapping[str, Any], path: Path) -> OutputMeaning:
    """Read and check them.

    Parameters
    ----------
    own
        The metadata's object ``mri_interpret``.
    path
        The file, for messages.

    Raises
    ------
    UserError
        One sentence that names the file and the entry that is missing or wrong.
    """
    output = own.get("output", "logits")
    output = {"kind": output} if isinstance(output, str) else output
    kind = output.get("kind") if isinstance(output, dict) else None
    if kind not in KINDS:
        raise UserError(f"{path}: 'mri_interpret.output' must be one of {', '.join(KINDS)}.")
    temperature = own.get("temperature", 1.0)
    if not _is_number(temperature):
        raise UserError(f"{path}: 'temperature' must be a finite number, not {temperature!r}.")
    if temperature <= 0:
        raise UserError(f"{path}: the temperature must be positive.")
    if kind == "regression":
        return _quantity(output, path)
    classes = _class_names(own, path)
    if kind == "ordinal":
        if len(classes) < 2:
            raise UserError(f"{path}: ordered classes are two or more, but 'mri_interpret.classes' names one.")
        return OutputMeaning(kind, classes, temperature=float(temperature))
    if len(classes) == 1:
        if kind == "softmax":
            raise UserError(f"{path}: a softmax needs two classes or more, but 'mri_interpret.classes' names one.")
        # One output is that class's log-odds or probability: it speaks for its absence too.
        kind, single = ("sigmoid" if kind == "sigmoid" else "logit"), True
        classes = (f"not {classes[0]}", *classes)
    else:
        single = kind == "logit"
    if single and len(classes) != 2:
        raise UserError(f"{path}: one logit tells two classes apart, but 'mri_interpret.classes' names {len(classes)}.")
    return OutputMeaning(kind, classes, single, temperature=float(temperature))


def _quantity(output: Mapping[str, Any], path: Path) -> OutputMeaning:
    name, unit = output.get("name"), output.get("unit")
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"{path}: 'mri_interpret.output' of a regression needs the quantity's 'name'.")
    if not isinstance(unit, str) or not unit.strip():
        raise UserError(
            f"{path}: 'mri_interpret.output' of a regression needs the 'unit' of the {name.strip()}, such as "
            '"years", or "1" for a score that has none.'
        )
    ends = output.get("range")
    if ends is not None and not (
        isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends)) and ends[0] < ends[1]
    ):
        raise UserError(f"{path}: 'mri_interpret.output.range' must be the least and the largest value: [low, high].")
    return OutputMeaning(
        "regression",
        (name.strip(),),
        True,
        unit.strip(),
        value_range=None if ends is None else (float(ends[0]), float(ends[1])),
        anchors=_anchors(output, path),
    )


def _anchors(output: Mapping[str, Any], path: Path) -> tuple[tuple[float, str], ...]:
    listed = output.get("anchors", [])
    sound = isinstance(listed, list) and all(
        isinstance(pair, list) and len(pair) == 2 and _is_number(pair[0]) and isinstance(pair[1], str) and pair[1]
        for pair in listed
    )
    if not sound or len({pair[0] for pair in listed}) != len(listed):
        raise UserError(
            f"{path}: 'mri_interpret.output.anchors' must list values with their names, each value once: "
            '[[0, "CN"], [2, "dementia"]].'
        )
    return tuple(sorted((float(value), str(name)) for value, name in listed))


def _class_names(own: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    if "classes" not in own:
        raise UserError(f"{path}: the entry 'classes' is missing.")
    listed = own["classes"]
    if not isinstance(listed, list):
        raise UserError(f"{path}: the entry 'classes' must be a list, not {type(listed).__name__}.")
    if len(listed) < 1 or not all(isinstance(name, str) and name for name in listed):
        raise UserError(f"{path}: 'mri_interpret.classes' must list the name of each class.")
    if len(set(listed)) != len(listed):
        raise UserError(f"{path}: 'mri_interpret.classes' names a class twice: {', '.join(listed)}.")
    return tuple(listed)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
