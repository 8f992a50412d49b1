"""Every name that the panel takes from a widget, Qt or Slicer is in a real Slicer, and is the same thing there.

slicer_api.json was read off a running Slicer (its version is in it), class by class, as PythonQt shows them: see
make_slicer_api.py. The stand-in cannot vouch for names: it has what the panel asks for.
"""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

from Testing.host import make_slicer_api
from Testing.host.slicer_api import API, names, properties, slots

HERE = Path(__file__).parent
MODULE = HERE.parents[1] / "MRIInterpret"
SOURCES = sorted([*(MODULE / "mri_interpret" / "panel").glob("*.py"), MODULE / "MRIInterpret.py"])
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
FORMS = [ET.parse(path).getroot() for path in sorted((MODULE / "Resources" / "UI").glob("*.ui"))]
WIDGETS = [element for form in FORMS for element in form.iter("widget")]
CLASSES = {element.get("name"): element.get("class") for element in WIDGETS}
# What methods of widgets and layouts hand out.
RETURNED = {"layout": "QVBoxLayout", "itemAt": "QLayoutItem", "takeAt": "QLayoutItem", "verticalHeader": "QHeaderView"}
# What local variables of the panel's code hold. Widgets are checked where they are used, see test_recorded_api.py.
VARIABLES = {"layout": "QVBoxLayout", "form_layout": "QFormLayout"}


def chain(node: ast.AST) -> list[str]:
    """``self.ui.jumpButton.text`` as its parts; empty for what is no such chain."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [*([node.id] if isinstance(node, ast.Name) else []), *reversed(parts)]


def attributes(path: Path) -> Iterator[tuple[ast.Attribute, str]]:
    """Every attribute in a file, and whether it is "called", "set" or "read"."""
    called = {id(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Attribute):
            stored = isinstance(node.ctx, ast.Store)
            yield node, "called" if id(node) in called else "set" if stored else "read"


def of_widgets() -> Iterator[tuple[str, str, str, str]]:
    """Of every use of a widget of the form: file, the widget's class, attribute, how it is used."""
    for path in SOURCES:
        for node, use in attributes(path):
            parts = chain(node)
            if "ui" in parts[:-2] and parts.index("ui") == len(parts) - 3:
                assert parts[-2] in CLASSES, f"{path.name}: the form has no {parts[-2]}"
                yield path.name, CLASSES[parts[-2]], parts[-1], use


def test_what_the_panel_asks_of_its_widgets_is_there():
    asked = 0
    for file, cls, attribute, _use in of_widgets():
        assert attribute in names(cls), f"{file}: {cls} has no {attribute}"
        asked += 1
    assert asked > 60


def test_properties_are_read_and_set_and_methods_are_called():
    """In PythonQt a property cannot be called, and a method that is not called is only itself."""
    uses = set()
    for file, cls, attribute, use in of_widgets():
        known = properties(cls)
        if use == "called":
            assert attribute not in known or attribute in slots(cls), f"{file}: {cls}.{attribute} is a property"
        else:
            assert attribute in known, f"{file}: {cls}.{attribute} is a method"
            assert use == "read" or known[attribute], f"{file}: {cls}.{attribute} cannot be set"
        uses.add(use)
    assert uses == {"called", "set", "read"}


def test_properties_and_methods_are_told_apart_as_in_a_real_slicer():
    assert properties("QPushButton")["text"]
    assert properties("QComboBox")["count"] is False
    assert properties("ctkSliderWidget")["value"]
    assert properties("ctkCollapsibleButton")["collapsed"]
    assert "itemText" not in properties("QComboBox")
    assert "setValue" in slots("ctkSliderWidget")
    assert "currentNode" not in properties("qMRMLNodeComboBox")


def test_what_is_asked_of_layouts_and_headers_is_there():
    asked = set()
    for path in SOURCES:
        for node, _use in attributes(path):
            value = node.value
            cls = VARIABLES.get(value.id) if isinstance(value, ast.Name) else None
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
                cls = RETURNED.get(value.func.attr)
            if cls:
                assert node.attr in names(cls), f"{path.name}: {cls} has no {node.attr}"
                asked.add(cls)
    assert asked == {"QVBoxLayout", "QFormLayout", "QLayoutItem", "QHeaderView"}


def test_signals_that_the_panel_connects_have_these_arguments():
    connected = 0
    for path in SOURCES:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect":
                parts = chain(node.func)
                if "ui" not in parts:
                    continue
                signature = node.args[0].value
                cls = CLASSES[parts[parts.index("ui") + 1]]
                signal = signature.partition("(")[0]
                own = [known for known in API["signals"].get(cls, []) if known.startswith(f"{signal}(")]
                assert signature in own if own else signal in names(cls), f"{cls} has no signal {signature}"
                connected += 1
    assert connected > 20


def test_signals_are_connected_by_their_signature():
    """``widget.clicked.connect(f)`` works in PythonQt, but hides which arguments f is given."""
    for path in SOURCES:
        for node, use in attributes(path):
            parts = chain(node)
            if use == "called" and node.attr == "connect" and "ui" in parts:
                assert len(parts) - parts.index("ui") == 3, f"{path.name}: {'.'.join(parts)}"


def test_what_is_taken_from_qt_and_from_slicer_is_there():
    known = set(API["others"]) | set(API["widgets"]) | {"QWidget"}
    found = set()
    for path in SOURCES:
        for node, _use in attributes(path):
            parts = chain(node)
            if parts[:1] == ["qt"] and len(parts) > 1:
                assert parts[1] in known, parts
                found.add(parts[1])
                if len(parts) > 2:
                    assert parts[2] in names(parts[1]), parts
            elif parts[:1] == ["ctk"] and len(parts) > 2:
                assert parts[2] in names(parts[1]), parts
                found.add(parts[1])
            elif parts[:2] in (["slicer", "util"], ["slicer", "app"]) and len(parts) > 2:
                assert parts[2] in API[".".join(parts[:2])], parts
                found.add(".".join(parts[:3]))
            elif parts[:1] == ["packaging"] and len(parts) > 1:
                assert parts[1] in API["slicer.packaging"], parts
                found.add("slicer.packaging")
    assert {"QTimer", "QTableWidgetItem", "slicer.util.loadUI", "slicer.packaging", "ctkPathLineEdit"} <= found


def test_the_product_does_not_know_the_stand_in():
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            for name in imported:
                assert name.partition(".")[0] not in ("Testing", "standin", "PySide6"), f"{path.name}: {name}"


@pytest.mark.skipif(
    not make_slicer_api.DUMPS.is_dir(), reason="the dumps of a running Slicer are not beside this checkout"
)
def test_the_copy_is_what_the_dumps_say():
    assert make_slicer_api.slicer_api() == API


def test_a_name_stands_for_one_widget():
    """The tests above tell a widget's class by its name alone."""
    assert len(CLASSES) == len(WIDGETS)


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda element: element.get("name"))
def test_the_form_sets_properties_that_its_widgets_have(widget):
    for element in widget.findall("property"):
        if element.get("name") not in ("SlicerParameterName", "buddy"):  # a dynamic one, and one of Qt's form loader
            assert properties(widget.get("class"))[element.get("name")], element.get("name")


def test_labels_lead_to_widgets_that_exist():
    for element in (element for form in FORMS for element in form.iter("cstring")):
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
