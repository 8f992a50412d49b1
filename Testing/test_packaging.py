"""A packaged extension lacks nothing, and says about itself what Slicer's Extensions Index asks for."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from Testing.tools import update_file_lists as lists

ROOT = Path(__file__).resolve().parents[1]
INDEX = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)


def metadata(name: str) -> str:
    lines = [
        line for line in (ROOT / "CMakeLists.txt").read_text("utf-8").splitlines() if line.startswith(f"set({name} ")
    ]
    assert len(lines) == 1, f"{name} must stand on one line"
    match = re.fullmatch(rf'set\({name} "(.*)"\)', lines[0])
    assert match is not None, lines[0]
    return match.group(1)


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize("name", list(lists.wanted()))
def test_cmake_lists_every_file_of_the_tree_and_no_other(name):
    written = lists.written((ROOT / "MRIInterpret" / "CMakeLists.txt").read_text("utf-8"))
    wanted = lists.wanted()[name]
    missing, extra = sorted(set(wanted) - set(written[name])), sorted(set(written[name]) - set(wanted))
    assert (missing, extra) == ([], []), "run python -m Testing.tools.update_file_lists"
    assert written[name] == wanted


def test_the_tool_writes_what_the_test_wants():
    text = (ROOT / "MRIInterpret" / "CMakeLists.txt").read_text("utf-8")
    emptied = re.sub(r"^(set\(MODULE_\w+\n).*?^  \)", r"\1  )", text, flags=re.MULTILINE | re.DOTALL)
    assert lists.written(emptied)["MODULE_PYTHON_SCRIPTS"] == []
    assert lists.written(lists.updated(emptied)) == lists.wanted()


def test_the_module_and_its_resources_are_among_the_files():
    wanted = lists.wanted()
    assert "MRIInterpret.py" in wanted["MODULE_PYTHON_SCRIPTS"]
    assert "mri_interpret/worker/explain_worker.py" in wanted["MODULE_PYTHON_SCRIPTS"]
    for name in ("Resources/UI/MRIInterpret.ui", "Resources/Icons/MRIInterpret.png", "Resources/requirements.txt"):
        assert name in wanted["MODULE_PYTHON_RESOURCES"]
    assert "Resources/ColorTables/MRIInterpretSigned.ctbl" in wanted["MODULE_DATA"]
    assert not any("Screenshots" in name for name in wanted["MODULE_DATA"])


def test_the_extension_describes_itself():
    assert "project(MRIInterpret)" in (ROOT / "CMakeLists.txt").read_text("utf-8")
    assert metadata("EXTENSION_DEPENDS") == "PyTorch"
    assert "Research use only" in metadata("EXTENSION_DESCRIPTION")
    assert metadata("EXTENSION_CONTRIBUTORS")
    assert metadata("EXTENSION_HOMEPAGE").startswith("https://")


def test_icon_and_screenshots_exist():
    urls = [metadata("EXTENSION_ICONURL"), *metadata("EXTENSION_SCREENSHOTURLS").split()]
    assert len(urls) >= 2
    for url in urls:
        path = ROOT / url.split("/main/", 1)[1]
        assert min(png_size(path)) >= 128, path
    icon = png_size(ROOT / "MRIInterpret" / "Resources" / "Icons" / "MRIInterpret.png")
    assert icon[0] == icon[1] >= 128


def test_the_index_entry_is_what_its_schema_wants():
    entry = json.loads((ROOT / "MRIInterpret.json").read_text("utf-8"))
    assert entry["$schema"] == INDEX
    assert entry["category"] == "Neuroimaging"
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["tier"] in range(1, 6)
    assert re.fullmatch(r"https://\S+\.git", entry["scm_url"])
    known = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory"}
    assert set(entry) <= known | {"enabled", "tier", "dicom_support_rule"}


def test_what_the_index_asks_of_tier_1_is_there():
    """Its pull request template: LICENSE.txt in the root, the licence's name on the homepage, words to find it by."""
    licence = (ROOT / "LICENSE.txt").read_text("utf-8")
    assert "Apache License" in licence[:200]
    assert "Apache-2.0" in (ROOT / "README.md").read_text("utf-8")
    assert 1 <= metadata("EXTENSION_DESCRIPTION").count(". ") + 1 <= 2
    lines = (ROOT / "CMakeLists.txt").read_text("utf-8").splitlines()
    (keywords,) = [line for line in lines if line.startswith("set(EXTENSION_KEYWORDS ")]
    assert len(re.findall(r'"[^"]+"', keywords)) >= 5
    assert metadata("EXTENSION_RECOMMENDS") == "QuantitativeReporting"  # reads the DICOM objects that are exported


def test_requirements_name_minimum_versions_only_and_leave_torch_to_its_extension():
    lines = (ROOT / "MRIInterpret" / "Resources" / "requirements.txt").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert packages
    for line in packages:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9.]+", line), line
        assert not line.startswith("torch")


def test_requirements_agree_with_the_package():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for line in (ROOT / "MRIInterpret" / "Resources" / "requirements.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            assert f'"{line}"' in text, f"{line} differs from pyproject.toml"
