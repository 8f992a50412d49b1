"""Label maps that are registered to the template once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import STYLISED, Anatomy, read_anatomy


def cached_anatomy(path: Path, cache: Path, progress: ProgressCallback = silent, disease: str = STYLISED) -> Anatomy:
    """A label map, registered once for each disease.

    What is kept is known by the file's content: another label map of the same name is not taken for this one.
    """
    ending = "" if disease == STYLISED else f"_{disease}"
    kept = cache / (path.name.split(".")[0] + f"{ending}.npz")
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    if kept.exists():
        with np.load(kept) as stored:
            if str(stored.get("source", "")) == source:
                return Anatomy(str(stored["name"]), stored["labels"], float(stored["scale"]), stored.get("parcels"))
    progress(f"Registering {path.name}", 0.0)
    anatomy = read_anatomy(path, disease)
    arrays: dict[str, Any] = {"labels": anatomy.labels, "scale": anatomy.scale, "name": anatomy.name, "source": source}
    if anatomy.parcels is not None:
        arrays["parcels"] = anatomy.parcels
    with replacing(kept) as aside:
        np.savez_compressed(aside, **arrays)
    return anatomy
