"""Progress, cancelling and atomic writing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from mri_interpret.atomic import replacing, write_text
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.progress import StepClock, cancellable, silent, time_left


def test_the_clock_estimates_by_how_fast_the_steps_went() -> None:
    time = [0.0]
    clock = StepClock({"A": 10.0, "B": 30.0}, now=lambda: time[0])
    assert clock.seconds_left() is None
    clock.update("A", 0.0)
    time[0] = 20.0  # twice as slow as typical
    clock.update("A", 1.0)
    assert clock.overall() == pytest.approx(0.25)
    assert clock.seconds_left() == pytest.approx(60.0)
    clock.update("B", 0.0)
    time[0] = 50.0
    clock.update("B", 0.5)
    assert clock.overall() == pytest.approx(25 / 40)
    time[0] = 80.0
    clock.update("B", 1.0)
    assert clock.overall() == 1.0
    assert clock.seconds == {"A": 20.0, "B": 60.0}


def test_without_typical_durations_the_clock_goes_by_the_reports() -> None:
    time = [0.0]
    clock = StepClock({}, now=lambda: time[0])
    clock.update("Subject 0 of 12", 0.0)
    assert clock.seconds_left() is None
    time[0] = 30.0
    clock.update("Subject 3 of 12", 0.25)
    assert clock.overall() == 0.25
    assert clock.seconds_left() == pytest.approx(90.0)


def test_what_was_done_before_a_resumed_run_does_not_count_as_fast() -> None:
    time = [0.0]
    clock = StepClock({}, now=lambda: time[0])
    time[0] = 5.0
    clock.update("scan 60 of 120", 0.5)
    assert clock.seconds_left() is None
    time[0] = 25.0
    clock.update("scan 72 of 120", 0.6)
    assert clock.seconds_left() == pytest.approx(80.0)


def test_cancelling_stops_at_the_next_report() -> None:
    stopped = [False]
    progress = cancellable(silent, lambda: stopped[0])
    progress("A", 0.0)
    stopped[0] = True
    with pytest.raises(Cancelled):
        progress("A", 0.5)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.txt"
    write_text(path, "old")

    def fail_in_the_middle() -> None:
        with replacing(path) as aside:
            aside.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle()
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["out.txt"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Choose another output folder"):
        write_text(tmp_path / "file" / "below" / "x.txt", "text")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.2, "about 1 s left"), (42.4, "about 42 s left"), (200, "about 3 min left")]
)
def test_the_time_left_in_words(seconds, text):
    assert time_left(seconds) == text
