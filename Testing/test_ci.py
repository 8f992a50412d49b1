"""CI, pre-commit and the forge's workflow run the same steps, and their tools find what they are there to find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.tools import check_site

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("lint", "tests", "docs", "build")


def script() -> str:
    return (ROOT / ".ci" / "run").read_text("utf-8")


def test_pre_commit_runs_what_the_lint_step_runs():
    hooks = re.findall(r"entry: (.+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (body,) = re.findall(r"^lint\(\) \{\n(.*?)^\}", script(), re.MULTILINE | re.DOTALL)
    assert [line.strip() for line in body.splitlines()] == hooks


def test_the_workflow_runs_every_step():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert sorted(re.findall(r"\.ci/run (\w+)", workflow)) == sorted(STEPS)
    for system in ("ubuntu", "macos", "windows"):
        assert f"{system}-latest" in workflow
    for minor in (10, 11, 12, 13):
        assert f'"3.{minor}"' in workflow


def test_slow_tests_run_in_ci():
    assert "not slow" not in script()


@pytest.mark.skipif(sys.platform == "win32", reason="bash is not everywhere on Windows")
def test_an_unknown_step_is_refused():
    done = subprocess.run(["bash", ROOT / ".ci" / "run", "--here", "tets"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no step 'tets'" in done.stderr
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img src="http://example/a.png">',
        '<p style="background: url(https://example/a.png)">',
    ],
)
def test_a_site_that_fetches_from_elsewhere_is_found(page, tmp_path):
    (tmp_path / "index.html").write_text(f'<a href="https://www.slicer.org">read</a>{page}', "utf-8")
    (tmp_path / "style.css").write_text("@import 'https://example/b.css'; a { background: url(local.png) }", "utf-8")
    assert len(list(check_site.fetched(tmp_path))) == 2
