"""The worker process ends well, whatever happens to it or to Slicer; nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from mri_interpret.worker.messages import Done, Failed, Notice, Progress
from mri_interpret.worker.process import WorkerProcess

PACKAGE = Path(__file__).resolve().parents[2] / "MRIInterpret"


def worker(body: str, **options) -> WorkerProcess:
    """A process that runs ``body`` with the messages at hand; FOLDER is its folder."""
    script = (
        "import os, sys, time\n"
        "from mri_interpret.worker.messages import *\n"
        "def send(m): print(encode(m), flush=True)\n"
        "FOLDER = sys.argv[1]\n" + textwrap.dedent(body)
    )
    return WorkerProcess(lambda folder: None, [sys.executable, "-c", script], **options)


def news_of(process: WorkerProcess, seconds: float = 30.0) -> list:
    news, end = [], time.monotonic() + seconds
    while process.running:
        assert time.monotonic() < end, "no end"
        news += process.poll()
        time.sleep(0.01)
    return news


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True


def test_progress_and_notices_arrive_in_order_and_the_folder_stays_until_it_is_cleaned_up():
    process = worker(
        """
        print("a library's own line", flush=True)
        send(Progress("one", 0.5, 0.2)); send(Notice("n")); send(Heartbeat()); send(Done(FOLDER))
        """
    )
    news = news_of(process)
    assert news == [Progress("one", 0.5, 0.2), Notice("n"), Done(str(process.folder))]
    assert process.folder.is_dir()
    assert process.poll() == []
    process.clean_up()
    assert not process.folder.exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("import sys; sys.stderr.write('what went wrong'); sys.exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), 9)", "memory ran out"),
        ("os.abort()", "stopped unexpectedly"),
        ("send(Failed('The file is bad.', 'trace'))", "The file is bad."),
    ],
)
def test_a_crash_a_kill_and_an_error_are_one_sentence_each(body, sentence):
    process = worker(body)
    *_, last = news_of(process)
    assert isinstance(last, Failed)
    assert sentence in last.sentence
    assert "\n" not in last.sentence
    assert not process.folder.exists()


def test_the_log_tells_what_was_printed():
    (last,) = news_of(worker("sys.stderr.write('what went wrong'); sys.exit(7)"))
    assert "what went wrong" in last.details


def test_a_hanging_worker_is_ended_by_the_watchdog():
    process = worker("send(Progress('one', 0, 0)); time.sleep(60)", watchdog_seconds=1.0)
    began = time.monotonic()
    *_, last = news_of(process)
    assert "not answered" in last.sentence
    assert time.monotonic() - began < 10
    assert not is_alive(process._process.pid)
    assert not process.folder.exists()


@pytest.mark.slow
def test_signs_of_life_keep_the_watchdog_quiet():
    process = worker(
        """
        for _ in range(15):
            time.sleep(0.2); send(Heartbeat())
        send(Done(FOLDER))
        """,
        watchdog_seconds=1.5,
    )
    assert isinstance(news_of(process)[-1], Done)
    process.clean_up()


def test_cancelling_ends_the_process_and_deletes_its_folder():
    process = worker("time.sleep(60)")
    assert process.poll() == []
    began = time.monotonic()
    process.cancel()
    assert time.monotonic() - began < 2
    assert not process.running
    assert not is_alive(process._process.pid)
    assert not process.folder.exists()


def test_polling_returns_at_once():
    process = worker("time.sleep(60)")
    longest = 0.0
    for _ in range(200):
        began = time.perf_counter()
        process.poll()
        longest = max(longest, time.perf_counter() - began)
    process.cancel()
    assert longest < 0.1


def test_a_job_that_cannot_be_prepared_leaves_no_folder(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail(folder: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        WorkerProcess(fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("end", ["quits", "is killed"])
def test_no_orphan_is_left_when_slicer_goes_away(end, tmp_path):
    """A stand-in for Slicer starts the real worker's guard, then quits or is killed."""
    guard = (
        "import sys, threading, time; from pathlib import Path; "
        "from mri_interpret.worker.child import _end_with_parent; "
        "threading.Thread(target=_end_with_parent, args=((Path(sys.argv[1]),),), daemon=True).start(); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from mri_interpret.worker.process import WorkerProcess\n"
            f"p = WorkerProcess(lambda f: None, [sys.executable, '-c', {guard!r}])\n"
            "time.sleep(1.0)\n"
            "print(p._process.pid, p.folder, flush=True)\n" + ("" if end == "quits" else "time.sleep(60)\n"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )
    pid, folder = parent.stdout.readline().split(maxsplit=1)
    if end == "is killed":
        parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=30)
    end_time = time.monotonic() + 10
    while (is_alive(int(pid)) or Path(folder.strip()).exists()) and time.monotonic() < end_time:
        time.sleep(0.05)
    assert not is_alive(int(pid))
    assert not Path(folder.strip()).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="priorities are inherited on POSIX")
@pytest.mark.parametrize("may", [True, False])
def test_the_worker_takes_normal_priority_or_says_that_it_may_not(monkeypatch, may):
    from mri_interpret.worker import child

    nice, told = [19], []

    def change(_kind, _process, value):
        if not may:
            raise PermissionError
        nice[0] = value

    monkeypatch.setattr(os, "getpriority", lambda _kind, _process: nice[0])
    monkeypatch.setattr(os, "setpriority", change)
    child._take_normal_priority(told.append)
    assert nice == [0 if may else 19]
    assert [notice.text for notice in told] == (
        [] if may else ["The work runs at Slicer's low priority (nice 19): it is slow while the computer is busy."]
    )
    nice[0] = 0
    child._take_normal_priority(told.append)
    assert len(told) == (0 if may else 1)
