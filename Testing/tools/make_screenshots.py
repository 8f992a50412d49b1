"""Take the pictures of the panel and of the scene in Resources/Screenshots, on the stand-in for Slicer's window.

Run ``python -m Testing.tools.make_screenshots [FOLDER [PART [STUDY]]]`` when the panel, the scene or the bundled model
changed, and look at what it made. It explains the sample with the bundled model (PART "explain"), shows a cohort
(PART "cohort"): the finished one in the folder STUDY, or one that is made by formula; and the form Add model...
(PART "form").
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTING = Path(__file__).resolve().parents[1]

# ruff: noqa: E402 - the imports below need the stand-in that install() puts in place
from Testing.host.standin import install

host = install()

import qt
from mri_interpret.doors import choices
from mri_interpret.panel import environment
from mri_interpret.scene.pictures import compared, four_up, save_png

import MRIInterpret
from Testing.cohort.written_cohort import write_finished_cohort
from Testing.models.bundles import write_small_bundle

VIEW = (450, 450)


def wait(condition: Callable[[], bool]) -> None:
    """Let the window live until something is true."""
    while not condition():
        host.qt_application.processEvents()
        time.sleep(0.02)


class Camera:
    """Takes pictures of widgets."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)  # Qt saves nothing, and says nothing, where there is no folder
        self.folder = folder

    def shoot(self, name: str, widget: Any) -> None:
        for _ in range(5):
            host.qt_application.processEvents()
        widget.grab().save(str(self.folder / f"{name}.png"))


def explain(widget: Any, camera: Camera) -> None:
    """The sections before, during and after a run."""
    ui, parameters = widget.ui, widget._parameterNode
    ui.loadSampleButton.click()
    parameters.trust, parameters.device = "fast", "cpu"
    for section in ("scan", "model", "explain"):
        camera.shoot(f"panel_{section}", getattr(ui, f"{section}CollapsibleButton"))
    ui.explainButton.click()
    wait(lambda: ui.progressBar.value > 40 or not widget.logic.running)
    camera.shoot("panel_running", ui.explainCollapsibleButton)
    wait(lambda: not widget.logic.running)
    if ui.statusLabel.text[:4] != "Done":
        raise SystemExit(ui.statusLabel.text)
    camera.shoot("panel", widget.parent)
    camera.shoot("panel_result", ui.resultCollapsibleButton)
    save_png(four_up(host.headless, VIEW), camera.folder / "scene.png")
    ui.mapList.setCurrentRow(1)
    ui.regionTable.selectRow(0)
    for _ in range(5):
        host.qt_application.processEvents()
    save_png(four_up(host.headless, VIEW), camera.folder / "scene_region.png")
    ui.compareButton.click()
    for _ in range(5):
        host.qt_application.processEvents()
    save_png(compared(host.headless, (400, 400)), camera.folder / "compare.png")
    ui.compareButton.click()


def cohort(widget: Any, camera: Camera, study: Path | None = None) -> None:
    """A finished cohort's results made once more: its confusion matrix and its group maps.

    ``study`` holds participants.tsv and, in out/, what ``mri-interpret cohort --no-native`` made of it; left out, a
    small cohort is made by formula.
    """
    ui = widget.ui
    with tempfile.TemporaryDirectory() as folder:
        if study is None:
            plan = write_finished_cohort(Path(folder) / "study", write_small_bundle(Path(folder) / "bundle"))
            study, table, output = Path(folder) / "study", plan.cohort.table, plan.output
            options = {
                "model": str(plan.options.model), "methods": ["lrp", "grad_cam"], "mask": "none", "space": "mni",
                "native": False, "permutations": 60, "device": "cpu",
            }  # fmt: skip
            choices.cohort_options = lambda _parameters, _methods: options
        else:
            table, output = study / "participants.tsv", study / "out"
            asked = choices.cohort_options
            choices.cohort_options = lambda parameters, methods: {**asked(parameters, methods), "native": False}
        os.chdir(study.parent)
        ui.participantsPathLineEdit.currentPath = f"{study.name}/{table.name}"
        ui.cohortOutputButton.choose(f"{study.name}/{output.name}")
        ui.cohortCollapsibleButton.collapsed = False
        ui.runCohortButton.click()
        wait(lambda: ui.cohortProgressBar.value > 30 or not widget.logic.cohortRunning)
        camera.shoot("panel_cohort_running", ui.cohortCollapsibleButton)
        wait(lambda: not widget.logic.cohortRunning)
        ui.cohortLabel.text = ui.cohortLabel.text.replace(f"{study.parent}{os.sep}", "")  # of no interest to a reader
        camera.shoot("panel_cohort", ui.cohortCollapsibleButton)
        save_png(four_up(host.headless, VIEW), camera.folder / "scene_cohort.png")
        os.chdir(TESTING)


def form(widget: Any, camera: Camera) -> None:
    """The form Add model..., filled in for a regression whose class is to be trusted."""
    widget.ui.addModelButton.click()
    window, ui = widget.panel.model.form.dialog, widget.panel.model.form.ui
    ui.addKindComboBox.setCurrentIndex(ui.addKindComboBox.findData("weights"))
    ui.addPathLineEdit.currentPath = "networks/brain_age.safetensors"
    ui.addNameLineEdit.text, ui.addClassLineEdit.text = "brain_age", "brainage.networks.SFCN"
    ui.addOutputComboBox.setCurrentIndex(ui.addOutputComboBox.findData("regression"))
    ui.addClassesLineEdit.text, ui.addUnitLineEdit.text, ui.addRangeLineEdit.text = "age", "years", "18, 100"
    window.adjustSize()
    camera.shoot("add_model", window)
    window.reject()


def main(folder: Path, only: str = "", study: str = "") -> None:
    environment.ensure = lambda _requirements, _button="": None
    qt.QFileDialog.answer = ""
    widget = MRIInterpret.MRIInterpretWidget()
    widget.setup()
    widget.parent.resize(440, 2400)  # as high as every section open wants to be
    widget.parent.show()
    camera = Camera(folder)
    try:
        if only in ("", "explain"):
            explain(widget, camera)
        if only in ("", "cohort"):
            cohort(widget, camera, Path(study).resolve() if study else None)
        if only in ("", "form"):
            form(widget, camera)
    finally:
        widget.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=TESTING.parent / "Resources" / "Screenshots")
    parser.add_argument("part", nargs="?", default="", choices=["", "explain", "cohort", "form"])
    parser.add_argument("study", nargs="?", default="")
    options = parser.parse_args()
    main(options.folder, options.part, options.study)
