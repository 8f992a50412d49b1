"""One set of defaults: every door gives the same numbers for the same scan."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from mri_interpret.attribution.registry import DEFAULT_METHODS, available_methods
from mri_interpret.cohort.planning import Options
from mri_interpret.cohort.subjects import Settings
from mri_interpret.command_line.app import app
from mri_interpret.command_line.arguments import method_names
from mri_interpret.doors import choices
from mri_interpret.explanation.job import explain
from mri_interpret.explanation.options import DEFAULTS, DEVICES, TRUST_LEVELS
from mri_interpret.preprocessing.pipeline import SPACES
from mri_interpret.scene_content.display_range import SHOWN_TOP_PERCENT
from mri_interpret.worker.explain_request import ExplainRequest

MODULE = Path(__file__).resolve().parents[2] / "MRIInterpret" / "MRIInterpret.py"
PARAMETERS = MODULE.parent / "mri_interpret" / "panel" / "parameters.py"
NAMES = [field.name for field in dataclasses.fields(DEFAULTS)]


def _command(name: str) -> dict[str, Any]:
    """The defaults that the command line itself would use."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given = {parameter.name: parameter.default for parameter in command.params}
    # An option that may be given again is None where it was not.
    return given | {"methods": tuple(method_names(given["methods"])), "reference": tuple(given["reference"] or ())}


def _python() -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(explain).parameters.items()}


def _fields(cls: type) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(cls)}


def _panel() -> dict[str, Any]:
    """What the panel asks of the job before the user has changed anything: the parameter node's defaults."""
    tree = ast.parse(PARAMETERS.read_text(encoding="utf-8"))
    names = {"DEFAULTS": DEFAULTS, "SHOWN_TOP_PERCENT": SHOWN_TOP_PERCENT}
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "MRIInterpretParameterNode")
    defaults = {
        entry.target.id: eval(compile(ast.Expression(entry.value), "module", "eval"), names)
        for entry in node.body
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name) and entry.value is not None
    }
    methods = choices.chosen_methods(defaults["methods"], DEFAULT_METHODS, list(available_methods()))
    chosen = choices.explain_options(SimpleNamespace(**defaults), methods, {})
    return vars(ExplainRequest(scan={}, **{name: value for name, value in chosen.items() if value is not None}))


DOORS = {
    "python": (_python, set(NAMES) - {"cache"}),  # there, a cache object or None for the user's
    "explain command": (lambda: _command("explain"), set(NAMES)),
    # Groups need one contrast for all; a segmentation belongs to one scan, so the participants table names it.
    "cohort command": (lambda: _command("cohort"), set(NAMES) - {"target", "segmentation"}),
    "cohort": (
        lambda: _fields(Options) | {"device": Options().cluster.device},
        set(NAMES) - {"target", "segmentation"},
    ),
    "cohort's subjects": (
        lambda: _fields(Settings),
        {"goal", "mask", "space", "atlas", "regions", "trust", "reference"},
    ),
    # The panel asks for no files of templates: an atlas, or maps to compare with.
    "worker": (lambda: _fields(ExplainRequest), set(NAMES) - {"atlas", "reference", "cache"}),
    "panel": (_panel, set(NAMES) - {"atlas", "reference", "cache"}),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_has_the_same_defaults(door: str) -> None:
    read, names = DOORS[door]
    found = read()
    assert {name: found[name] for name in sorted(names)} == {name: getattr(DEFAULTS, name) for name in sorted(names)}


def test_the_defaults_are_among_the_choices() -> None:
    assert DEFAULTS.trust == "fast"
    assert DEFAULTS.trust in TRUST_LEVELS
    assert DEFAULTS.device in DEVICES
    assert DEFAULTS.space in SPACES


def test_the_options_can_be_imported_when_slicer_starts() -> None:
    heavy = ("torch", "nibabel", "pandas", "scipy", "SimpleITK")
    code = f"import sys, mri_interpret.explanation.options; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=MODULE.parent, timeout=60
    )
    assert done.stdout.strip() == "[]"
