"""Groups are drawn as stated, and volume alone separates them about as in real cohorts."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.metrics.classification import auc
from mri_interpret.simulation.groups import (
    FRACTION,
    FRACTION_LIMITS,
    GROUPS,
    draw_subject,
    draw_wide,
    even_fraction,
    group_posterior,
)
from scipy import stats


@pytest.fixture(scope="module")
def population() -> dict[str, list]:
    rng = np.random.default_rng(0)
    return {group: [draw_subject(rng, group) for _ in range(1500)] for group in GROUPS}


def test_fractions_follow_the_group_s_distribution(population: dict[str, list]) -> None:
    for group, (mean, sd) in FRACTION.items():
        drawn = np.array([subject.fraction for subject in population[group]])
        assert drawn.mean() == pytest.approx(mean, abs=4 * sd / 1500**0.5)
        assert drawn.std() == pytest.approx(sd, rel=0.08)


def test_volume_alone_separates_as_in_real_cohorts(population: dict[str, list]) -> None:
    def separation(group: str) -> float:
        fractions = [subject.fraction for name in (group, "CN") for subject in population[name]]
        return auc(-np.array(fractions), np.repeat([True, False], 1500))

    assert separation("AD") == pytest.approx(0.94, abs=0.02)
    assert separation("MCI") == pytest.approx(0.77, abs=0.03)


def test_age_does_not_depend_on_the_group(population: dict[str, list]) -> None:
    ages = [[subject.age for subject in population[group]] for group in GROUPS]
    assert stats.f_oneway(*ages).pvalue > 0.01


def test_age_widens_ventricles_and_thins_cortex(population: dict[str, list]) -> None:
    everyone = [subject for group in GROUPS for subject in population[group]]
    age = np.array([subject.age for subject in everyone])
    for region, sign in (("lateral ventricle", 1), ("parietal cortex", -1)):
        slope = stats.linregress(age, [subject.variation[region] for subject in everyone])
        assert sign * slope.slope > 0
        assert slope.pvalue < 1e-6


def test_only_patients_have_a_disease(population: dict[str, list]) -> None:
    assert all(subject.severity == 0 and subject.fraction == subject.healthy_fraction for subject in population["CN"])
    assert all(subject.severity > 0 and subject.fraction <= subject.healthy_fraction for subject in population["AD"])
    means = [np.mean([subject.severity for subject in population[group]]) for group in GROUPS]
    assert means[0] < means[1] < means[2]


def test_posterior_is_bayes() -> None:
    fractions = np.array([3.0, 4.4, 5.5])
    likelihood = np.stack([stats.norm(*FRACTION[group]).pdf(fractions) for group in GROUPS], 1)
    np.testing.assert_allclose(group_posterior(fractions), likelihood / likelihood.sum(1, keepdims=True))


def test_at_even_odds_both_groups_are_as_likely() -> None:
    for other in ("MCI", "AD"):
        healthy, ill = group_posterior([even_fraction("CN", other)])[0][[0, GROUPS.index(other)]]
        assert healthy == pytest.approx(ill)
        assert FRACTION[other][0] < even_fraction("CN", other) < FRACTION["CN"][0]
    assert even_fraction("AD", "CN") == even_fraction("CN", "AD")


def test_wide_subjects_spread_over_all_fractions() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_wide(rng).fraction for _ in range(2000)]
    low, high = FRACTION_LIMITS
    counts, _ = np.histogram(drawn, bins=5, range=(low, high))
    assert counts.min() > 300
