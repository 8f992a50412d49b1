"""Fixtures for all rooms."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes: each keeps to one core, or they wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if "MRI_INTERPRET_CACHE" not in os.environ:  # a run's own, which its processes share; the user's is left alone
    os.environ["MRI_INTERPRET_CACHE"] = tempfile.mkdtemp(prefix="mri-interpret-tests-")
    atexit.register(shutil.rmtree, os.environ["MRI_INTERPRET_CACHE"], ignore_errors=True)

import pytest
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.kept_memory import keep_freed_memory

from Testing.fixtures_browser import browser  # noqa: F401 - a fixture
from Testing.fixtures_explanation import make_age_explanation, make_explanation

keep_freed_memory()


@pytest.fixture(scope="session")
def small_explanation() -> Explanation:
    """An explanation by the real job of a small, oblique, anisotropic brain: three methods, with verdicts."""
    return make_explanation()


@pytest.fixture(scope="session")
def age_explanation() -> Explanation:
    """The same of a model that returns the brain's age, compared with 65 years."""
    return make_age_explanation()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="also long tests whose parts are tested apart")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests are left out, the longest file comes first; names of tests must be the same in every process, or
    pytest-xdist cannot share them out."""
    # The browser's file takes longest, and other processes would wait for it at the end.
    items.sort(key=lambda item: "Testing/web/" not in item.nodeid)
    by_hand = pytest.mark.skip(reason="a long test whose parts are tested apart: by hand, with --thorough")
    for item in items:
        if item.get_closest_marker("thorough") is not None and not config.getoption("--thorough"):
            item.add_marker(by_hand)
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} has an address in memory in its name: give its parameters ids.")
