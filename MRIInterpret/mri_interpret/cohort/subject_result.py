"""A subject's result: the key of everything it depends on, and the record that makes its folder complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..attribution.registry import available_methods
from ..errors import UserError
from ..images.reading import read_volume
from ..json_text import to_json
from ..models.bundle import file_hash
from ..preprocessing.cache import content_hash
from .subjects import Settings, Subject

FORMAT = 5  # raise when the same input gives other files
_LOGS = "logs"
_HEADERS = (".hdr", ".img", ".mhd", ".nhdr")  # their voxels lie in a file beside them


@dataclass(frozen=True)
class SubjectResult:
    """A subject that was explained, and its files."""

    subject: Subject
    folder: Path
    record: dict[str, Any]

    def file(self, name: str) -> Path:
        """The path of a file by what it is, for instance "template/lrp" or "regions"."""
        return self.folder / self.record["files"][name]["path"]

    @property
    def predicted(self) -> str:
        return str(self.record["prediction"]["predicted"])

    @property
    def answer(self) -> str | float:
        """The predicted class, or the quantity."""
        found = self.record["prediction"]
        return self.predicted if found["probabilities"] else float(*found["logits"].values())

    @property
    def members_sd(self) -> dict[str, float]:
        """Standard deviation over the model's networks of each probability, or of the quantity; empty for one network
        and in results of versions that did not know it."""
        return dict(self.record["prediction"].get("members_sd") or {})

    @property
    def members(self) -> int:
        """Networks in the model."""
        return int(self.record["prediction"].get("members", 1))

    def value(self, quantity: str) -> float:
        """The quantity that the model returned."""
        return float(self.record["prediction"]["logits"][quantity])


def input_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names; with its voxels where they are another file."""
    if path.suffix.lower() in _HEADERS:
        with contextlib.suppress(UserError):  # a scan that cannot be read fails as a subject, and says why
            return hashlib.sha256(f"{file_hash(path)}{content_hash(read_volume(path))}".encode()).hexdigest()
    if not path.is_dir():
        return file_hash(path)
    digest = hashlib.sha256()
    for entry in sorted(path.rglob("*")):
        if entry.is_file():
            digest.update(f"{entry.relative_to(path).as_posix()}\0{file_hash(entry)}\n".encode())
    return digest.hexdigest()


def subject_key(scan_hash: str, subject: Subject, settings: Settings, model: Sequence[str]) -> str:
    """Hash of all that a result depends on: equal keys mean equal results.

    These are the scan, its mask, the further inputs, the model, the settings and the methods' defaults.

    Parameters
    ----------
    scan_hash
        From :func:`input_hash`.
    subject, settings
        Which scan with which options.
    model
        Hashes of its weights and of its metadata, which says how classes are called, how intensities are scaled, and
        which methods the summary score excludes; and of the network that segments the scan.
    """
    files = {
        "atlas": settings.atlas or (),
        "reference": settings.reference,
        "mask": _mask_files(subject, settings),
        "segmentation": [str(subject.segmentation)] if subject.segmentation else [],
    }
    parts = {
        "format": FORMAT,
        "scan": scan_hash,
        "model": list(model),
        "settings": asdict(settings),
        "parameters": {name: info.parameters for name, info in available_methods().items() if name in settings.methods},
        "files": {role: [input_hash(Path(path)) for path in paths if path] for role, paths in files.items()},
    }
    if subject.inputs:
        parts["inputs"] = {name: input_hash(path) for name, path in subject.inputs.items()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _mask_files(subject: Subject, settings: Settings) -> list[str]:
    if subject.mask is not None:
        return [str(subject.mask)]
    return [] if settings.mask in ("auto", "none") else [settings.mask]


def record_path(output: Path, subject: Subject) -> Path:
    """Where a subject's record lies."""
    return output / subject.folder / f"{subject.name}_result.json"


def write_record(
    folder: Path, subject: Subject, key: str, content: Mapping[str, Any], files: Mapping[str, Path]
) -> None:
    """Write the record that makes the subject complete, with each file's size."""
    listed = {
        name: {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size}
        for name, path in files.items()
    }
    record = {"key": key, "subject": subject.name, **content, "files": listed}
    write_text(folder / f"{subject.name}_result.json", to_json(record))


def has_result(output: Path, subject: Subject) -> bool:
    """Whether there is a result of any version, complete or not, with whatever settings."""
    earlier = output / subject.folder / f"{subject.name}_unit.json"
    return record_path(output, subject).exists() or earlier.exists()


def read_result(output: Path, subject: Subject, key: str) -> SubjectResult | None:
    """The subject's complete and unchanged result; None without a record, with another key, or if a file is missing or
    cut short."""
    path = record_path(output, subject)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["key"] != key:
            return None
        for entry in record["files"].values():
            if (path.parent / entry["path"]).stat().st_size != entry["bytes"]:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return SubjectResult(subject, path.parent, record)


def note_failure(output: Path, name: str, reason: str, trace: str = "") -> None:
    """Write why a subject failed, at once, so that an aborted run loses nothing but its unfinished subjects."""
    write_text(output / _LOGS / f"{name}.json", to_json({"subject": name, "reason": reason, "traceback": trace}))


def forget_failure(output: Path, name: str) -> None:
    """The subject succeeded after all."""
    (output / _LOGS / f"{name}.json").unlink(missing_ok=True)
