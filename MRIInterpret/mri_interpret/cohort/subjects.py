"""The subjects of a cohort and what is done with each: plain values that are sent to worker processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..explanation.options import DEFAULTS

UNKNOWN = ""  # the group of a subject for which the table names none


@dataclass(frozen=True)
class Subject:
    """One row of the participants table."""

    id: str  # BIDS label, letters and digits, without "sub-"
    scan: Path
    group: str = UNKNOWN  # one of the model's classes (for a quantity: as the table calls it), or UNKNOWN
    session: str = ""  # BIDS label without "ses-"
    mask: Path | None = None  # the table's own brain mask for this scan
    segmentation: Path | None = None  # the table's own segmentation of this scan
    covariates: dict[str, float | str] = field(default_factory=dict)  # without missing values
    truth: float | None = None  # of the quantity that the model returns, if the table has it
    labels: dict[str, bool] = field(default_factory=dict)  # of a model of labels: those that the table tells of
    inputs: dict[str, Path] = field(default_factory=dict)  # the model's further inputs, by channel

    @property
    def name(self) -> str:
        """How its files' names begin: sub-01, or sub-01_ses-a."""
        return f"sub-{self.id}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def folder(self) -> Path:
        """Where the subject's files lie in the output: sub-01, or sub-01/ses-a."""
        return Path(f"sub-{self.id}") / (f"ses-{self.session}" if self.session else "")


@dataclass(frozen=True)
class Settings:
    """Everything that a subject's result depends on, besides the scan and the model."""

    methods: tuple[str, ...]
    target: str
    mask: str = DEFAULTS.mask
    space: str = DEFAULTS.space
    atlas: tuple[str, str] | None = DEFAULTS.atlas  # label image and table instead of Desikan-Killiany
    regions: str = DEFAULTS.regions
    trust: str = DEFAULTS.trust
    native: bool = True  # write the maps on the scan's grid too
    pages: bool = True  # write each subject's report page
    goal: str = DEFAULTS.goal  # of a volume counterfactual
    reference: tuple[str, ...] = DEFAULTS.reference  # maps that the maps are compared with


@dataclass(frozen=True)
class SubjectJob:
    """One subject to be explained, as a worker gets it."""

    subject: Subject
    settings: Settings
    output: Path  # of the cohort
    key: str  # hash of everything the result depends on
    scan_hash: str
    model: Path  # the bundle's folder
    model_hash: str
    device: str = DEFAULTS.device
    threads: int = 0  # for torch; 0: its own default
    cache: bool = DEFAULTS.cache


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    name: str
    seconds: float
    reason: str = ""  # why it failed; empty if it did not
    disk_full: bool = False
    peak_memory: int = 0  # of the worker process, bytes; 0 if not known

    @property
    def failed(self) -> bool:
        return bool(self.reason)
