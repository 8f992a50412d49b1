"""What the self-test checks of a result that is shown; all of it runs in Slicer (or by hand on the stand-in)."""

from __future__ import annotations

import pytest
from mri_interpret.panel import selftest
from mri_interpret.scene import map_display


@pytest.fixture
def nodes(shown):
    return shown.panel.result.result.nodes


def test_thresholds_and_entering(shown, nodes):
    selftest._check_thresholds(shown, nodes)
    selftest._check_entering(shown, nodes)


def test_a_threshold_that_shows_another_share_is_found(shown, nodes, monkeypatch):
    honest = map_display.set_threshold
    monkeypatch.setattr(map_display, "set_threshold", lambda nodes, key, value: honest(nodes, key, 1.5 * value))
    with pytest.raises(AssertionError, match="shows"):
        selftest._check_thresholds(shown, nodes)


def test_a_panel_that_shows_nothing_when_it_is_entered_is_found(shown, nodes, monkeypatch):
    selftest._check_thresholds(shown, nodes)
    monkeypatch.setattr(shown.panel.result, "enter", lambda: None)
    with pytest.raises(AssertionError):
        selftest._check_entering(shown, nodes)
