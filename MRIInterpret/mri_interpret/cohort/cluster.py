"""Where the subjects are explained: in worker processes or threads here, on a dask cluster, or in Slurm jobs."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UserError
from ..explanation.options import DEFAULTS
from .capacity import SUBJECT_BYTES, Capacity, free_memory, plan_workers, usable_cores, usable_gpus
from .gpu_pinning import pin_worker
from .worker_memory import job_prologue, workers_keep_memory

_SLURM = {  # option here -> dask-jobqueue's
    "queue": "queue",
    "account": "account",
    "cores": "cores",
    "memory": "memory",
    "walltime": "walltime",
    "jobs": "",
    "gpus": "",
    "python": "python",
}


@dataclass(frozen=True)
class ClusterOptions:
    """Where to run, as the user chose; at most one of ``scheduler`` and ``slurm``."""

    workers: int | None = None
    scheduler: str = ""  # "tcp://host:8786"
    slurm: str = ""  # "queue=short,cores=2,memory=6GB,walltime=02:00:00,jobs=20"
    threads: bool = False  # threads of this process instead of worker processes
    device: str = DEFAULTS.device
    memory: int = SUBJECT_BYTES  # bytes that one subject needs
    timeout: float = 60.0  # seconds to wait for a scheduler or its first worker


def local_capacity(options: ClusterOptions, subjects: int) -> Capacity:
    """How many workers this machine can run."""
    gpus = usable_gpus(options.device)
    return plan_workers(
        options.workers, subjects, available=free_memory(), cores=usable_cores(), gpus=gpus, per_worker=options.memory
    )


@contextmanager
def open_client(options: ClusterOptions, capacity: Capacity | None, output: Path) -> Iterator[Any]:
    """A dask client whose workers are ready; closed with everything it started.

    Parameters
    ----------
    options
        Which cluster.
    capacity
        From :func:`local_capacity`, for the local ones.
    output
        The cohort's output folder, which every worker must see.

    Raises
    ------
    UserError
        If the scheduler cannot be reached, has no workers, or has workers that cannot do the work.
    """
    cluster = _open_cluster(options, capacity)
    try:
        try:
            client = _connect(cluster or options.scheduler, options.timeout)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"The scheduler {options.scheduler or 'of the local cluster'} cannot be reached "
                f"({' '.join(str(error).split())[:120]}): check that dask-scheduler runs there, and the port."
            ) from error
        with client:
            _check_workers(client, options, capacity, output)
            yield client
    finally:
        if cluster is not None:
            cluster.close()


def _connect(where: Any, timeout: float) -> Any:
    """A client of a cluster or a scheduler's address; closed before the error is raised if it cannot connect."""
    from distributed import Client

    class ClosedOnFailure(Client):  # type: ignore[misc]
        """dask leaves a client that could not connect to the garbage collector. That may run while another cluster
        starts, whose lock the closing client then waits for, for ever."""

        def __init__(self) -> None:
            try:
                super().__init__(where, timeout=timeout, set_as_default=False)
            except BaseException:
                self.close()
                raise

    return ClosedOnFailure()


def _open_cluster(options: ClusterOptions, capacity: Capacity | None) -> Any:
    if options.scheduler:
        return None
    if options.slurm:
        return _slurm_cluster(options.slurm, options.workers)
    from distributed import LocalCluster

    assert capacity is not None
    processes = not options.threads
    try:
        with workers_keep_memory():
            return LocalCluster(
                n_workers=capacity.workers if processes else 1,
                threads_per_worker=1 if processes else capacity.workers,
                processes=processes,
                memory_limit=capacity.memory * (1 if processes else capacity.workers),
                dashboard_address=None,
                host="127.0.0.1" if processes else None,
                silence_logs=50,  # the run itself reports when a worker ends
            )
    except (AssertionError, RuntimeError, TimeoutError) as error:  # dask's loop has ten seconds to start
        raise UserError(
            f"The local workers did not start ({' '.join(str(error).split())[:120] or 'the computer is too busy'}): "
            "close other programs, or ask for fewer workers, and start the cohort again; what is done is kept."
        ) from error


def slurm_options(text: str) -> dict[str, str]:
    """ "queue=short,cores=2" as a dictionary.

    Raises
    ------
    UserError
        For an unknown option, or one without a value.
    """
    options = {}
    for part in filter(None, (entry.strip() for entry in text.split(","))):
        name, _, value = part.partition("=")
        if name not in _SLURM or not value:
            known = ", ".join(f"{word}=..." for word in _SLURM)
            raise UserError(f"The Slurm options do not include '{part}': choose from {known}.", option="slurm")
        options[name] = value
    return options


def _slurm_cluster(text: str, workers: int | None) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UserError("Slurm jobs need dask-jobqueue: pip install 'mri-interpret[slurm]'.") from error

    given = {"cores": "2", "memory": "6GB", "walltime": "04:00:00", "jobs": str(workers or 1)} | slurm_options(text)
    extra = [f"--gres=gpu:{given['gpus']}"] if "gpus" in given else []
    named: dict[str, Any] = {_SLURM[key]: value for key, value in given.items() if _SLURM[key]}
    try:
        cores, jobs = int(named.pop("cores")), int(given["jobs"])
    except ValueError as error:
        raise UserError("The Slurm options cores and jobs must be whole numbers.", option="slurm") from error
    if shutil.which("sbatch") is None:
        raise UserError("Slurm's command sbatch is not found here: run this on a node from which jobs are submitted.")
    try:
        # One subject at a time and job: torch uses the job's cores by itself.
        cluster = SLURMCluster(
            cores=1, job_cpu=cores, processes=1, job_extra_directives=extra, job_script_prologue=job_prologue(), **named
        )
        cluster.scale(jobs=jobs)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"Slurm refuses the jobs ({' '.join(str(error).split())[:160]}).") from error
    return cluster


def _check_workers(client: Any, options: ClusterOptions, capacity: Capacity | None, output: Path) -> None:
    source = options.scheduler or ("Slurm" if options.slurm else "the local cluster")
    try:
        client.wait_for_workers(1, timeout=options.timeout)
    except TimeoutError as error:
        raise UserError(
            f"No worker of {source} appeared within {options.timeout:.0f} s: start some, and check their logs."
        ) from error
    output.mkdir(parents=True, exist_ok=True)
    try:
        found = client.run(_look_around, str(output))
    except Exception as error:
        raise UserError(
            f"The workers of {source} cannot run MRIInterpret ({' '.join(str(error).split())[:160]}): install "
            f"version {__version__} there."
        ) from error
    for address, (version, sees) in found.items():
        if version != __version__:
            raise UserError(
                f"The worker {address} has MRIInterpret {version}, not {__version__}: install the same version there."
            )
        if not sees:
            raise UserError(f"The worker {address} does not see {output}: choose an output folder on a shared disk.")
    if not options.threads:
        client.register_plugin(
            _preparation(options.device, capacity is not None)
        )  # for workers that are there, come later, or are restarted


def _look_around(output: str) -> tuple[str, bool]:
    from .. import __version__ as there

    return there, Path(output).is_dir()


def _preparation(device: str, ours: bool) -> Any:
    from distributed import WorkerPlugin

    class Preparation(WorkerPlugin):  # type: ignore[misc]
        """Pins the worker's device when it starts; ``ours`` are worker processes of this run, on this machine."""

        name = "mri-interpret-preparation"

        def setup(self, worker: Any) -> None:
            if ours:  # a terminal sends Ctrl-C to all of its processes; the run itself ends its workers
                with contextlib.suppress(ValueError):  # not in the main thread
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
            pin_worker(device)

    return Preparation()
