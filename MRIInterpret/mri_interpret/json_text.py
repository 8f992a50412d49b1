"""Values of any library as plain JSON, and as text: written once for every file and every message."""

from __future__ import annotations

import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """``value`` with NumPy scalars and arrays, dataclasses, paths, tuples and sets replaced.

    NaN and infinities become null. Anything else that JSON does not know becomes text.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, np.ndarray) or hasattr(value, "tolist"):  # a torch tensor too
        return jsonable(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(vars(value))
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((jsonable(item) for item in value), key=str)
    return value.as_posix() if isinstance(value, Path) else str(value)


def to_json(value: Any) -> str:
    """Indented JSON, UTF-8 letters kept, with a newline at the end.

    Bytes of a file's name that are no UTF-8 are escaped, so that any text can be written, and read again as it was.
    """
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
