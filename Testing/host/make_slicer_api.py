"""Write slicer_api.json from dumps that were read off a running Slicer: ``python -m Testing.host.make_slicer_api``.

The dumps lie beside a development checkout, in ../shared/data/slicer-api; its README says how they were made. The file
holds what the tests need of them: the classes that the form and the panel use.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DUMPS = HERE.parents[2] / "shared" / "data" / "slicer-api"
# In the form, or made or handed out by it.
WIDGETS = (
    "ctk.ctkCollapsibleButton", "ctk.ctkCollapsibleGroupBox", "ctk.ctkDirectoryButton", "ctk.ctkPathLineEdit",
    "ctk.ctkSliderWidget", "qt.QCheckBox", "qt.QComboBox", "qt.QHeaderView", "qt.QLabel", "qt.QLineEdit",
    "qt.QListWidget", "qt.QPlainTextEdit", "qt.QProgressBar", "qt.QPushButton", "qt.QTableWidget", "qt.QTextEdit",
    "qt.QWidget", "qt.QAbstractItemView", "qt.QDialog", "qt.QGroupBox",
    "qt.QFileDialog", "slicer.qMRMLNodeComboBox", "slicer.qMRMLWidget", "slicer.qSlicerScriptedLoadableModuleWidget",
)  # fmt: skip
OTHERS = (
    "qt.QAction", "qt.QApplication", "qt.QKeySequence", "qt.QTextCursor",
    "qt.QDesktopServices", "qt.QFormLayout", "qt.QIcon", "qt.QLayoutItem",
    "qt.QListWidgetItem", "qt.QPainter", "qt.QPalette", "qt.QPixmap", "qt.QStyle", "qt.QTableWidgetItem", "qt.QTimer",
    "qt.QUrl", "qt.QVBoxLayout", "qt.Qt",
)  # fmt: skip


def slicer_api() -> dict[str, Any]:
    """The content of slicer_api.json."""
    with gzip.open(DUMPS / "attributes.json.gz", "rt", encoding="utf-8") as file:
        names = json.load(file)
    described = json.loads((DUMPS / "widgets.json").read_text(encoding="utf-8"))
    classes, widgets = names["classes"], described["widgets"]
    common = set(classes["qt.QWidget"])
    every = {_short(cls): widgets[cls] for cls in (*WIDGETS, *OTHERS) if cls in widgets}
    behaviour = dict(described["behaviour"])
    return {
        "version": names["version"],
        "QWidget": sorted(common),
        "widgets": {_short(cls): sorted(set(classes[cls]) - common) for cls in WIDGETS if cls in classes},
        "others": {_short(cls): sorted(classes[cls]) for cls in OTHERS},
        "properties": {
            cls: {name: kind[1] for name, kind in facts["properties"].items()} for cls, facts in every.items()
        },
        "slots": {cls: sorted({slot.partition("(")[0] for slot in facts["slots"]}) for cls, facts in every.items()},
        "signals": {cls: facts["signals"] for cls, facts in every.items()},
        "slicer.util": names["slicer.util"],
        "slicer.app": names["slicer.app"],
        "slicer.packaging": behaviour.pop("packaging names"),
        "slicer.parameterNodeWrapper": behaviour.pop("parameterNodeWrapper names"),
        "behaviour": behaviour,
    }  # fmt: skip


def _short(cls: str) -> str:
    return cls.partition(".")[2]


def as_text(api: dict[str, Any]) -> str:
    """One line per entry, so that a difference can be read."""
    lines = []
    for key, value in api.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(content)}" for name, content in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    (HERE / "slicer_api.json").write_text(as_text(slicer_api()), encoding="utf-8")
