"""One server for the tests in a browser, on folders that hold a result, a newer one, and a scan."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.images.writing import save_nifti

from Testing.fixtures_explanation import MODEL_GRID, with_known_maps
from Testing.models.bundles import write_small_bundle

GRACE = 2.0  # seconds that a session outlives its page
_SERVE = (
    "import sys; from pathlib import Path; from mri_interpret.web.server import ServerOptions, serve; "
    f"serve(ServerOptions((Path(sys.argv[1]),), 0, grace_seconds={GRACE}), lambda address: print(address, flush=True))"
)


@dataclass
class Served:
    """A server under test."""

    process: subprocess.Popen[str]
    address: str
    temporary: Path  # where it and its sessions keep their files
    explanation: Explanation  # the saved one

    def descendants(self) -> list[psutil.Process]:
        """Sessions and their workers that live."""
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, small_explanation: Explanation) -> Iterator[Served]:
    """``mri-interpret view`` on a folder, with a small network as the only model beside the bundled one."""
    pytest.importorskip("slicer")
    pytest.importorskip("trame_rca", reason="The extra web is not installed.")
    base = tmp_path_factory.mktemp("view")
    explanation = with_known_maps(small_explanation)
    explanation.save(base / "open" / "small")
    shutil.copytree(base / "open" / "small", base / "open" / "newer")
    index = base / "open" / "newer" / "explanation.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "version": 999}))
    brain = np.where(explanation.mask.array > 0, explanation.scan.array, 0)
    save_nifti(explanation.scan.with_array(brain), base / "open" / "brain.nii.gz")
    write_small_bundle(base / "models" / "small", {"mri_interpret.grid": MODEL_GRID}, seed=2)
    temporary = base / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(base / "open")],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "MRI_INTERPRET_MODELS": str(base / "models"),
            "MRI_INTERPRET_CACHE": str(base / "cache"),
        },
    )
    assert process.stdout is not None
    yield Served(process, process.stdout.readline().strip(), temporary, explanation)
    process.send_signal(signal.SIGINT)
    process.wait(30)
