"""A folder in which the pages' blocks find what they name, and one explanation of the sample for all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mri_interpret as mi
import pytest
from mri_interpret.images.writing import save_nifti

from Testing.sample_scan import sample_at_2_mm


@pytest.fixture(scope="session")
def explained_once() -> Callable[..., Any]:
    """``mi.explain``, run once in a session for the same request."""
    explain, known = mi.explain, {}

    def remembered(*arguments: Any, **options: Any) -> Any:
        key = repr((arguments, sorted(options.items())))
        if key not in known:
            known[key] = explain(*arguments, **options)
        return known[key]

    return remembered


@pytest.fixture(scope="session")
def scan_of_a_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample at 2 mm: every page reads it, and some write and draw its results."""
    return save_nifti(sample_at_2_mm(), tmp_path_factory.mktemp("scan") / "scan.nii.gz")


@pytest.fixture
def reader(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    explained_once: Callable[..., Any],
    scan_of_a_reader: Path,
) -> Path:
    """The folder of a reader who follows a page: a scan, a table, and nothing else."""
    shutil.copy(scan_of_a_reader, tmp_path / "scan.nii.gz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mi, "explain", explained_once, raising=False)
    monkeypatch.setenv("MRI_INTERPRET_CACHE", str(tmp_path_factory.getbasetemp() / "cache of the pages"))
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))
    return tmp_path
