"""An input that does not look like training is said at every door."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import mri_interpret as mi
import pytest
from mri_interpret.cohort.subject_warnings import subject_warnings
from mri_interpret.command_line.explain import _print_summary
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.models.bundle import load_bundle
from mri_interpret.report.page import report_page
from mri_interpret.scene_content.note import note_text

from Testing.fixtures_explanation import MODEL_GRID, kept, make_explanation
from Testing.models.bundles import write_small_bundle

OTHER_SCALE = {"n": 3, "ranges": {"middle_inside": [140.0, 160.0], "high_inside": [200.0, 255.0]}}
WORDS = "does not look like its training data"


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    """A network that was trained on intensities up to 255, through steps that scale them to 1."""
    changes = {"mri_interpret.grid": MODEL_GRID, "mri_interpret.input_statistics": OTHER_SCALE}
    folder = write_small_bundle(tmp_path_factory.mktemp("scale") / "small", changes)
    phantom = make_explanation(signs=(1, 1, -1))  # in template space: nothing to register
    return mi.explain(
        phantom.scan, mask=phantom.mask, space="mni", model=load_bundle(folder), target="AD", trust="off",
        methods=["gradient"], device="cpu", segmentation=phantom.anatomy, cache=kept(),
    )  # fmt: skip


def test_the_warning_is_among_all_warnings_and_apart(warned: Explanation) -> None:
    (sentence,) = warned.input_warnings
    assert WORDS in sentence
    assert sentence in warned.warnings


def test_report_notebook_and_note_say_it(warned: Explanation) -> None:
    page = report_page(warned, in_3d=False)
    assert WORDS in page
    assert "<details open>" in page
    assert WORDS in warned._repr_html_()
    assert f"- {warned.input_warnings[0]}" in note_text(warned)


def test_the_command_line_says_it(warned: Explanation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = warned.save(tmp_path)
    _print_summary(warned, tmp_path, files)
    assert WORDS in capsys.readouterr().out
    assert any(WORDS in sentence for sentence in json.loads(files["prediction"].read_text())["warnings"])


def test_a_saved_result_keeps_it(warned: Explanation, tmp_path: Path) -> None:
    warned.save(tmp_path)
    again = mi.load(tmp_path)
    assert again.input_warnings == warned.input_warnings
    assert again.warnings == warned.warnings


def test_the_panel_says_it(warned: Explanation) -> None:
    pytest.importorskip("slicer")
    from mri_interpret.doors.result_tables import prediction_text
    from mri_interpret.scene import build_scene
    from mri_interpret.scene.headless import HeadlessScene

    with HeadlessScene() as headless:
        text = prediction_text(build_scene(warned, headless.scene))
    assert warned.input_warnings[0] in text.warnings


def test_a_cohort_says_it_with_the_subjects_names(warned: Explanation) -> None:
    def subject(name: str, sentences: tuple[str, ...]) -> SimpleNamespace:
        record = {"registration": "good", "input_warnings": list(sentences)}
        return SimpleNamespace(subject=SimpleNamespace(name=name), record=record)

    cohort = [subject("sub-01", ()), subject("sub-02", warned.input_warnings), subject("sub-03", ())]
    (sentence,) = subject_warnings(cohort)  # type: ignore[arg-type]
    assert "1 of 3 subjects (sub-02)" in sentence
    assert WORDS in sentence
    assert subject_warnings(cohort[:1]) == []  # type: ignore[arg-type]
