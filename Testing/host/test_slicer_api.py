"""Every name that the panel takes from a widget, from Qt or from Slicer exists in a real Slicer.

slicer_api.json was read off a running Slicer (its version is in it), class by class, as PythonQt shows them. The
stand-in cannot vouch for names: it has what the panel asks for.
"""

from __future__ import annotations

import ast
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULE = HERE.parents[1] / "MRIInterpret"
SOURCES = sorted([*(MODULE / "mri_interpret" / "panel").glob("*.py"), MODULE / "MRIInterpret.py"])
API = json.loads((HERE / "slicer_api.json").read_text(encoding="utf-8"))
FORM = ET.parse(MODULE / "Resources" / "UI" / "MRIInterpret.ui").getroot()
CLASSES = {element.get("name"): element.get("class") for element in FORM.iter("widget")}


def names(cls: str) -> set[str]:
    return set(API["QWidget"]) | set(API["widgets"].get(cls, []))


def chain(node: ast.AST) -> list[str]:
    """``self.ui.jumpButton.text`` as its parts; empty for what is no such chain."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [*([node.id] if isinstance(node, ast.Name) else []), *reversed(parts)]


def chains(path: Path) -> Iterator[list[str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield chain(node)


def test_what_the_panel_asks_of_its_widgets_is_there():
    asked = 0
    for path in SOURCES:
        for parts in chains(path):
            if "ui" in parts[:-2]:
                name, attribute = parts[parts.index("ui") + 1], parts[parts.index("ui") + 2]
                assert name in CLASSES, f"{path.name}: the form has no {name}"
                assert attribute in names(CLASSES[name]), f"{path.name}: {CLASSES[name]} has no {attribute}"
                asked += 1
    assert asked > 60


def test_signals_that_the_panel_connects_have_these_arguments():
    connected = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect":
                parts, signature = chain(node.func), node.args[0].value
                if "ui" not in parts:
                    continue
                cls = CLASSES[parts[parts.index("ui") + 1]]
                signal = signature.partition("(")[0]
                own = [known for known in API["signals"].get(cls, []) if known.startswith(f"{signal}(")]
                assert signature in own if own else signal in names(cls), f"{cls} has no signal {signature}"
                connected += 1
    assert connected > 20


def test_what_is_taken_from_qt_and_from_slicer_is_there():
    known = set(API["others"]) | set(API["widgets"]) | {"QWidget"}
    found = set()
    for path in SOURCES:
        for parts in chains(path):
            if parts[0] == "qt" and len(parts) > 1:
                assert parts[1] in known, parts
                found.add(parts[1])
                if len(parts) > 2 and parts[1] in API["others"]:
                    assert parts[2] in API["others"][parts[1]], parts
            elif parts[:2] in (["slicer", "util"], ["slicer", "app"]) and len(parts) > 2:
                assert parts[2] in API[".".join(parts[:2])], parts
                found.add(".".join(parts[:3]))
    assert {"QTimer", "QTableWidgetItem", "slicer.util.loadUI"} <= found


@pytest.mark.parametrize("widget", list(FORM.iter("widget")), ids=lambda element: element.get("name"))
def test_the_form_sets_properties_that_its_widgets_have(widget):
    for element in widget.findall("property"):
        if element.get("name") != "SlicerParameterName":
            assert element.get("name") in names(widget.get("class")), element.get("name")


def test_labels_lead_to_widgets_that_exist():
    for element in FORM.iter("cstring"):
        assert element.text in CLASSES


def test_the_address_of_the_repository_stands_in_two_files_only():
    """So that it can be set at publication; CONTRIBUTING.md names them."""
    root = MODULE.parent
    holding = {
        path.relative_to(root).as_posix()
        for pattern in ("*.py", "*.txt", "*.json", "*.toml", "*.cff", "*.md", "*.ui")
        for path in [*root.glob(pattern), *MODULE.rglob(pattern)]
        if "github.com/MRIInterpret/" in path.read_text(encoding="utf-8").replace("raw.githubusercontent", "raw.github")
    }
    assert holding == {"CMakeLists.txt", "MRIInterpret.json", "CONTRIBUTING.md"}
