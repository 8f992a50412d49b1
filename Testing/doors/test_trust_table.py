"""The table of checks beside a map: its own verdicts, failures first, and what was found about the model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mri_interpret.doors import result_tables

ROWS = [
    {"method": "lrp", "check": "conservation", "value": 0.01, "threshold": 0.05, "verdict": "pass", "sentence": "a"},
    {"method": "lrp", "check": "randomisation", "value": 0.9, "threshold": 0.5, "verdict": "fail", "sentence": "b"},
    {"method": "cam", "check": "fluid", "value": 0.1, "threshold": 0.5, "verdict": "pass", "sentence": "c"},
    {"method": "model", "check": "silhouette", "value": 0.7, "threshold": 0.5, "verdict": "fail", "sentence": "d"},
]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(result_tables, "rows_of_node", lambda node: [dict(row) for row in node])
    return SimpleNamespace(tables={"trust": ROWS})


def test_a_map_has_its_own_checks_and_the_models(nodes: Any) -> None:
    found = result_tables.trust_table(nodes, "lrp")
    assert [row[:2] for row in found.rows] == [
        ["randomisation", "fail"],
        ["the model: silhouette", "fail"],
        ["conservation", "pass"],
    ]
    assert [row[0] for row in result_tables.trust_table(nodes, "cam").rows] == ["the model: silhouette", "fluid"]


def test_a_map_without_checks_has_no_table(nodes: Any) -> None:
    assert not result_tables.trust_table(nodes, "consensus").rows
    assert not result_tables.trust_table(SimpleNamespace(tables={}), "lrp").rows
