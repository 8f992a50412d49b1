"""The benchmark's tables on made-up measurements whose means, ranks and correlations are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from mri_interpret.benchmark.page import aggregation_table, markdown, result_page
from mri_interpret.benchmark.tables import biology_table, correctly_classified, interval_table, ranking, volume_alone


def _rows() -> pd.DataFrame:
    """Two networks, 40 subjects: method "good" finds more than "poor", "gone" has no answer for some."""
    rng = np.random.default_rng(0)
    found = []
    for network in range(2):
        for number in range(40):
            group = ("CN", "MCI", "AD")[number % 3]
            fraction = 5.0 - 0.03 * number - 0.5 * (group == "AD")
            common = {"subject": f"{group} {number}", "group": group, "network": network, "fraction": fraction}
            common |= {"called_ill": number % 6 == 2, "contrast": float(group == "AD"), "anatomy": "a"}
            common |= {"half": ("choose", "report")[number // 3 % 2]}
            for method, mean in (("good", 6.0), ("poor", 2.0), ("gone", 4.0)):
                value = math.nan if method == "gone" and number % 2 else mean + rng.normal(0, 1)
                found.append({**common, "method": method, "measure": "times chance", "value": value})
            density = 10 - 2 * fraction
            found.append({**common, "method": "good", "measure": "hippocampal density", "value": density})
            found.append({**common, "method": "poor", "measure": "hippocampal density", "value": 1.0})
    return pd.DataFrame(found)


def test_intervals_count_subjects_not_networks() -> None:
    rows = _rows()
    table = interval_table(rows).set_index(["method", "measure"])
    good = table.loc[("good", "times chance")]
    assert good["n"] == 40
    assert good["low"] < good["mean"] < good["high"]
    expected = rows[(rows["method"] == "good") & (rows["measure"] == "times chance")]["value"].mean()
    assert good["mean"] == pytest.approx(expected)
    assert table.loc[("gone", "times chance")]["n"] == 20


def test_ranks_know_their_uncertainty() -> None:
    order = ranking(_rows(), "times chance")
    assert list(order["method"]) == ["good", "gone", "poor"]
    best = order.iloc[0]
    assert (best["rank"], best["low"], best["high"]) == (1, 1, 1)
    even = _rows()
    even["value"] = np.random.default_rng(1).normal(size=len(even))
    spread = ranking(even, "times chance")
    assert (spread["high"] - spread["low"]).max() >= 1


def test_low_is_good_where_low_is_good() -> None:
    rows = _rows()
    rows["measure"] = rows["measure"].replace("times chance", "randomised")
    assert ranking(rows, "randomised")["method"].iloc[0] == "poor"


def test_biology_and_volume() -> None:
    rows = _rows()
    table = biology_table(rows, "hippocampal density").set_index("method")
    assert table.loc["good", ["mean", "least", "most"]].tolist() == pytest.approx([-1, -1, -1])
    assert table.loc["good", "n"] == 40
    assert math.isnan(table.loc["poor", "mean"])
    volume, model = volume_alone(rows)
    assert model == [1.0, 1.0]
    subjects = rows.drop_duplicates("subject")
    ill = subjects[subjects["group"] == "AD"]["fraction"].to_numpy()
    well = subjects[subjects["group"] == "CN"]["fraction"].to_numpy()
    assert volume == pytest.approx(np.mean([a < b for a in ill for b in well]))


def test_only_rightly_classified_patients_are_explained() -> None:
    rows = _rows()
    right = correctly_classified(rows)
    assert set(right["group"]) == {"AD"}
    assert right["called_ill"].all()
    none = correctly_classified(rows.assign(called_ill=False))
    assert set(none["group"]) == {"AD"}


def test_the_range_over_networks_is_that_of_their_means() -> None:
    rows = _rows()
    rows.loc[(rows["network"] == 1) & (rows["method"] == "good"), "value"] += 2.0
    table = interval_table(rows).set_index(["method", "measure"])
    of_network = rows[(rows["method"] == "good") & (rows["measure"] == "times chance")].groupby("network")["value"]
    good = table.loc[("good", "times chance")]
    assert (good["least"], good["most"]) == pytest.approx(tuple(of_network.mean()))
    assert good["most"] - good["least"] == pytest.approx(2, abs=1)


def test_methods_of_few_subjects_are_not_ranked() -> None:
    rows = _rows()
    few = rows[(rows["method"] == "good") & rows["subject"].isin(rows["subject"].unique()[:10])].assign(method="few")
    assert "few" not in set(ranking(pd.concat([rows, few]), "times chance")["method"])


def test_aggregations_are_ordered_by_the_choosing_half() -> None:
    rows = _rows()
    table = aggregation_table(rows).set_index("method")
    right = rows[rows["called_ill"] & (rows["measure"] == "times chance") & (rows["method"] == "good")]
    for half in ("choose", "report"):
        expected = right[right["half"] == half].groupby("subject")["value"].mean().mean()
        assert table.loc["good", f"times chance mean, {half}"] == pytest.approx(expected, nan_ok=True)
    assert next(iter(table.index)) == "good"


def test_the_page_holds_every_table() -> None:
    rows = _rows()
    page = result_page(rows, {"good": "Good method"})
    assert "40 simulated subjects (14 CN, 13 MCI, 13 AD) over 1 anatomies; networks: 2" in page
    assert "hippocampal fraction alone" in page
    assert "## Ranking by localisation" in page
    assert "| Good method |  |  | -1.00 |" in page.splitlines()
    lines = markdown(interval_table(rows), ("times chance",)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert any(" to " in line for line in lines), "two networks have a range"


def test_fewer_subjects_are_said_in_the_cell() -> None:
    rows = _rows()
    page = markdown(interval_table(rows), ("times chance",))
    gone = next(line for line in page.splitlines() if line.startswith("| gone"))
    assert gone.endswith("n 20 |")
