"""Who is simulated: group, age, hippocampal fraction, and the volume changes that go with them.

Stylised on purpose: three normal distributions of the hippocampal share of the intracranial volume, set so that it
alone separates the groups about as hippocampal volume does in real cohorts (Dyrba 2021: AUC 0.94 AD against CN,
0.77 MCI against CN). Age enlarges ventricles and thins cortex and does not depend on the group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROUPS = ("CN", "MCI", "AD")
FRACTION = {"CN": (4.9, 0.55), "MCI": (4.3, 0.60), "AD": (3.65, 0.60)}  # mean and SD, per mille
FRACTION_LIMITS = (2.0, 6.6)
_PROGRESS = {"CN": 0.0, "MCI": 0.5, "AD": 1.0}
_AGE = (73.0, 7.0, 55.0, 92.0)  # mean, SD, limits, years; every group alike
# Change of log-volume in each region at severity 1, and for each decade of age above 73.
DISEASE = {
    "amygdala": -0.22,
    "medial temporal cortex": -0.20,
    "temporal cortex": -0.10,
    "parietal cortex": -0.07,
    "other cortex": -0.02,
    "inferior lateral ventricle": 0.50,
    "lateral ventricle": 0.25,
}
AGEING = {
    "amygdala": -0.02,
    "medial temporal cortex": -0.04,
    "temporal cortex": -0.04,
    "parietal cortex": -0.04,
    "other cortex": -0.04,
    "inferior lateral ventricle": 0.12,
    "lateral ventricle": 0.20,
}
_VARIATION = {"lateral ventricle": 0.25, "inferior lateral ventricle": 0.15}  # SD between subjects, all groups
_VARIATION_ELSEWHERE = 0.05


@dataclass(frozen=True)
class Subject:
    """A subject to simulate; fractions are hippocampal shares of the intracranial volume in per mille."""

    group: str
    age: float
    fraction: float
    healthy_fraction: float  # of the same subject without disease
    severity: float  # 0 without disease, about 0.5 in MCI, 1 in AD
    variation: dict[str, float]  # change of log-volume of each region by age and chance
    effects: dict[str, float] | None = None  # of the published disease: change of log-volume by region and side
    subtype: str = ""  # of the published disease, see effects.SUBTYPES
    vessels: float = 0.0  # how much small-vessel disease for the age, in SD of its logarithm

    @property
    def disease(self) -> dict[str, float]:
        """Change of log-volume of each region by the disease."""
        if self.effects is not None:
            return self.effects
        return {region: self.severity * change for region, change in DISEASE.items()}

    @property
    def is_published(self) -> bool:
        """Drawn by :func:`.published.draw_published`, with regions of :mod:`.regions`."""
        return self.effects is not None


def draw_subject(rng: np.random.Generator, group: str) -> Subject:
    """Draw one subject of a group."""
    mean, sd = FRACTION[group]
    score = float(rng.normal())
    low, high = FRACTION_LIMITS
    fraction = float(np.clip(mean + sd * score, low, high))
    # Without the disease, the subject would have the same rank among the healthy.
    healthy = float(np.clip(FRACTION["CN"][0] + FRACTION["CN"][1] * score, low, high))
    return _complete(rng, group, fraction, max(healthy, fraction))


def draw_wide(rng: np.random.Generator) -> Subject:
    """A subject with any fraction, evenly spread, for the beginning of training; the group is the likeliest one."""
    fraction = float(rng.uniform(*FRACTION_LIMITS))
    group = GROUPS[int(np.argmax(group_posterior([fraction])[0]))]
    return _complete(rng, group, fraction, max(fraction, float(rng.normal(*FRACTION["CN"]))))


def _complete(rng: np.random.Generator, group: str, fraction: float, healthy: float) -> Subject:
    mean, sd, low, high = _AGE
    age = float(np.clip(rng.normal(mean, sd), low, high))
    variation = {
        region: change * (age - mean) / 10 + float(rng.normal(0, _VARIATION.get(region, _VARIATION_ELSEWHERE)))
        for region, change in AGEING.items()
    }
    chance = float(rng.normal(0, 0.25))
    severity = 0.0
    if group != "CN":
        loss = (FRACTION["CN"][0] - fraction) / (FRACTION["CN"][0] - FRACTION["AD"][0])
        severity = float(np.clip(0.5 * loss + 0.5 * _PROGRESS[group] + chance, 0.1, 2.0))
    return Subject(group, age, fraction, healthy if group != "CN" else fraction, severity, variation)


def even_fraction(first: str, second: str) -> float:
    """The hippocampal fraction in per mille, between two groups' means, at which both are as likely.

    The groups are equally frequent, and nothing else is known of the subject: the boundary of an ideal observer of the
    fraction.
    """
    from scipy.optimize import brentq

    places = GROUPS.index(first), GROUPS.index(second)

    def odds(fraction: float) -> float:
        likelihoods = group_posterior([fraction])[0]
        return float(np.log(likelihoods[places[0]] / likelihoods[places[1]]))

    return float(brentq(odds, *sorted((FRACTION[first][0], FRACTION[second][0]))))


def group_posterior(fractions: ArrayLike) -> NDArray[np.float64]:
    """Probability of each group given the hippocampal fraction in per mille, groups equally frequent: (N, 3)."""
    values = np.asarray(fractions, dtype=np.float64)[:, None]
    means, sds = np.array([FRACTION[group] for group in GROUPS]).T
    likelihood = np.exp(-0.5 * ((values - means) / sds) ** 2) / sds
    posterior: NDArray[np.float64] = likelihood / likelihood.sum(1, keepdims=True)
    return posterior
