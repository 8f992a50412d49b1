"""``import mri_interpret as mi`` is light, and every public name is there on first use."""

from __future__ import annotations

import json
import subprocess
import sys

import mri_interpret as mi
import pytest

HEAVY = ("torch", "nibabel", "numpy", "pandas", "scipy", "SimpleITK", "nilearn", "matplotlib", "slicer", "vtk", "typer")
SCRIPT = """
import json, sys, time
began = time.process_time()
import mri_interpret as mi
seconds = time.process_time() - began
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.fixture(scope="module")
def fresh() -> tuple[float, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    seconds, modules = json.loads(done.stdout)
    return seconds, modules


def test_the_import_takes_less_than_300_ms(fresh):
    assert fresh[0] < 0.3


@pytest.mark.parametrize("package", HEAVY)
def test_the_import_loads_nothing_heavy(fresh, package):
    assert package not in fresh[1]


@pytest.mark.parametrize("name", mi.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(mi, name)
    assert isinstance(value, str) or value.__doc__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        mi.explian  # noqa: B018


def test_every_method_of_the_registry_is_public():
    from mri_interpret.attribution.registry import _classes

    assert {method.__name__ for method in _classes().values()} <= set(mi.__all__)


def test_every_rule_is_public():
    assert set(mi.rules()) <= set(mi.__all__)
    assert "ZPlus" in mi.rules()


def test_names_are_listed_for_completion():
    assert {"explain", "attribute", "check_map", "LRP"} <= set(dir(mi))


def test_listing_the_methods_loads_nothing_heavy():
    code = (
        "import sys, mri_interpret as mi; mi.methods(); print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert not set(HEAVY) & set(done.stdout.split())
