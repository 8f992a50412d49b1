"""The reference pages lack nothing that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import mri_interpret as mi
import pytest
from mri_interpret import thresholds

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
FORMS = sorted((ROOT / "MRIInterpret" / "Resources" / "UI").glob("*.ui"))
# Headings and layout: nothing that could be used or read for itself.
NOT_CONTROLS = re.compile(r"(LayoutLabel\d+|TitleLabel|CollapsibleButton)$|^MRIInterpret$|^AddModel$")


def controls() -> list[str]:
    widgets = [widget for form in FORMS for widget in ElementTree.parse(form).iter("widget")]
    return [name for widget in widgets if not NOT_CONTROLS.search(name := widget.get("name", ""))]


def checks() -> list[str]:
    from mri_interpret.checks import outside_brain, silhouette
    from mri_interpret.checks.run_checks import CHECKS, FINITE

    names = [name for check in CHECKS for name in check.name.split(", ")]
    return [*names, FINITE, outside_brain.BORDER, outside_brain.FLUID, silhouette.MASK_EDGE]


@pytest.mark.parametrize("name", controls())
def test_every_control_of_the_panel_is_explained(name):
    assert f"| `{name}` |" in (REFERENCE / "panel.md").read_text("utf-8")


def test_the_panel_page_names_no_control_that_is_gone():
    named = re.findall(r"\| `(\w+)` \|$", (REFERENCE / "panel.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(controls())


def test_every_button_has_its_call_in_the_console():
    """Each deed is one call of the logic or of the package, which exists."""
    page = (ROOT / "docs" / "how-to" / "slicer-console.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", page.partition("## Each button's call")[2], re.MULTILINE))
    titles = [
        element.findtext("property[@name='text']/string")
        for form in FORMS
        for element in ElementTree.parse(form).iter("widget")
        if element.get("class") == "QPushButton"
    ]
    named = [title.partition(" (")[0] for title in rows if title not in ("button", "---")]
    assert sorted(named) == sorted(titles)
    panel = ROOT / "MRIInterpret" / "mri_interpret" / "panel"
    logic = (panel / "logic.py").read_text("utf-8") + (panel / "result_logic.py").read_text("utf-8")
    calls = re.findall(r"`(logic|mri_interpret)\.(\w+)\(", page.partition("## Each button's call")[2])
    assert len(calls) > len(titles)
    defined = set(re.findall(r"^    def (\w+)\(", logic, re.MULTILINE))
    for owner, name in calls:
        assert name in defined if owner == "logic" else hasattr(mi, name), name


def test_the_script_of_the_page_is_the_file_that_the_self_test_runs():
    page = (ROOT / "docs" / "how-to" / "slicer-console.md").read_text("utf-8")
    script = (ROOT / "MRIInterpret" / "Resources" / "Scripts" / "tutorial.py").read_text("utf-8")
    assert f"```python\n{script}```\n" in page


@pytest.mark.parametrize("name", mi.methods())
def test_every_method_says_what_it_means(name):
    terms = re.findall(r"^(`.*`)\n:   .*\*?", (REFERENCE / "methods.md").read_text("utf-8"), re.MULTILINE)
    assert any(f"`{name}`" in term for term in terms)


@pytest.mark.parametrize("name", checks())
def test_every_check_says_what_it_tells(name):
    assert f"[{name}](#" in (REFERENCE / "verdicts.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("check", "criterion"),
    [
        ("conservation", f"off by at most {thresholds.CONSERVATION_ERROR:.0%}"),
        ("outside the brain", f"at most {thresholds.OUTSIDE_BRAIN_SHARE:.0%}"),
        ("border of the volume", f"at most {thresholds.BORDER_SHARE:.0%}"),
        ("fluid", f"at most {thresholds.FLUID_SHARE:.0%}"),
        ("localisation", f"at least {thresholds.LOCALISATION_TIMES_CHANCE:g} times chance"),
        ("randomisation", f"rank correlation below {thresholds.RANDOMISATION_SIMILARITY:g}"),
        ("faithfulness", f"{1 - thresholds.FAITHFULNESS_LEVEL:.0%}".replace("%", "th percentile")),
        ("other class", f"rank correlation below {thresholds.OTHER_CLASS_SIMILARITY:g}"),
        ("stability", f"at least {thresholds.STABILITY_ICC:g}"),
        ("silhouette", f"below {thresholds.SILHOUETTE_SHARE:.0%}"),
        ("mask edge", f"below {thresholds.MASK_EDGE_SHARE:.0%}"),
        ("recovery", f"at most {thresholds.RECOVERY_LARGEST:.0%}; map: above {thresholds.LOCALISATION_TIMES_CHANCE:g}"),
    ],
)
def test_the_page_has_the_threshold_of_the_code(check, criterion):
    text = (REFERENCE / "verdicts.md").read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| [{check}](#")]
    assert criterion.replace("%", " %") in row


@pytest.mark.slow
def test_every_file_of_a_result_is_described(small_explanation, tmp_path):
    small_explanation.save(tmp_path / "result")
    page = (REFERENCE / "files.md").read_text("utf-8")
    for path in sorted((tmp_path / "result").iterdir()):
        assert (f"`{path.name}/" if path.is_dir() else f"`{path.name}`") in page, path.name
