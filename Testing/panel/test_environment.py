"""Packages are installed without those that Slicer brings, and PyTorch is tried in a process of its own afterwards."""

from __future__ import annotations

import sys

import pytest
from mri_interpret.errors import UserError
from mri_interpret.panel import environment


@pytest.fixture
def packages(host, monkeypatch):
    """An installer that notes what it is asked; PyTorch is there."""
    import slicer.packaging as packaging

    calls = []
    monkeypatch.setattr(packaging, "pip_check", lambda _requirements: bool(calls))
    monkeypatch.setattr(packaging, "pip_ensure", lambda _requirements, **options: calls.append(options))
    return calls


def test_what_slicer_brings_is_skipped_and_pytorch_is_tried_once(packages, monkeypatch, tmp_path):
    tried = []
    monkeypatch.setattr(environment, "torch_problem", lambda: tried.append(1) or "")
    environment.ensure(tmp_path / "requirements.txt")
    (options,) = packages
    assert {"torch", "SimpleITK"} <= set(options["skip_packages"])
    assert tried == [1]
    environment.ensure(tmp_path / "requirements.txt")  # all is there: nothing is tried
    assert tried == [1]


def test_a_pytorch_that_does_not_start_is_one_sentence(packages, monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "torch_problem", lambda: "OSError: libcudnn.so.9: cannot open shared object file")
    with pytest.raises(UserError, match=r"does not start \(OSError: libcudnn.so.9") as caught:
        environment.ensure(tmp_path / "requirements.txt", "Add")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("Add needs PyTorch")


def test_the_last_line_says_why_a_process_could_not_import_it(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('DLL load failed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("mri_interpret.worker.process.python_executable", lambda: sys.executable)
    assert environment.torch_problem() == "ImportError: DLL load failed"
    (tmp_path / "torch.py").write_text("def zeros(count):\n    pass\n")
    assert environment.torch_problem() == ""
