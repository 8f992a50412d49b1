"""Where a user's own files lie: models that were added, and the cache of masks and transforms.

An environment variable names the place; else it is where programs of the operating system keep such files, by
platformdirs. Earlier versions used Linux's places everywhere (on macOS and Windows: the home's hidden folders, or
LOCALAPPDATA itself); what lies there is still found.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MODELS_VARIABLE = "MRI_INTERPRET_MODELS"
CACHE_VARIABLE = "MRI_INTERPRET_CACHE"
_NAME = "mri-interpret"


def user_models_folder() -> Path:
    """Where models are added: $MRI_INTERPRET_MODELS, else ``models`` in the user's data folder."""
    return user_models_folders()[0]


def user_models_folders() -> list[Path]:
    """Where a user's models are looked for, the one to add to first; they need not exist."""
    named = os.environ.get(MODELS_VARIABLE)
    if named:
        return [Path(named)]
    earlier = _earlier("XDG_DATA_HOME", ".local/share") / "models"
    current = _current("user_data_path", earlier.parent) / "models"
    return list(dict.fromkeys([current, earlier]))


def user_cache_folder() -> Path:
    """$MRI_INTERPRET_CACHE, else the user's cache folder, else (where that cannot be written) a temporary one."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    earlier = _earlier("XDG_CACHE_HOME", ".cache")
    folder = _current("user_cache_path", earlier)
    if not folder.exists() and any(earlier.glob("*.npz")):
        folder = earlier
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.gettempdir()) / f"mri-interpret-cache-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _current(kind: str, earlier: Path) -> Path:
    """The operating system's place. Slicer gets platformdirs with the first Explain; until then the earlier place."""
    try:
        import platformdirs
    except ImportError:
        return earlier
    path: Path = getattr(platformdirs, kind)(_NAME, appauthor=False)
    return path


def _earlier(variable: str, below_home: str) -> Path:
    base = os.environ.get("LOCALAPPDATA") or os.environ.get(variable) or str(Path.home() / below_home)
    return Path(base) / _NAME
