"""Cohorts to test on: a small one that is really run, and a larger one whose subjects' files are written by formula."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mri_interpret.cohort.cluster import ClusterOptions
from mri_interpret.cohort.planning import Options, Plan

from Testing.cohort.cohort_scans import write_cohort
from Testing.cohort.written_cohort import write_finished_cohort
from Testing.fixtures_explanation import MODEL_GRID
from Testing.models.bundles import write_small_bundle


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A subject that is explained in this process sets torch's threads; the tests that follow keep their own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights."""
    return write_small_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def coarse_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on a grid of 4 mm, for cohorts that are really run."""
    return write_small_bundle(tmp_path_factory.mktemp("coarse bundle"), {"mri_interpret.grid": MODEL_GRID})


@pytest.fixture(scope="session")
def options(coarse_bundle: Path) -> Options:
    """The quickest that is still everything: one method, scans in template space, no checks, no pages."""
    where = ClusterOptions(workers=2, device="cpu", memory=2**30)
    return Options(
        model=str(coarse_bundle), methods=("grad_cam",), mask="none", space="mni", native=False, pages=False,
        trust="off", permutations=0, cluster=where,
    )  # fmt: skip


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of four subjects with scans, segmented: what these tests are about is how a run is run."""
    return write_cohort(tmp_path_factory.mktemp("four subjects"), ["CN", "CN", "AD", "AD"], segmented=True)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, coarse_bundle: Path) -> Plan:
    """A plan whose 11 subjects are complete, with maps and predictions that are known."""
    return write_finished_cohort(tmp_path_factory.mktemp("finished"), coarse_bundle)
