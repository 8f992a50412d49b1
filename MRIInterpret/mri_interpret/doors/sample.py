"""The scan that ships with the project."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..resources import resource

SAMPLE_NAME = "Colin27 T1"


def sample_path() -> Path:
    """The scan's file."""
    return resource("SampleData", "colin27_T1.nii.gz")


def sample_sha256() -> str:
    """The file's checksum, hexadecimal."""
    return hashlib.sha256(sample_path().read_bytes()).hexdigest()
