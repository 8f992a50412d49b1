"""The module on the stand-in for Slicer's window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from mri_interpret.explanation.explanation import Explanation

from Testing.fixtures_explanation import with_known_maps
from Testing.host.standin import install
from Testing.models.bundles import write_small_bundle
from Testing.panel.panel_nodes import add_volume


@pytest.fixture(scope="session")
def small_explanation(small_explanation: Explanation) -> Explanation:
    """The small explanation with relevance at known places."""
    return with_known_maps(small_explanation)


@pytest.fixture
def host() -> Any:
    """The stand-in, with an empty scene."""
    installed = install()
    import qt  # there only now

    installed.new_scene()
    installed.messages.clear()
    installed.agrees = True
    qt.QFileDialog.answer = ""
    qt.QDesktopServices.opened.clear()
    return installed


@pytest.fixture(autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's models folder with one small, random network."""
    folder = tmp_path_factory.mktemp("models")
    write_small_bundle(folder / "small")
    (folder / "small" / "docs").mkdir()
    (folder / "small" / "docs" / "README.md").write_text("# small\n\nRandom weights.\n")
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(folder))
    return folder


@pytest.fixture
def widget(host: Any) -> Iterator[Any]:
    """The module's widget as Slicer opens it, with the small model chosen."""
    import MRIInterpret

    made = MRIInterpret.MRIInterpretWidget()
    made.setup()
    made._parameterNode.model = "small"
    yield made
    made.cleanup()


@pytest.fixture
def scan(host: Any, small_explanation: Explanation) -> Any:
    """The phantom's scan as a volume node."""
    return add_volume(host.headless.scene, small_explanation.scan, "phantom")


@pytest.fixture
def shown(widget: Any, scan: Any, small_explanation: Explanation) -> Any:
    """The widget with the small explanation as its result."""
    import slicer
    from mri_interpret.doors import explain_job

    widget._parameterNode.inputVolume = scan
    result = explain_job.show(slicer.mrmlScene, small_explanation, scan)
    widget.logic._results[result.run] = result
    widget.panel.explain.on_finished(result, "")
    return widget


@pytest.fixture
def wait(host: Any) -> Callable[..., None]:
    """Let the window live until something is true."""

    def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it took too long"
            host.qt_application.processEvents()
            time.sleep(0.005)

    return until


@pytest.fixture
def beats(host: Any) -> Callable[[], Any]:
    """Within ``with beats() as gaps``: what passes between turns of the event loop, in seconds of its own thread.

    On a busy computer a window waits for its turn, which is not its fault; so the wall clock would tell nothing.
    """

    @contextmanager
    def measured() -> Iterator[list[float]]:
        import qt

        gaps: list[float] = []
        last = time.thread_time()

        def beat() -> None:
            nonlocal last
            now = time.thread_time()
            gaps.append(now - last)
            last = now

        timer = qt.QTimer()
        timer.interval = 1
        timer.connect("timeout()", beat)
        timer.start()
        yield gaps
        beat()
        timer.stop()

    return measured
