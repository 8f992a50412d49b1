"""The scripts in benchmarks, oracles and tools can be imported, and say how they are run."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parent
SCRIPTS = sorted(
    path
    for room in ("benchmarks", "oracles", "tools")
    for path in (TESTING / room).glob("*.py")
    if path.name != "__init__.py"
)
RUN = [path for path in SCRIPTS if 'if __name__ == "__main__":' in path.read_text("utf-8")]
# Libraries that only these scripts need, and that may be missing or may not fit the torch at hand.
PEERS = ("captum", "clinicadl", "medcam", "monai", "torchio", "torchvision", "zennit", "slicer", "PySide6")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(TESTING.parent).with_suffix("").parts)


def peers_of(path: Path) -> set[str]:
    """The libraries that a script imports, also through attribution_peers.py or the stand-in for Slicer's window."""
    text = path.read_text("utf-8")
    peers = {peer for peer in PEERS if re.search(rf"^(from|import) {peer}\b", text, re.MULTILINE)}
    if "attribution_peers" in text:
        peers.add("zennit")
    if "Testing.host" in text:
        peers |= {"slicer", "PySide6"}
    return peers


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_the_script_can_be_imported(path):
    for peer in sorted(peers_of(path)):
        try:
            importlib.import_module(peer)
        except Exception as error:
            pytest.skip(f"{peer} cannot be imported: {error}")
    importlib.import_module(name_of(path))


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_script_says_how_it_is_run(path):
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert f"python -m {name_of(path)}" in text
