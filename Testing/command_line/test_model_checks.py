"""What the command line says of the model on this scan: badges for people, rows for programs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from mri_interpret.checks.verdict import MODEL, Verdict, Verdicts, not_applicable
from mri_interpret.command_line.explain import _print_summary, _record
from mri_interpret.explanation.explanation import Explanation

VERDICTS = Verdicts(
    (
        Verdict("lrp", "recovery", 9.0, 2.0, "pass", "It follows."),
        Verdict(MODEL, "silhouette", 0.2, 0.5, "pass", "Tissue counts."),
        Verdict(MODEL, "recovery (hippocampi)", 12.3, 30.0, "pass", "It would have."),
        not_applicable(MODEL, "recovery (amygdalae)", "The deformation failed."),
    )
)


def test_a_badge_is_a_line_and_every_finding_a_record(
    small_explanation: Explanation, capsys: pytest.CaptureFixture[str]
) -> None:
    explanation = replace(small_explanation, verdicts=VERDICTS)
    _print_summary(explanation, Path("out"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("The model")] == [
        "The model would have noticed a loss of 12 % (hippocampi)."
    ]
    found = _record(explanation, {})["model_checks"]
    assert [one["check"] for one in found] == ["silhouette", "recovery (hippocampi)", "recovery (amygdalae)"]
    assert found[1]["value"] == 12.3
    assert math.isnan(found[2]["value"])
    assert _record(small_explanation, {})["model_checks"] == []
