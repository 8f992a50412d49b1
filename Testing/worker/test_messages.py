"""What passes between the worker and Slicer."""

from __future__ import annotations

import pytest
from mri_interpret.worker.messages import Done, Failed, Heartbeat, Notice, Progress, decode, encode


@pytest.mark.parametrize(
    "message",
    [
        Progress("Écrire", 0.5, 0.25, 12.0),
        Progress("a", 0.0, 0.0),
        Heartbeat(),
        Notice("x\ny"),
        Done("/a b"),
        Failed("ß", "t"),
    ],
)
def test_a_message_is_one_line_and_comes_back(message):
    line = encode(message)
    assert "\n" not in line
    assert line.isascii()
    assert decode(line) == message


@pytest.mark.parametrize("line", ["", "hello", "{}", "[1]", '{"kind": "Progress"}', '{"kind": "Nothing"}', "null", "{"])
def test_what_is_no_message_is_passed_over(line):
    assert decode(line) is None
