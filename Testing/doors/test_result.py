"""What a result in the scene says is what every other output says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mri_interpret.doors.result import MRIInterpretResult

pytest.importorskip("slicer")


class Result(MRIInterpretResult):
    """A result whose probabilities are known."""

    probabilities = {"CN": 0.40, "MCI": 0.15, "AD": 0.45}  # noqa: RUF012 - as of an ordinal model


@pytest.mark.parametrize(
    ("answer", "predicted"), [("MCI", "MCI"), ("none of CN, MCI, AD", "none of CN, MCI, AD"), (None, "AD")]
)
def test_the_answer_is_that_of_the_note_and_not_the_likeliest_class(answer: str | None, predicted: str) -> None:
    note = SimpleNamespace(GetAttribute=lambda _name: answer)
    nodes: Any = SimpleNamespace(note=note, tables={})
    assert Result(nodes).predicted == predicted
