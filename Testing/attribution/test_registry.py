"""The table of methods: names, keys, facts, and how little it takes to add one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mri_interpret
import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, available_methods, create_method, registry
from mri_interpret.attribution.methods.baselines import RandomisedModel
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.attribution.methods.gradient import SmoothGrad
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.errors import UserError

from Testing.attribution.networks import plain, volume


def test_methods_of_one_name_get_separate_keys() -> None:
    methods = ["lrp", LRP(composite="epsilon"), LRP(composite="epsilon", bias="redistribute")]
    maps = Explainer(plain()).explain(volume(), 0, methods)
    assert list(maps) == ["lrp", "lrp(composite=epsilon)", "lrp(composite=epsilon, bias=redistribute)"]
    assert maps["lrp(composite=epsilon)"].details["composite"] == "epsilon"
    assert not torch.equal(maps["lrp"].map, maps["lrp(composite=epsilon)"].map)


def test_listing_the_methods_loads_no_torch() -> None:
    code = "import sys; from mri_interpret.attribution import available_methods as a; a(); "
    code += "sys.exit('torch' in sys.modules)"
    root = str(Path(mri_interpret.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


def test_registry_facts() -> None:
    found = available_methods()
    assert set(DEFAULT_METHODS) <= set(found)
    names = "gradient gradient_x_input guided_backprop smoothgrad integrated_gradients grad_cam grad_cam_pp hires_cam "
    names += "guided_grad_cam guided_grad_cam_pp lrp lrp_grad_cam_pp combination occlusion region_occlusion "
    names += "random intensity edges randomised_model volume_gradient volume_counterfactual"
    assert set(found) == set(names.split())
    assert found["lrp"].parameters == {"composite": "epsilon-plus-flat-foreground", "bias": None}
    assert found["lrp"].conserving
    assert not found["guided_backprop"].class_discriminative
    for info in found.values():
        assert info.title
        assert info.reference
        assert info.description.endswith(".")


def test_units_say_what_a_voxel_is_worth() -> None:
    methods = ["lrp", "gradient_x_input", "gradient", SmoothGrad(base=LRP(), samples=1), "grad_cam", "grad_cam_pp"]
    methods += ["lrp_grad_cam_pp", "guided_grad_cam", RandomisedModel(base=GradCam()), "intensity"]
    maps = Explainer(plain()).explain(volume(), 0, methods)
    units = {name: found.units for name, found in maps.items()}
    for name in ("lrp", "gradient_x_input", "smoothgrad", "lrp_grad_cam_pp"):
        assert units[name] == "logit"
    assert units["gradient"] == units["guided_grad_cam"] == "logit per intensity"
    for name in ("grad_cam", "grad_cam_pp", "randomised_model"):
        assert "arbitrary scale" in units[name]
    assert units["intensity"] == "intensity"


def test_one_file_adds_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "squared.py").write_text(
        "from dataclasses import dataclass\n"
        "from mri_interpret.attribution.method import Method\n"
        "@dataclass(frozen=True)\n"
        "class Squared(Method):\n"
        "    power: int = 2\n"
        "    name = 'squared'\n"
        "    title = 'Squared gradient'\n"
        "    signed = False\n"
        "    def compute(self, recorded):\n"
        "        return (recorded.input_gradient() ** self.power).sum(1), {'found': True}\n"
    )
    monkeypatch.setattr(registry.methods, "__path__", [*registry.methods.__path__, str(tmp_path)])
    registry._classes.cache_clear()
    try:
        model, x = plain(), volume()
        maps = Explainer(model).explain(x, 0, ["gradient", "squared", create_method("squared", power=4)])
        torch.testing.assert_close(maps["squared"].map, maps["gradient"].map ** 2)
        torch.testing.assert_close(maps["squared(power=4)"].map, maps["gradient"].map ** 4)
        assert maps["squared"].details["found"]
        assert available_methods()["squared"].parameters == {"power": 2}
    finally:
        registry._classes.cache_clear()
        sys.modules.pop(f"{registry.methods.__name__}.squared", None)


def test_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(UserError, match=r"choose from .*grad_cam"):
        create_method("gradcam")
    with pytest.raises(UserError, match="at least one"):
        Explainer(plain()).explain(volume(), 0, [])
    with pytest.raises(TypeError, match="a name or a Method"):
        Explainer(plain()).explain(volume(), 0, [3])
