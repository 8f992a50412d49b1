"""All of preprocessing in order: mask, registration, the network's own steps; cached by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.volume import Affine, Grid, Volume
from ..progress import ProgressCallback, silent, step
from ..thresholds import ALREADY_REGISTERED_CORRELATION, ALREADY_REGISTERED_OVERLAP, STRIPPED_SHARE
from .brain_mask import BrainMask, find_brain_mask
from .cache import PreprocessingCache, content_hash
from .input_check import InputStatistics, as_the_file_lies, compare_with_training, plausible
from .other_inputs import check_names, check_places
from .registration import register_affine, registration_quality, registration_verdict
from .steps.chain import NetworkInput, StepChain, brain_kept, default_steps
from .steps.monai_chain import MonaiChain
from .steps.partial_input import ScanInTemplate
from .template import TEMPLATE_NAME, load_template

SPACES = ("auto", "native", "mni")
REGISTRATION_SEED = 7


@dataclass(frozen=True)
class PreprocessedScan:
    """A scan ready for a model, with all that is needed for the way back.

    ``image`` and ``model_mask`` lie on the network's grid, whose affine leads to RAS mm of the *template*; for a
    network that wants no registration that grid is the scan's own, seen from the template.
    """

    scan: Volume
    scan_hash: str
    mask: BrainMask
    to_template: Affine  # 4 x 4, RAS mm of the scan to RAS mm of the template
    registration: str  # "affine" or "none"
    correlation: float
    overlap: float
    verdict: str
    sentence: str
    image: Volume  # the channel that is explained, on the network's grid
    model_mask: Volume  # uint8, the brain on the network's grid
    cached: tuple[str, ...]  # which steps came from the cache
    channels: NDArray[np.float32]  # (C, I, J, K): what the network gets
    input_warnings: tuple[str, ...] = ()  # what seems wrong with the network's input

    @property
    def grid(self) -> Grid:
        """The network's grid in the template's world."""
        return self.image.grid


def preprocess(
    scan: Volume,
    steps: StepChain | MonaiChain | Grid,
    *,
    mask: str | Path | Volume = "auto",
    space: str = "auto",
    others: Mapping[str, Volume] | None = None,
    statistics: InputStatistics | None = None,
    device: str = "cpu",
    cache: PreprocessingCache | None = None,
    progress: ProgressCallback = silent,
) -> PreprocessedScan:
    """Prepare a scan as a network wants it.

    Parameters
    ----------
    scan
        As read: any orientation and spacing, shape (I, J, K).
    steps
        From the scan to the network's input; a grid in template space stands for the brain on it, its intensities from
        the percentiles 0.5 and 99.5 to 0 and 1.
    mask
        "auto", "none", a file or a Volume: see :func:`find_brain_mask`.
    space
        The space the scan lies in: "native" (it is registered), "mni" (it is in template space already and is taken
        as it lies), "auto" (told by how well it matches the template as it lies).
    others
        Further inputs that the steps name, by channel, in the scan's world, on any grid that covers the brain.
    statistics
        What inputs looked like in training, if it is known.
    device
        "cpu" or "cuda", for the brain extraction.
    cache
        Where masks and transforms are kept; none are kept if left out.

    Raises
    ------
    UserError
        See :func:`find_brain_mask`, :func:`register_affine`, :func:`registration_verdict`; or if a step cannot be done.
    """
    check_space(space)
    chain = default_steps(steps, (0.5, 99.5)) if isinstance(steps, Grid) else steps
    check_names(chain.channels, others or {})
    cache = cache or PreprocessingCache(enabled=False)
    hits: list[str] = []
    with step(progress, "Reading the scan"):
        scan_hash = content_hash(scan)
    with step(progress, "Finding the brain"):
        brain = _mask(scan, scan_hash, mask, device, cache, hits)
    check_places(others or {}, brain.volume)
    to_template, method, correlation, overlap = _transform(scan, scan_hash, brain, space, cache, hits, progress)
    verdict, sentence = registration_verdict(scan.name or "The scan", to_template, correlation, overlap)
    with step(progress, "Resampling to the model's grid"):
        about = ScanInTemplate(brain.volume, _Transforms(scan, scan_hash, brain, to_template, method, cache, progress))
        if chain.wants_head and _is_stripped(scan, brain.volume):
            raise UserError(
                f"The model was trained on whole heads, and {scan.name or 'the scan'} is skull-stripped: give the scan "
                "with its skull."
            )
        made = _carried_out(chain, scan, about, others)
        image, model_mask = _seen_from_the_template(made, chain, to_template)
        warnings = _input_warnings(made, chain, brain.volume, to_template, statistics)
    return PreprocessedScan(
        scan, scan_hash, brain, to_template, method, correlation, overlap, verdict, sentence, image, model_mask,
        tuple(hits), made.channels, tuple(warnings),
    )  # fmt: skip


def check_space(space: str) -> None:
    """Raise a UserError unless ``space`` is one of ``SPACES``."""
    if space not in SPACES:
        raise UserError(f"The space '{space}' is not known: give one of {', '.join(SPACES)}.", option="space")


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


@dataclass(frozen=True)
class _Transforms:
    """Transforms to the template by kind; a rigid one is looked for when a step asks for it."""

    scan: Volume
    scan_hash: str
    brain: BrainMask
    affine: Affine
    method: str
    cache: PreprocessingCache
    progress: ProgressCallback

    def __call__(self, kind: str) -> Affine:
        if kind == "affine" or self.method == "none":
            return self.affine
        key = self.cache.key("rigid", self.scan_hash, content_hash(self.brain.volume), TEMPLATE_NAME, REGISTRATION_SEED)
        stored = self.cache.load(key)
        if stored is not None:
            return np.asarray(stored["affine"], dtype=np.float64)
        fixed, fixed_mask = load_template(1)
        found = register_affine(
            self.scan, self.brain.volume, fixed, fixed_mask, rigid=True, seed=REGISTRATION_SEED, progress=self.progress
        )
        self.cache.store(key, affine=found)
        return found


def _carried_out(
    chain: StepChain | MonaiChain, scan: Volume, about: ScanInTemplate, others: Mapping[str, Volume] | None
) -> NetworkInput:
    made = chain.run(scan, about, others)
    if not made.inside.array.any():
        raise UserError(
            f"{scan.name} does not reach the network's grid as it lies: check its orientation, or let it be registered."
        )
    return made


def _seen_from_the_template(
    made: NetworkInput, chain: StepChain | MonaiChain, to_template: Affine
) -> tuple[Volume, Volume]:
    """Image and brain with affines to RAS mm of the template; exact where the steps end on a grid in its space."""
    fixed = chain.template_grid
    affine = to_template @ made.image.affine if fixed is None else fixed.affine
    return Volume(made.image.array, affine, made.image.name), Volume(made.inside.array, affine, made.inside.name)


def _input_warnings(
    made: NetworkInput,
    chain: StepChain | MonaiChain,
    brain: Volume,
    to_template: Affine,
    statistics: InputStatistics | None,
) -> list[str]:
    template, _ = load_template(2)
    sentences = [] if chain.sets_axes else as_the_file_lies(made.image)
    sentences += plausible(made.image, made.inside, brain_kept(made, brain), template, to_template)
    if statistics is not None:
        sentences += compare_with_training(made.image.array, made.inside.array, statistics)
    return sentences


def _is_stripped(scan: Volume, brain: Volume) -> bool:
    """Whether hardly anything bright lies outside the brain."""
    values = np.asarray(scan.array)
    inside = np.asarray(brain.array) > 0
    lowest = float(np.percentile(values[inside], 5))
    return int(np.count_nonzero(values[~inside] > lowest)) < STRIPPED_SHARE * int(np.count_nonzero(inside))
