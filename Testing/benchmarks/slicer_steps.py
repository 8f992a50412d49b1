"""How long Slicer's window stands still, step by step: ``python -m Testing.benchmarks.slicer_steps [MM]``.

On the stand-in for Slicer's window, with a 3D view off-screen. A result with six maps, at 1 mm or what is given, comes
from a worker that has it ready; it is put into the scene, another map is chosen, the threshold is moved, the report is
saved, the scene is closed; then all but the report once more, since modules and shaders are loaded the first time.
Printed are, for each step, the longest time between two turns of the event loop (wall clock, processor time of the
window's thread, and that without drawing) and the frames that the 3D view drew; and how busy the computer was.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from Testing.host.standin import install
from Testing.host.standin.views_3d import View3D


class Steps:
    """Measures the event loop's turns."""

    def __init__(self, host: Any, view: View3D) -> None:
        self.host, self.view = host, view
        self.rows: list[tuple[str, float, float, float, int, float]] = []

    @contextmanager
    def step(self, name: str, until: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """What happens within, and until the condition holds, is a step."""
        self._settle()
        frames = len(self.view.frames)
        gaps: list[tuple[float, float, float]] = []
        with self._turn(gaps):
            yield
        end = time.monotonic() + 900
        while not until():
            assert time.monotonic() < end, name
            with self._turn(gaps):
                self.host.qt_application.processEvents()
            time.sleep(0.002)
        drawn = self.view.frames[frames:]
        wall, own, work = (max(values) for values in zip(*gaps, strict=True))
        self.rows.append((name, wall, own, work, len(drawn), sum(drawn)))

    @contextmanager
    def _turn(self, gaps: list[tuple[float, float, float]]) -> Iterator[None]:
        """Note how long a turn takes: on the wall clock, of the thread, and of the thread without drawing."""
        frames, began = len(self.view.own), (time.perf_counter(), time.thread_time())
        yield
        own = time.thread_time() - began[1]
        gaps.append((time.perf_counter() - began[0], own, own - sum(self.view.own[frames:])))

    def _settle(self) -> None:
        for _ in range(20):
            self.host.qt_application.processEvents()
            time.sleep(0.01)

    def table(self) -> str:
        lines = [
            "| step | longest block (s) | of the thread (s) | without frames (s) | frames | s of frames |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row[0]} | {' | '.join(f'{value:.3f}' for value in row[1:4])} | {row[4]} | {row[5]:.2f} |"
            for row in self.rows
        ]
        return "\n".join(lines)


def main(spacing: float = 1.0) -> None:
    """``spacing``: of the result's voxels, in mm."""
    host = install()
    import qt
    import slicer

    import MRIInterpret
    from Testing.panel.panel_nodes import add_volume
    from Testing.panel.test_building import READY, write

    made = _large(spacing)
    with tempfile.TemporaryDirectory() as name:
        source = write(made, Path(name) / "result")
        widget = MRIInterpret.MRIInterpretWidget()
        widget.setup()
        view = View3D(host.headless, (600, 600))
        steps = Steps(host, view)
        from mri_interpret.worker.messages import Done, Progress, encode

        code = READY.format(
            source=str(source), kind=encode(Done("%s")), progress=encode(Progress("Explaining", 1.0, 0.9))
        )

        def round_of_steps(when: str, percent: float, report: bool) -> None:
            scan = add_volume(slicer.mrmlScene, made.scan, "phantom")
            widget._parameterNode.inputVolume = scan
            told: list[Any] = []

            def finished(*outcome: Any) -> None:
                widget.panel.explain.on_finished(*outcome)
                told.append(outcome)

            with steps.step(f"a result enters the scene{when}", lambda: bool(told)):
                widget.logic.startExplain(scan, lambda message: None, finished, command=[sys.executable, "-c", code])
            assert told[0][1] == "", told[0][1]
            with steps.step(f"another map{when}"):
                widget.ui.mapList.setCurrentRow(1)
            with steps.step(f"Show top{when}"):
                widget.ui.topSlider.value = percent
            if report:
                qt.QFileDialog.answer = str(Path(name) / "report.html")
                with steps.step("Save report", lambda: Path(qt.QFileDialog.answer).exists()):
                    widget.ui.saveReportButton.click()
            with steps.step(f"the scene is closed{when}"):
                slicer.mrmlScene.Clear(0)

        round_of_steps("", 1.0, report=True)
        round_of_steps(", again", 2.0, report=False)
        view.close()
        widget.cleanup()
    print(steps.table())
    print("load " + ", ".join(f"{value:.1f}" for value in os.getloadavg()))


def _large(spacing: float) -> Any:
    from dataclasses import replace

    from Testing.fixtures_explanation import make_explanation

    shape = round(190 / spacing), round(217 / spacing), round(190 / spacing)
    made = make_explanation(shape, (spacing, spacing, spacing))
    maps = dict(made.maps)
    for name, like in (("one", "lrp"), ("two", "lrp"), ("three", "grad_cam_pp")):
        maps[name] = replace(made.maps[like], name=name, title=name)
    return replace(made, maps=maps)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mm", type=float, nargs="?", default=1.0)
    main(parser.parse_args().mm)
