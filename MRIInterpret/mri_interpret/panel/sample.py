"""The scan that ships with the module."""

from __future__ import annotations

import hashlib
from typing import Any

import slicer

from ..resources import resource

SAMPLE = ("SampleData", "colin27_T1.nii.gz")
SAMPLE_NAME = "Colin27 T1"


def sample_path() -> str:
    """Where it lies."""
    return str(resource(*SAMPLE))


def sample_sha256() -> str:
    """The checksum that the Sample Data module wants."""
    return hashlib.sha256(resource(*SAMPLE).read_bytes()).hexdigest()


def load_sample() -> Any:
    """The sample's volume node; loaded if it is not in the scene yet."""
    present = slicer.mrmlScene.GetFirstNodeByName(SAMPLE_NAME)
    return present or slicer.util.loadVolume(sample_path(), {"name": SAMPLE_NAME})
