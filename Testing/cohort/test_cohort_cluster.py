"""Where the work runs: how many workers fit, devices, schedulers, Slurm, and the time left."""

from __future__ import annotations

import gc
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import dask
import numpy as np
import pytest
from mri_interpret.cohort import gpu_pinning
from mri_interpret.cohort.capacity import RESERVED_BYTES, Capacity, free_memory, plan_workers
from mri_interpret.cohort.cluster import ClusterOptions, open_client, slurm_options
from mri_interpret.cohort.run_subjects import SubjectCounts
from mri_interpret.cohort.subjects import Outcome
from mri_interpret.cohort.worker_memory import MALLOC
from mri_interpret.errors import UserError

GIB = 2**30


@pytest.mark.parametrize(
    ("wanted", "subjects", "free_gib", "cores", "gpus", "workers", "threads"),
    [
        (None, 100, 64, 8, 0, 4, 2),  # by the cores
        (8, 100, 64, 8, 0, 8, 1),  # as asked
        (8, 100, 10, 8, 0, 4, 2),  # by the memory: (10 - 1) / 2
        (None, 2, 64, 8, 0, 2, 4),  # no more than subjects
        (None, 100, 64, 8, 2, 2, 4),  # by the GPUs
        (6, 100, 64, 8, 2, 2, 4),
        (None, 100, 64, 1, 0, 1, 1),
    ],
)
def test_workers_fit_into_memory_cores_and_gpus(
    wanted: int | None, subjects: int, free_gib: int, cores: int, gpus: int, workers: int, threads: int
) -> None:
    found = plan_workers(wanted, subjects, available=free_gib * GIB, cores=cores, gpus=gpus, per_worker=2 * GIB)
    assert (found.workers, found.threads) == (workers, threads)
    assert found.workers * found.memory <= free_gib * GIB - RESERVED_BYTES
    assert bool(found.note) == (wanted is not None and workers < wanted)


def test_too_little_memory_and_no_worker() -> None:
    with pytest.raises(UserError, match=r"2\.0 GiB of memory are free"):
        plan_workers(None, 3, available=2 * GIB, cores=4, per_worker=2 * GIB)
    with pytest.raises(UserError, match="at least 1"):
        plan_workers(0, 3, available=64 * GIB, cores=4)
    assert 0 < free_memory() < 2**50


_PIN = """
import os, sys, time
from pathlib import Path
from mri_interpret.cohort import gpu_pinning
os.environ.pop(gpu_pinning.VARIABLE, None)
print("device", gpu_pinning.pin_device(2, Path(sys.argv[1])), flush=True)
time.sleep(60)
"""


def start_worker(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that pins a device and stays, and the device it got."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen(
        [sys.executable, "-c", _PIN, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    return worker, worker.stdout.readline().removeprefix("device").strip()


def test_each_worker_process_gets_a_device_of_its_own(tmp_path: Path) -> None:
    workers = []
    try:
        workers = [start_worker(tmp_path) for _ in range(3)]
        assert [device for _, device in workers] == ["0", "1", ""]  # none is left for the third
        workers[0][0].kill()
        workers[0][0].wait(10)
        workers.append(start_worker(tmp_path))
        assert workers[-1][1] == "0"  # a killed worker's device is free again
    finally:
        for worker, _ in workers:
            worker.kill()
            worker.communicate()


def test_workers_share_the_devices_that_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the machine's devices, by number or by name, as Slurm gives them to a job with several."""
    for number, given in enumerate(("3,5,7", "GPU-8a1f,GPU-0b2c,MIG-77")):
        folder, pinned = tmp_path / str(number), []
        for _ in range(4):
            monkeypatch.setenv(gpu_pinning.VARIABLE, given)
            pinned.append(gpu_pinning.pin_device(8, folder))
            assert os.environ[gpu_pinning.VARIABLE] == pinned[-1]
        assert pinned == [*given.split(","), ""]  # each once, and none of the others
    monkeypatch.setenv(gpu_pinning.VARIABLE, "")
    assert gpu_pinning.pin_device(8, tmp_path) == ""  # devices were hidden on purpose


def test_a_device_that_was_given_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpu_pinning.VARIABLE, "5")
    assert gpu_pinning.pin_device(8, tmp_path) == "5"
    assert gpu_pinning.pin_worker("cpu") == ""


def test_an_unreachable_scheduler_is_a_sentence_and_leaves_nothing_to_close(tmp_path: Path) -> None:
    """A client left to the garbage collector waited for ever when that ran while another cluster started."""
    from distributed import Client

    where = ClusterOptions(scheduler="tcp://127.0.0.1:9", timeout=1.0)
    with pytest.raises(UserError, match=r"tcp://127\.0\.0\.1:9 cannot be reached"), open_client(where, None, tmp_path):
        pass
    with (
        pytest.raises(UserError, match="cannot be reached"),
        open_client(ClusterOptions(scheduler="nonsense:x"), None, tmp_path),
    ):
        pass
    assert {one.status for one in gc.get_objects() if issubclass(type(one), Client)} <= {"closed"}


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Nanny failed to start.")])
def test_local_workers_that_do_not_start_are_a_sentence(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(**_options: object) -> None:
        raise error

    monkeypatch.setattr("distributed.LocalCluster", failing)
    with (
        pytest.raises(UserError, match=r"local workers did not start \((the computer is too busy|Nanny failed)"),
        open_client(ClusterOptions(device="cpu"), Capacity(1, 1, 2 * GIB), tmp_path),
    ):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers_is_a_sentence(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster:
        # Long enough to connect on a busy machine: timeout is for connecting and for workers alike.
        where = ClusterOptions(scheduler=cluster.scheduler_address, timeout=10.0)
        with pytest.raises(UserError, match=r"^No worker of tcp"), open_client(where, None, tmp_path):
            pass


def test_worker_processes_keep_the_memory_that_they_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dask's own choice asks the kernel for the pages of every array again: 500 page faults for 2 MiB."""
    for name in MALLOC:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")  # the user's choice stays
    where = ClusterOptions(device="cpu", timeout=200)
    with open_client(where, Capacity(1, 1, 2 * GIB), tmp_path / "out") as client:
        assert client.submit(os.getenv, "MALLOC_ARENA_MAX").result(timeout=200) == "2"
        assert (
            client.submit(os.getenv, "MALLOC_TRIM_THRESHOLD_").result(timeout=200) == MALLOC["MALLOC_TRIM_THRESHOLD_"]
        )
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    with open_client(where, Capacity(1, 1, 2 * GIB), tmp_path / "out") as client:
        faults = client.submit(_page_faults, 20, 2**19).result(timeout=200)
    if platform.libc_ver()[0] == "glibc":
        assert faults < 20 * 500 / 4


def _page_faults(arrays: int, size: int) -> int:
    """Of ``arrays`` arrays of ``size`` floats in turn, each freed before the next, after the first."""
    import resource

    np.ones(size, np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        np.ones(size, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_slurm_options() -> None:
    assert slurm_options("queue=short, cores=4") == {"queue": "short", "cores": "4"}
    for text in ("partition=x", "cores", "cores="):
        with pytest.raises(UserError, match="do not include"):
            slurm_options(text)
    with pytest.raises(UserError, match="whole numbers"), open_client(ClusterOptions(slurm="cores=two"), None, Path()):
        pass


def test_slurm_jobs_are_submitted_and_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for sbatch runs each job's script here, as Slurm would on a node."""
    commands = tmp_path / "commands"
    commands.mkdir()
    scripts = {
        "sbatch": f'cd {tmp_path}\ncp "$1" job.sh\nbash job.sh >job.log 2>&1 &\necho "Submitted batch job $!"',
        "scancel": 'kill "$@" 2>/dev/null\ntrue',
    }
    for name, text in scripts.items():
        (commands / name).write_text(f"#!/bin/bash\n{text}\n")
        (commands / name).chmod(0o755 | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    where = ClusterOptions(
        slurm="queue=short,cores=2,memory=3GB,walltime=00:10:00,gpus=1,jobs=1", device="cpu", timeout=200
    )
    with (
        dask.config.set({"jobqueue.slurm.job-script-prologue": ["export OF_THE_USER=1"]}),
        open_client(where, None, tmp_path / "out") as client,
    ):
        assert client.submit(os.getpid, pure=False).result(timeout=200) != os.getpid()
        assert client.submit(os.getenv, "OF_THE_USER").result(timeout=200) == "1"
        for name, value in MALLOC.items():
            assert client.submit(os.getenv, name).result(timeout=200) == value
    script = (tmp_path / "job.sh").read_text()
    for line in ("#SBATCH -p short", "--cpus-per-task=2", "#SBATCH --gres=gpu:1", "-t 00:10:00", "--nthreads 1"):
        assert line in script


def test_missing_sbatch_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    where = ClusterOptions(slurm="jobs=1", timeout=3)
    with pytest.raises(UserError, match="sbatch"), open_client(where, None, tmp_path):
        pass


def test_the_tally_tells_pace_and_time_left() -> None:
    time = [0.0]
    counts = SubjectCounts(10, skipped=3, now=lambda: time[0])
    assert counts.seconds_left() is None
    assert counts.seconds_each() is None
    for number in range(4):
        time[0] += 5.0  # two workers, ten seconds each
        counts.add(Outcome(f"sub-{number}", 10.0, "bad" if number == 3 else ""))
    assert counts.seconds_left() == pytest.approx(30.0)
    assert counts.seconds_each() == 10.0
    assert counts.fraction == 0.4
    assert counts.sentence() == "4 of 10 subjects done, 1 failed, 10.0 s per subject, 3 were complete before"
    assert SubjectCounts(0).fraction == 1.0
