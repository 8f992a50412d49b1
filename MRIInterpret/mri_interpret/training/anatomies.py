"""Label maps that are registered to the template once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..atomic import replacing
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import Anatomy, read_anatomy


def cached_anatomy(path: Path, cache: Path, progress: ProgressCallback = silent) -> Anatomy:
    """A label map, registered once."""
    kept = cache / (path.name.split(".")[0] + ".npz")
    if kept.exists():
        with np.load(kept) as stored:
            return Anatomy(str(stored["name"]), stored["labels"], float(stored["scale"]))
    progress(f"Registering {path.name}", 0.0)
    anatomy = read_anatomy(path)
    with replacing(kept) as aside:
        np.savez_compressed(aside, labels=anatomy.labels, scale=anatomy.scale, name=anatomy.name)
    return anatomy
