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
from ..thresholds import INPUT_BRAIN_KEPT, INPUT_BRAIN_LEAST, STRIPPED_SHARE
from .alignment import REGISTRATION_SEED, Aligner, Alignment
from .brain_mask import BrainMask
from .cache import PreprocessingCache, content_hash
from .input_check import InputStatistics, as_the_file_lies, compare_with_training, plausible
from .other_inputs import check_names, check_places
from .steps.chain import NetworkInput, StepChain, brain_kept, default_steps
from .steps.monai_chain import MonaiChain
from .steps.partial_input import ScanInTemplate
from .template import load_template

__all__ = ["REGISTRATION_SEED", "SPACES", "PreprocessedScan", "check_space", "preprocess"]

SPACES = ("auto", "native", "mni")


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
    offset_mm: float  # how far from here the template is matched best, see Match
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
    aligner = Aligner(scan, scan_hash, device, cache, progress, hits)
    found = aligner.align(mask, space)
    brain, to_template = found.brain, found.to_template
    check_places(others or {}, brain.volume)
    with step(progress, "Resampling to the model's grid"):
        about = ScanInTemplate(brain.volume, _Transforms(aligner, found), progress)
        if chain.wants_head and _is_stripped(scan, brain.volume):
            raise UserError(
                f"The model was trained on whole heads, and {scan.name or 'the scan'} is skull-stripped: give the scan "
                "with its skull."
            )
        made = _carried_out(chain, scan, about, others)
        image, model_mask = _seen_from_the_template(made, chain, to_template)
        warnings = _input_warnings(made, chain, brain.volume, to_template, statistics)
        if found.match.covered < INPUT_BRAIN_KEPT:
            warnings.insert(0, f"The scan holds only {found.match.covered:.0%} of the brain: the rest is cut off.")
    return PreprocessedScan(
        scan, scan_hash, brain, to_template, found.method, found.match.correlation, found.match.overlap,
        found.match.offset_mm, found.verdict, found.sentence, image, model_mask, tuple(hits), made.channels,
        tuple(warnings),
    )  # fmt: skip


def check_space(space: str) -> None:
    """Raise a UserError unless ``space`` is one of ``SPACES``."""
    if space not in SPACES:
        raise UserError(f"The space '{space}' is not known: give one of {', '.join(SPACES)}.", option="space")


@dataclass(frozen=True)
class _Transforms:
    """Transforms to the template by kind; a rigid one is looked for when a step asks for it."""

    aligner: Aligner
    found: Alignment

    def __call__(self, kind: str) -> Affine:
        if kind == "affine" or self.found.method == "none":
            return self.found.to_template
        return self.aligner.rigid(self.found)


def _carried_out(
    chain: StepChain | MonaiChain, scan: Volume, about: ScanInTemplate, others: Mapping[str, Volume] | None
) -> NetworkInput:
    made = chain.run(scan, about, others)
    kept = brain_kept(made, about.brain)
    if kept < INPUT_BRAIN_LEAST:
        raise UserError(
            f"{scan.name} does not reach the network's grid, which holds {kept:.1%} of its brain: check the grid in "
            "the model's preprocessing, and the scan's orientation where nothing registers it."
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
