"""What is said about work that cannot start, is under way, or is over."""

from __future__ import annotations

from mri_interpret.doors import status
from mri_interpret.worker.messages import Notice, Progress


def test_the_first_reason_why_explain_cannot_start_is_given():
    assert status.explain_blocked("", True, "") == ""
    assert "Choose a volume" in status.explain_blocked("", False, "No model.")
    assert status.explain_blocked("", True, "No model.") == "No model."
    assert status.explain_blocked(status.busy(True, False), False, "") == "An explanation is being made or opened."


def test_the_first_reason_why_a_cohort_cannot_start_is_given():
    assert status.cohort_blocked("", "table", "out", "") == ""
    assert "participants table" in status.cohort_blocked("", "", "", "")
    assert "output folder" in status.cohort_blocked("", "table", "", "No model.")
    assert status.cohort_blocked("", "table", "out", "No model.") == "No model."
    assert status.cohort_blocked(status.busy(False, True), "table", "out", "") == "A cohort is running."


def test_the_text_holds_the_step_the_time_left_and_the_last_five_notices():
    text = status.StatusText()
    assert text.start() == "Starting"
    assert text.after(Progress("Explaining", 0.5, 0.254, 33.0)) == "Explaining, about 33 s left"
    assert text.percent == 25
    for number in range(7):
        assert text.after(Notice(f"n{number}")) is None
    assert text.after(Progress("Explaining", 0.6, 0.3)) == "Explaining\nn2\nn3\nn4\nn5\nn6"
    assert text.end("") == "Done.\nn2\nn3\nn4\nn5\nn6"
    assert text.end("It failed.") == "It failed."


def test_the_next_run_starts_without_the_notices_of_the_last():
    text = status.StatusText()
    text.after(Notice("old"))
    text.start()
    assert (text.end(""), text.percent) == ("Done.", 0)
