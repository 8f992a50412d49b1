"""A MONAI bundle's configuration as plain values: references are followed, expressions are not evaluated.

MONAI's configurations refer to one another ("@num_classes", "@image_key") and hold Python ("$torch.float32"). Here a
reference is looked up in the same file, and the few expressions that only name a constant or a reference are read as
what they name. Everything else that starts with "$" or "%" is refused where it is needed, and ignored where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..metadata import read_json

NAMES = ("inference.json", "inference.yaml", "inference.yml")
_DEEPEST = 40  # levels of nesting and of references to references
_MOST = 10_000  # values in an entry with its references followed: a few of them can stand for billions
_LARGEST = 2**20  # bytes: a configuration is a few kilobytes
_CONSTANTS = {
    **{f"${module}.{name}": name for module in ("torch", "np", "numpy") for name in ("float32", "float64")},
    **{f"$monai.utils.CommonKeys.{name}": name.lower() for name in ("IMAGE", "LABEL", "PRED")},
    **{f"$monai.utils.enums.CommonKeys.{name}": name.lower() for name in ("IMAGE", "LABEL", "PRED")},
    "$None": None,
    "$True": True,
    "$False": False,
}
_REFERENCE = re.compile(r"\$?@([A-Za-z_]\w*(?:(?:::|#)\w+)*)")


def read_config(bundle: Path) -> tuple[dict[str, Any], Path]:
    """The bundle's inference configuration as it was written, and its file.

    Raises
    ------
    UserError
        If there is none, or it cannot be read.
    """
    for name in NAMES:
        path = bundle / "configs" / name
        if path.is_file():
            if path.stat().st_size > _LARGEST:
                raise UserError(f"{path} is larger than any configuration ({path.stat().st_size:,} bytes).")
            return (read_json(path) if path.suffix == ".json" else _read_yaml(path)), path
    raise UserError(f"{bundle / 'configs'} holds no {NAMES[0]} nor {NAMES[1]}: give the folder of a MONAI bundle.")


def plain_value(config: Mapping[str, Any], entry: str, path: Path) -> Any:
    """The entry of that name with every reference followed.

    Parameters
    ----------
    config
        The whole file.
    entry
        Its name, "network_def" for instance; None comes back where the file has none.
    path
        The file, for messages.

    Raises
    ------
    UserError
        For an expression, a macro, a reference to nothing or in a circle: one sentence that quotes it.
    """
    return _Resolver(config, path).plain(config.get(entry), entry, 0)


class _Resolver:
    def __init__(self, config: Mapping[str, Any], path: Path) -> None:
        self.config, self.path, self.read = config, path, 0

    def plain(self, value: Any, place: str, depth: int) -> Any:
        self.read += 1
        if depth > _DEEPEST or self.read > _MOST:
            raise UserError(f"{self.path}: '{place[:60]}' is nested too deeply, or its references lead in a circle.")
        if isinstance(value, Mapping):
            kept = {key: entry for key, entry in value.items() if key not in ("_desc_", "_requires_")}
            return {str(key): self.plain(entry, f"{place}.{key}", depth + 1) for key, entry in kept.items()}
        if isinstance(value, list):
            return [self.plain(entry, f"{place}.{number}", depth + 1) for number, entry in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(("@", "$", "%")):
            return value
        if value in _CONSTANTS:
            return _CONSTANTS[value]
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            what = {"@": "a reference that is not followed", "$": "an expression", "%": "a macro"}[value[0]]
            raise UserError(
                f"{self.path}: '{place}' is {what} ('{value[:80]}'), which is never evaluated: write the value itself."
            )
        return self.plain(self._found(reference[1], value, place), place, depth + 1)

    def _found(self, dotted: str, text: str, place: str) -> Any:
        found: Any = self.config
        for part in re.split(r"::|#", dotted):
            if isinstance(found, str) and found.startswith("@"):
                found = self.plain(found, place, _DEEPEST - 5)
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise UserError(f"{self.path}: '{place}' refers to '{text[:80]}', which is not there.") from error
        return found


def _read_yaml(path: Path) -> dict[str, Any]:
    """The file's mapping. Plain values only; anchors are refused, for a few of them can stand for gigabytes."""
    try:
        import yaml
    except ImportError as error:
        raise UserError(f"{path} is YAML, and PyYAML is missing: pip install pyyaml") from error

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("it has an anchor that is used again")
            return super().compose_node(parent, index)

    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=Plain)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as plain YAML ({' '.join(str(error).split())[:160]}).") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold names with values.")
    return value
