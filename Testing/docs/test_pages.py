"""The blocks of README and docs run: Python as it stands, in the order of its page; shell as far as it is cheap."""

from __future__ import annotations

import unittest
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from Testing.docs import shell_blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("python", "bash", "text", "json")
SLOW = ("mi.explain(", "mi.simulate(", "models add", "save_bundle(")  # the whole sample; models that are tried out


def check_shell(example: Example) -> None:
    shell_blocks.check(str(example.parsed))


PARSERS = [SkipParser(), PythonCodeBlockParser(), CodeBlockParser("bash", check_shell)]


def page(path: Path) -> object:
    """A page as a parameter, marked slow if its blocks are."""
    is_slow = any(word in path.read_text("utf-8") for word in SLOW)
    marks = [pytest.mark.slow, pytest.mark.timeout(600)] if is_slow else []
    return pytest.param(path, id=path.relative_to(ROOT).as_posix(), marks=marks)


@pytest.mark.parametrize("path", [page(path) for path in PAGES])
def test_the_blocks_of_the_page_run(path, reader):
    document = Document.parse(str(path), *PARSERS)
    for example in document.examples():
        try:
            example.evaluate()
        except unittest.SkipTest:
            continue
        except Exception as error:
            raise AssertionError(f"{path.name}, line {example.line}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_says_what_it_is(path):
    """A block without a language would escape the test above."""
    inside = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line.strip().startswith("```"):
            inside = not inside
            assert not inside or line.strip() in ("```python", "```bash", "```text", "```json"), (
                f"line {number}: {line}"
            )


@pytest.mark.parametrize(
    ("block", "word"),
    [
        ("mri-interpret explain scan.nii.gz --colour red", "colour"),
        ("mri-interpret explian scan.nii.gz", "explian"),
        ("mri-interpret simulate", "output"),
        ("python -m Testing.tools.nothing", "nothing"),
        ("rm -rf results", "unknown program"),
    ],
)
def test_a_shell_line_that_cannot_run_is_found(block, word):
    with pytest.raises(Exception, match=word):
        shell_blocks.check(block)
