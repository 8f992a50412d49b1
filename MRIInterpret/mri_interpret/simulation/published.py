"""Who is simulated with the published disease: age, subtype, side and chance on top of the table in :mod:`.effects`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .effects import EFFECT_OF, EFFECTS, LIMBIC, REFERENCE_AGE, SUBTYPE_SHARES, SUBTYPES
from .groups import GROUPS, Subject
from .norms import CORTEX_NORM, CORTEX_SHARES, LIMITS, NORMS, age_change
from .regional_drive import PRECISION
from .regions import NAMES_OF_REGIONS, REGIONS, SIDED

YOUNGEST_PATIENT = 55.0  # years
_PATIENTS_AGE = (REFERENCE_AGE, 7.5, YOUNGEST_PATIENT, 95.0)  # mean, SD, limits
_ANY_AGE = (20.0, 95.0)
_SHARED = 0.5  # share of the variance between healthy people that all tissue has in common
_SHARED_VENTRICLES = 0.7
_ASYMMETRY = 0.03  # SD of half the log ratio of the sides, in healthy people
_LATERAL = 0.15  # SD of the disease's excess on the left
_SEVERITY_SD = {"MCI": 0.6, "AD": 0.45}  # of a factor on the group's effects with mean 1
_MOST_SEVERE = 2.2
_REFERENCE_DRAWS = 4000


@lru_cache(maxsize=1)
def edition() -> str:
    """Eight digits that change with the numbers that subjects are drawn from: what is kept is of one edition."""
    ranges = (_PATIENTS_AGE, _SHARED, _SHARED_VENTRICLES, _ASYMMETRY, _LATERAL, _SEVERITY_SD, _MOST_SEVERE)
    tables = (EFFECTS, SUBTYPES, SUBTYPE_SHARES, REGIONS, NORMS, CORTEX_NORM, CORTEX_SHARES, LIMITS, PRECISION)
    return f"{zlib.crc32(repr((ranges, tables)).encode()):08x}"


def subtype_factors(subtype: str) -> dict[str, float]:
    """How much of the mean effect each region has in a subtype; over all patients the mean is 1."""
    weights = {name: frequency / sum(SUBTYPES.values()) for name, frequency in SUBTYPES.items()}
    mean = [sum(weights[name] * SUBTYPE_SHARES[name][part] for name in SUBTYPES) for part in (0, 1)]
    limbic, cortical = (SUBTYPE_SHARES[subtype][part] / mean[part] for part in (0, 1))
    return {effect.region: limbic if effect.region in LIMBIC else cortical for effect in EFFECTS}


def draw_published(
    rng: np.random.Generator, group: str, *, age: float | None = None, subtype: str | None = None
) -> Subject:
    """Draw one subject.

    Parameters
    ----------
    rng
        Random generator.
    group
        CN, MCI or AD.
    age
        In years; by default as elderly patients and their controls are. :func:`any_age` draws healthy people of 20 to
        95 years.
    subtype
        One of ``effects.SUBTYPES``; drawn by their frequencies by default.

    Returns
    -------
    Subject
        ``variation`` holds each region's change by age and chance from the healthy 73-year-old mean, ``effects`` the
        change by the disease, both of log-volume, by names of ``regions.NAMES_OF_REGIONS``.
    """
    mean, sd, low, high = _PATIENTS_AGE
    drawn_age = float(np.clip(rng.normal(mean, sd), low, high))
    years = drawn_age if age is None else float(age)
    frequencies = np.array(list(SUBTYPES.values()))
    kind = str(rng.choice(list(SUBTYPES), p=frequencies / frequencies.sum()))
    kind = kind if subtype is None else subtype
    spread = _SEVERITY_SD.get(group, 0.0)
    factor = float(np.clip(rng.normal(1.0, spread), 0.0, _MOST_SEVERE)) if spread else 0.0
    excess = float(np.clip(rng.normal(0.0, _LATERAL), -0.5, 0.5))
    variation = _chance(rng, years)
    effects = {} if group == "CN" else _disease(group, kind, factor, excess)
    healthy = NORMS["hippocampus"] * float(np.exp(variation["hippocampus"]))
    shrunk = np.mean([np.exp(effects.get(f"{side} hippocampus", 0.0)) for side in ("left", "right")])
    return Subject(
        group=group,
        age=years,
        fraction=healthy * float(shrunk),
        healthy_fraction=healthy,
        severity=factor * {"CN": 0.0, "MCI": 0.5, "AD": 1.0}[group],
        variation=variation,
        effects=effects,
        subtype=kind if group != "CN" else "",
        vessels=float(rng.normal()),
    )


def any_age(rng: np.random.Generator) -> float:
    """An age between 20 and 95, evenly."""
    return float(rng.uniform(*_ANY_AGE))


def _chance(rng: np.random.Generator, age: float) -> dict[str, float]:
    """Log of each region's volume over the healthy mean at 73, both sides ("hippocampus") and by side."""
    tissue, fluid = rng.normal(size=2)
    found: dict[str, float] = {}
    for effect in EFFECTS:
        wet = effect.region.endswith("ventricle")
        shared, common = (fluid, _SHARED_VENTRICLES) if wet else (tissue, _SHARED)
        own = float(rng.normal())
        chance = effect.spread * (math.sqrt(common) * shared + math.sqrt(1 - common) * own)
        both = age_change(effect, age) + chance
        found[effect.region] = both
        if f"left {effect.region}" in NAMES_OF_REGIONS:
            half = (0.12 if wet else _ASYMMETRY) * float(rng.normal())
            # Healthy left hippocampi are a little smaller than right ones (Shi 2009, effect size 0.39).
            half += -0.012 if effect.region == "hippocampus" else 0.0
            found[f"left {effect.region}"], found[f"right {effect.region}"] = both + half, both - half
    return found


def _disease(group: str, subtype: str, factor: float, excess: float) -> dict[str, float]:
    """Change of log-volume of each region by the disease."""
    of_subtype = subtype_factors(subtype)
    found = {}
    for name in NAMES_OF_REGIONS:
        side, _, region = name.partition(" ")
        lateral = {"left": 1 + excess, "right": 1 - excess}.get(side, 1.0)
        found[name] = mean_change(name, group) * factor * lateral * of_subtype[region if region in EFFECT_OF else name]
    return found


def mean_change(name: str, group: str) -> float:
    """Mean change of a region's log-volume by the disease, of :data:`.regions.NAMES_OF_REGIONS`, in MCI or AD."""
    side, _, region = name.partition(" ")
    effect = EFFECT_OF.get(region) or EFFECT_OF[name]
    percent = effect.ad if group == "AD" else effect.mci
    return math.log1p(percent[1 if side == "right" else 0] / 100)


def volumes_of(subject: Subject) -> dict[str, float]:
    """What a perfect volumetry would measure: each region's log-volume against the healthy mean at 73."""
    disease = subject.effects or {}
    return {name: subject.variation[name] + disease.get(name, 0.0) for name in NAMES_OF_REGIONS}


#: Regions of :func:`volumes_of_both_sides`, both sides together: what a mirrored scan leaves as it was.
VOLUMES = tuple(dict.fromkeys(name.partition(" ")[2] if name in SIDED else name for name in NAMES_OF_REGIONS))


def volumes_of_both_sides(volumes: Mapping[str, float]) -> NDArray[np.float64]:
    """Log-volume of each of :data:`VOLUMES`, the mean over its sides, in SDs from the mean of drawn elderly, (V,).

    Parameters
    ----------
    volumes
        Log of each region's volume over the healthy mean at 73 years: :func:`volumes_of`, or
        :attr:`.subject.SimulatedBrain.volumes`.
    """
    mean, sd = _elderly_volumes()
    return np.asarray((_both_sides(volumes) - mean) / sd)


def _both_sides(volumes: Mapping[str, float]) -> NDArray[np.float64]:
    found: dict[str, list[float]] = {name: [] for name in VOLUMES}
    for name in NAMES_OF_REGIONS:
        region = name.partition(" ")[2] if name in SIDED else name
        found[region].append(volumes[name])
    return np.array([np.mean(sides) for sides in found.values()])


@lru_cache(maxsize=1)
def _elderly_volumes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(21)
    drawn = [draw_published(rng, GROUPS[index % 3]) for index in range(600)]
    volumes = np.stack([_both_sides(volumes_of(subject)) for subject in drawn])
    return volumes.mean(0), volumes.std(0)


@lru_cache(maxsize=1)
def _volumetry() -> Any:
    """The best linear reading of all volumes: multinomial logistic regression on drawn elderly, groups equal."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(20)
    drawn = [draw_published(rng, GROUPS[index % 3]) for index in range(_REFERENCE_DRAWS)]
    features = np.array([list(volumes_of(subject).values()) for subject in drawn])
    labels = [GROUPS.index(subject.group) for subject in drawn]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=400))
    return model.fit(features, labels)


def group_chances(volumes: Mapping[str, float]) -> tuple[float, float, float]:
    """Probability of each group given all volumes, groups equally frequent among the elderly.

    Parameters
    ----------
    volumes
        Log of each region's volume over the healthy mean at 73 years, by names of ``regions.NAMES_OF_REGIONS``.
    """
    chances = _volumetry().predict_proba(np.array([[volumes[name] for name in NAMES_OF_REGIONS]]))[0]
    return float(chances[0]), float(chances[1]), float(chances[2])
