"""What a page asks for is taken from what was offered: a page that was tampered with gets no further."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("slicer")

from mri_interpret.doors import explain_job, open_job
from mri_interpret.models.registry import DEFAULT_MODEL
from mri_interpret.web.open_folders import OpenFolders
from mri_interpret.web.runs import Runs


class State(dict):
    """trame's state, as far as it is used."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Started(Exception):
    """Instead of a worker process."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What workers were started with."""
    found: list[Any] = []

    def start(*arguments: Any, **options: Any) -> Any:
        found.append((arguments, options))
        raise Started

    monkeypatch.setattr(explain_job, "start", start)
    monkeypatch.setattr(open_job, "start", start)
    return found


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Of a visitor whose scan is open."""
    scene = SimpleNamespace(add_scan=lambda path, name: "the scan's node")
    made = Runs(State(), scene, SimpleNamespace(), OpenFolders([tmp_path]), lambda: None)
    made.load_sample()
    return made


def test_the_model_is_one_of_the_listed_ones_whatever_the_page_says(runs, started):
    runs.state.update(model="/somewhere/else", methods=["grad_cam", "os.system"], regions="atlas")
    runs.explain()
    ((scan,), options) = started[0]
    assert scan == "the scan's node"
    assert (options["model"], options["methods"], options["regions"]) == (DEFAULT_MODEL, ("grad_cam",), "atlas")


def test_a_result_outside_of_the_folders_is_not_opened_and_the_page_says_so(runs, started):
    runs.open_result("/etc")
    assert started == []
    assert runs.state.status.startswith("/etc is not among the results")


def test_without_a_scan_there_is_nothing_to_explain(tmp_path, started):
    runs = Runs(State(), SimpleNamespace(), SimpleNamespace(), OpenFolders([]), lambda: None)
    assert runs.state.blocked == "Choose a volume, or load the sample."
    runs.explain()
    assert started == []
