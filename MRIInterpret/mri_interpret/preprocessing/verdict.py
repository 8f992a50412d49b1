"""The verdict on an alignment with the template: good, poor, or an error."""

from __future__ import annotations

import numpy as np

from ..images.volume import Affine
from ..thresholds import (
    GOOD_OFFSET_MM,
    POSSIBLE_CORRELATION,
    POSSIBLE_COVERED,
    POSSIBLE_OVERLAP,
    POSSIBLE_STRETCH,
)
from .match import Match
from .registration import Misaligned


def registration_verdict(name: str, to_template: Affine, match: Match) -> tuple[str, str]:
    """Verdict and sentence for an alignment.

    Parameters
    ----------
    name
        The scan's name, for the error.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    match
        What :func:`~mri_interpret.preprocessing.match.measure_match` found.

    Returns
    -------
    verdict, sentence
        "good" or "poor", and what a reader should know.

    Raises
    ------
    Misaligned
        If it cannot be right: hardly any match, a brain stretched beyond anatomy, or one of which much is missing.
    """
    stretch = np.linalg.svd(to_template[:3, :3], compute_uv=False)
    numbers = f"correlation {match.correlation:.2f}, mask overlap {match.overlap:.2f}"
    if (
        match.correlation < POSSIBLE_CORRELATION
        or match.overlap < POSSIBLE_OVERLAP
        or stretch.max() > POSSIBLE_STRETCH
        or stretch.min() < 1 / POSSIBLE_STRETCH
    ):
        raise Misaligned(
            f"{name} could not be brought into template space ({numbers}, stretch {stretch.min():.2f} to "
            f"{stretch.max():.2f}): check that it is a whole-brain T1-weighted scan with a correct orientation."
        )
    if match.covered < POSSIBLE_COVERED:
        raise Misaligned(
            f"{name} holds only {match.covered:.0%} of the brain, as far as it could be aligned with the template "
            f"({numbers}): give a scan of the whole brain."
        )
    if match.offset_mm > GOOD_OFFSET_MM:
        return "poor", (
            f"The alignment with the template is poor: turned, shifted or scaled by more than {GOOD_OFFSET_MM:.0f} mm "
            f"the scan would match better ({numbers}): look at the template outline before you read maps or regions."
        )
    return "good", (
        f"The alignment with the template is good: turned, shifted or scaled the scan matches no better "
        f"(within {match.offset_mm:.1f} mm; {numbers})."
    )
