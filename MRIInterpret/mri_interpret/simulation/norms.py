"""Volumes of healthy people by age, and how far an anatomy's own are from those of the subject that it is made into."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from .atrophy import Fractions
from .effects import REFERENCE_AGE, Effect
from .groups import Subject
from .regions import CORTICAL, SIDES

#: At 73 years, per mille of the volume inside the skull, both sides together. The hippocampus' is that of the stylised
#: simulator; the others are ours, set so that by the table's ageing the young and the old among the label maps lie on
#: either side.
NORMS = {
    "hippocampus": 4.9,
    "amygdala": 2.0,
    "accumbens and basal forebrain": 0.64,
    "thalamus": 8.9,
    "caudate": 4.5,
    "putamen": 6.6,
    "inferior lateral ventricle": 0.9,
    "lateral ventricle": 22.0,
    "third ventricle": 1.15,
}
CORTEX_NORM = 285.0
#: Share of each region in the cortex, per cent: geometric mean over 14 label maps, test anatomies included.
CORTEX_SHARES = {
    "entorhinal": 0.72,
    "parahippocampal": 0.74,
    "fusiform": 4.07,
    "inferior temporal": 4.55,
    "middle temporal": 4.71,
    "superior temporal": 6.15,
    "temporal pole": 1.01,
    "precuneus": 4.26,
    "posterior cingulate": 2.06,
    "inferior parietal": 9.72,
    "superior parietal": 5.72,
    "superior and middle frontal": 19.20,
    "inferior and orbital frontal": 11.54,
    "sensorimotor": 11.80,
    "occipital": 10.92,
    "insula": 2.83,
}
#: An anatomy's own volume is changed by no more than this (log-volume; of the cortex, apart from what was drawn):
#: beyond, the shape would be none.
LIMITS = _MOST_TISSUE, _MOST_FLUID, _MOST_CORTEX = 0.6, 1.1, 0.4


def age_change(effect: Effect, age: float) -> float:
    """Change of a region's log-volume from 73 years to ``age``, by the table's rates."""
    bounds = (-math.inf, 55.0, 70.0, math.inf)
    low, high = sorted((age, REFERENCE_AGE))
    change = 0.0
    for rate, start, end in zip(effect.ageing, bounds, bounds[1:], strict=False):
        change += rate / 100 * max(0.0, min(high, end) - max(low, start))
    return change if age > REFERENCE_AGE else -change


def healthy_changes(subject: Subject, fractions: Fractions, counted: Tensor) -> dict[str, float]:
    """What has to be done to an anatomy so that it has the subject's volumes, the disease apart.

    Structures and the cortex's regions are brought to the volumes that were drawn, whatever the anatomy's own: the
    drawn chance is all that healthy people differ by. What is particular about an anatomy's own regions would come on
    top of it, and would be hidden from everybody who does not know that anatomy.

    Parameters
    ----------
    subject
        With regions of :mod:`.regions`.
    fractions
        The anatomy's, of :func:`.regions.regional_fractions`.
    counted
        Its volumes as it is deformed so far, of :func:`.regional_drive.counted_volumes`.

    Returns
    -------
    Change of log-volume by region.
    """
    found = {}
    for name, own in volumes_against_norm(fractions, counted).items():
        region = name.partition(" ")[2] if name.startswith(SIDES) else name
        drawn = subject.variation[name]
        if region in CORTICAL:
            found[name] = float(np.clip(-own, -_MOST_CORTEX, _MOST_CORTEX)) + drawn
        elif own != 0.0:  # a structure that the anatomy lacks cannot be made
            most = _MOST_FLUID if region.endswith("ventricle") else _MOST_TISSUE
            found[name] = float(np.clip(drawn - own, -most, most))
    return found


def volumes_against_norm(fractions: Fractions, counted: Tensor) -> dict[str, float]:
    """Log of each region's volume over the healthy mean at 73 years in a skull of this size; lacking regions are 0.

    Parameters
    ----------
    fractions
        The anatomy's, of :func:`.regions.regional_fractions`.
    counted
        Its volumes in mm^3, (R + 1,), of :func:`.regional_drive.counted_volumes`.
    """
    inside = float(counted.sum())
    found = {}
    for name, volume in zip(fractions.names, counted.tolist(), strict=False):
        region = name.partition(" ")[2] if name.startswith(SIDES) else name
        both = NORMS[region] if region in NORMS else CORTEX_NORM * CORTEX_SHARES[region] / 100
        norm = 1e-3 * both / (2 if region != name else 1) * inside
        found[name] = math.log(volume / norm) if volume > 0 else 0.0
    return found
