"""All of preprocessing in order: mask, registration, model grid; cached by content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..images.volume import Affine, Grid, Volume
from ..progress import ProgressCallback, silent, step
from ..thresholds import ALREADY_REGISTERED_CORRELATION, ALREADY_REGISTERED_OVERLAP
from .brain_mask import BrainMask, find_brain_mask
from .cache import PreprocessingCache, content_hash
from .model_grid import to_model_grid
from .registration import register_affine, registration_quality, registration_verdict
from .template import TEMPLATE_NAME, load_template

SPACES = ("auto", "native", "mni")
REGISTRATION_SEED = 7


@dataclass(frozen=True)
class PreprocessedScan:
    """A scan ready for a model, with all that is needed for the way back."""

    scan: Volume
    scan_hash: str
    mask: BrainMask
    to_template: Affine  # 4 x 4, RAS mm of the scan to RAS mm of the template
    registration: str  # "affine" or "none"
    correlation: float
    overlap: float
    verdict: str
    sentence: str
    image: Volume  # on the model's grid, 0..1
    model_mask: Volume  # uint8, on the model's grid
    cached: tuple[str, ...]  # which steps came from the cache


def preprocess(
    scan: Volume,
    grid: Grid,
    *,
    mask: str | Path | Volume = "auto",
    space: str = "auto",
    percentiles: tuple[float, float] = (0.5, 99.5),
    device: str = "cpu",
    cache: PreprocessingCache | None = None,
    progress: ProgressCallback = silent,
) -> PreprocessedScan:
    """Bring a scan onto the model's grid.

    Parameters
    ----------
    scan
        As read: any orientation and spacing, shape (I, J, K).
    grid
        The model's grid in template space.
    mask
        "auto", "none", a file or a Volume: see :func:`find_brain_mask`.
    space
        The space the scan lies in: "native" (it is registered), "mni" (it is in template space already and is taken
        as it lies), "auto" (told by how well it matches the template as it lies).
    percentiles
        Low and high percentile of the intensity normalisation.
    device
        "cpu" or "cuda", for the brain extraction.
    cache
        Where masks and transforms are kept; none are kept if left out.

    Raises
    ------
    UserError
        See :func:`find_brain_mask`, :func:`register_affine`, :func:`registration_verdict`.
    """
    check_space(space)
    cache = cache or PreprocessingCache(enabled=False)
    hits: list[str] = []
    with step(progress, "Reading the scan"):
        scan_hash = content_hash(scan)
    with step(progress, "Finding the brain"):
        brain = _mask(scan, scan_hash, mask, device, cache, hits)
    to_template, method, correlation, overlap = _transform(scan, scan_hash, brain, space, cache, hits, progress)
    verdict, sentence = registration_verdict(scan.name or "The scan", to_template, correlation, overlap)
    with step(progress, "Resampling to the model's grid"):
        image, model_mask = _on_grid(scan, brain, to_template, grid, percentiles)
    return PreprocessedScan(
        scan, scan_hash, brain, to_template, method, correlation, overlap, verdict, sentence, image, model_mask,
        tuple(hits),
    )  # fmt: skip


def check_space(space: str) -> None:
    """Raise a UserError unless ``space`` is one of ``SPACES``."""
    if space not in SPACES:
        raise UserError(f"The space '{space}' is not known: give one of {', '.join(SPACES)}.")


def _mask(
    scan: Volume, scan_hash: str, mask: str | Path | Volume, device: str, cache: PreprocessingCache, hits: list[str]
) -> BrainMask:
    if isinstance(mask, Volume) or str(mask) not in ("auto", "none"):
        return find_brain_mask(scan, mask, device)  # reading a given mask is as quick as reading the cache
    key = cache.key("mask", scan_hash, str(mask))
    stored = cache.load(key)
    if stored is not None and stored["mask"].shape == scan.shape:
        hits.append("mask")
        return BrainMask(scan.with_array(stored["mask"], f"{scan.name} brain mask"), str(stored["method"]))
    brain = find_brain_mask(scan, mask, device)
    cache.store(key, mask=brain.volume.array, method=np.array(brain.method))
    return brain


def _transform(
    scan: Volume,
    scan_hash: str,
    brain: BrainMask,
    space: str,
    cache: PreprocessingCache,
    hits: list[str],
    progress: ProgressCallback,
) -> tuple[Affine, str, float, float]:
    """The transform to the template, how it was found, and its correlation and overlap."""
    template, template_mask = load_template(2)
    identity = np.eye(4)
    as_it_lies = registration_quality(scan, brain.volume, identity, template, template_mask)
    matches = as_it_lies[0] >= ALREADY_REGISTERED_CORRELATION and as_it_lies[1] >= ALREADY_REGISTERED_OVERLAP
    if space == "mni" or (space == "auto" and matches):
        return identity, "none", *as_it_lies
    key = cache.key("affine", scan_hash, content_hash(brain.volume), TEMPLATE_NAME, REGISTRATION_SEED)
    stored = cache.load(key)
    if stored is not None:
        hits.append("registration")
        correlation, overlap = stored["quality"]
        return np.asarray(stored["affine"], dtype=np.float64), "affine", float(correlation), float(overlap)
    fixed, fixed_mask = load_template(1)
    affine = register_affine(scan, brain.volume, fixed, fixed_mask, seed=REGISTRATION_SEED, progress=progress)
    quality = registration_quality(scan, brain.volume, affine, template, template_mask)
    cache.store(key, affine=affine, quality=np.array(quality))
    return affine, "affine", *quality


def _on_grid(
    scan: Volume, brain: BrainMask, to_template: Affine, grid: Grid, percentiles: tuple[float, float]
) -> tuple[Volume, Volume]:
    try:
        return to_model_grid(scan, brain.volume, to_template, grid, *percentiles)
    except ValueError as error:
        raise UserError(
            f"{scan.name} does not reach the model's grid as it lies ({error}): check its orientation, "
            "or let it be registered (space native)."
        ) from error
