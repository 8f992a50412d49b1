"""One subject, from scan to complete folder. Runs in a worker; what is wrong with a subject is returned, not raised."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import sys
import threading
import time
import traceback
from functools import lru_cache
from pathlib import Path

from ..anatomy.atlas import Atlas, load_atlas
from ..anatomy.freesurfer import is_parcel
from ..anatomy.segmentation import Segmentation
from ..errors import Cancelled, UserError
from ..explanation.options import DEFAULTS
from ..models.bundle import ModelBundle, load_bundle
from ..preprocessing.cache import PreprocessingCache
from .derivatives import write_derivatives
from .folders import completing
from .subject_result import forget_failure, note_failure, write_record
from .subjects import Outcome, SubjectJob

_FULL = (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC, errno.EFBIG)
STOP = threading.Event()  # cancels the subjects of this process, where workers are threads


def explain_subject(job: SubjectJob) -> Outcome:
    """Explain a subject and write its folder, or note why that failed."""
    name = job.subject.name
    start = time.monotonic()
    trace = ""
    full = False
    _release_memory()
    try:
        _explain_and_write(job)
        reason = ""
    except Cancelled:
        raise
    except UserError as error:
        reason, full = str(error), disk_is_full(error)
    except MemoryError:
        reason = "There was not enough memory: use fewer workers, or a scan with fewer voxels."
    except OSError as error:
        full = disk_is_full(error)
        reason = f"Cannot write into {job.output}: {error.strerror or error}."
    except Exception as error:
        trace = traceback.format_exc()
        reason = f"Unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if full:
        # The next subject would fail too: the run stops, and goes on with this one when it is started again.
        return Outcome(name, time.monotonic() - start, reason, disk_full=True)
    if reason:
        note_failure(job.output, name, reason, trace)
    else:
        forget_failure(job.output, name)
    return Outcome(name, time.monotonic() - start, reason, peak_memory=_peak_memory())


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is a full disk or quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def _explain_and_write(job: SubjectJob) -> None:
    from ..explanation.job import explain

    subject, settings = job.subject, job.settings
    if job.threads:
        import torch

        torch.set_num_threads(job.threads)
    bundle = _bundle(job.model, job.model_hash)
    started = time.monotonic()
    explanation = explain(
        subject.scan,
        model=bundle,
        inputs=subject.inputs,
        methods=settings.methods,
        target=settings.target,
        goal=settings.goal,
        device=job.device,
        mask=subject.mask or settings.mask,
        space=settings.space,
        atlas=_atlas(settings.atlas) if settings.atlas else DEFAULTS.atlas,
        regions=settings.regions,
        segmentation=subject.segmentation or DEFAULTS.segmentation,
        trust=settings.trust,
        reference=list(settings.reference),
        cache=PreprocessingCache(enabled=job.cache),
        progress=_checked,
    )
    explained = time.monotonic()
    with completing(job.output, subject.folder) as aside:
        files = write_derivatives(explanation, aside, subject.name, native=settings.native, page=settings.pages)
        content = {
            "scan": str(subject.scan),
            **({"inputs": {name: str(path) for name, path in subject.inputs.items()}} if subject.inputs else {}),
            "scan_sha256": job.scan_hash,
            "model_sha256": job.model_hash,
            "prediction": {
                "predicted": explanation.prediction.predicted,
                "probabilities": explanation.prediction.probabilities,
                "logits": explanation.prediction.logits,
                "members_sd": explanation.prediction.members_sd,
                "members": explanation.prediction.members,
            },
            "target": {"name": explanation.target.name, "value": explanation.target.value},
            "methods": {
                name: {"title": entry.title, "signed": entry.signed, "units": entry.units}
                for name, entry in explanation.maps.items()
            },
            "counterfactuals": {
                name: {"goal": one.goal, "reached": one.reached, "plausible": one.plausible, "size": one.size}
                for name, one in explanation.counterfactuals.items()
            },
            "registration": explanation.registration.verdict,
            "warnings": list(explanation.warnings),
            "unsure_structures": _unsure(explanation.anatomy),
            "input_warnings": list(explanation.input_warnings),
            "seconds": {"explaining": explained - started, "writing": time.monotonic() - explained},
            "peak_memory_bytes": _peak_memory(),
        }
        write_record(aside, subject, job.key, content, files)


def _unsure(anatomy: Segmentation | None) -> list[str]:
    """Structures, without parcels of the cortex, that are large enough for a statement but unsure."""
    found = anatomy.structures if anatomy is not None else ()
    return [one.name for one in found if not (one.sure or one.too_small or is_parcel(one.label))]


def _release_memory() -> None:
    """Return the memory of the previous subject: figures are reference cycles, and the allocator keeps freed pages."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # other C libraries than glibc have no malloc_trim
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _checked(step: str, fraction: float) -> None:
    if STOP.is_set():
        raise Cancelled(step)


@lru_cache(maxsize=1)
def _bundle(path: Path, expected: str) -> ModelBundle:
    bundle = load_bundle(path)
    if bundle.hash != expected:
        raise UserError(
            f"The weights in {path} on this worker differ from those that the run was planned with: "
            "copy the same model there."
        )
    return bundle


@lru_cache(maxsize=1)
def _atlas(named: tuple[str, str]) -> Atlas:
    return load_atlas(*named)


def _peak_memory() -> int:
    from ..explanation.provenance import peak_memory

    return peak_memory() or 0
