"""Scenes for the tests of scene/: they need slicer-core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("slicer")

from mri_interpret.explanation.explanation import Explanation
from mri_interpret.scene import ResultNodes, build_scene, find_result, write_mrb
from mri_interpret.scene.headless import HeadlessScene
from mri_interpret.scene.nodes import runs
from mri_interpret.scene.views import add_views

from Testing.fixtures_explanation import with_known_maps


@pytest.fixture(scope="session")
def small_explanation(small_explanation: Explanation) -> Explanation:
    """The small explanation with relevance at known places."""
    return with_known_maps(small_explanation)


@pytest.fixture
def headless() -> Iterator[HeadlessScene]:
    """An empty scene."""
    with HeadlessScene() as scene:
        yield scene


@pytest.fixture
def built(headless: HeadlessScene, small_explanation: Explanation) -> tuple[HeadlessScene, ResultNodes]:
    """A scene with views and the small explanation in it."""
    add_views(headless.scene)
    return headless, build_scene(small_explanation, headless.scene)


@pytest.fixture(scope="session")
def reopened(
    small_explanation: Explanation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, ResultNodes]]:
    """The small explanation's scene after writing it as .mrb and reading that into a fresh scene."""
    path = write_mrb(small_explanation, tmp_path_factory.mktemp("mrb") / "scene.mrb")
    with HeadlessScene() as scene:
        scene.read(path)
        (run,) = runs(scene.scene)
        found = find_result(scene.scene, run)
        assert found is not None
        yield scene, found
