"""Weights and programs of a bundle: what is damaged, pickled or of another grid is refused, nothing of it is run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.bundle import load_bundle
from safetensors.torch import save_file

from Testing.models.bundles import small_network, write_small_bundle


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("hacked", "w"))


def test_pickled_and_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = write_small_bundle(tmp_path / "small")
    weights = bundle / "models" / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (b"", whole[:100], b"x" * 500, pickle.dumps(_Evil())):
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            load_bundle(bundle)
    weights.unlink()
    with pytest.raises(UserError, match="holds no weights"):
        load_bundle(bundle)
    torch.save({"model": _Evil()}, bundle / "models" / "model.pt")
    with pytest.raises(UserError, match="pickled objects, which are never loaded"):
        load_bundle(bundle)
    torch.save(small_network(), bundle / "models" / "model.pt")
    with pytest.raises(UserError, match="pickled objects, which are never loaded"):
        load_bundle(bundle)
    assert not (tmp_path / "hacked").exists()


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    state = small_network().state_dict()
    state["classifier.bias"][0] = float("nan")
    save_file(state, bundle / "models" / "model.safetensors")
    with pytest.raises(UserError, match="NaN or infinite weights"):
        load_bundle(bundle)


def test_other_kinds_of_weights(tmp_path: Path) -> None:
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        expected = small_network()(image)
    bundle = write_small_bundle(tmp_path / "small", {"mri_interpret.grid.shape": [16, 16, 16]})
    (bundle / "models" / "model.safetensors").unlink()
    torch.save(small_network().state_dict(), bundle / "models" / "model.pt")
    assert torch.equal(load_bundle(bundle).network(image), expected)
    (bundle / "models" / "model.pt").unlink()
    torch.jit.trace(small_network(), image).save(str(bundle / "models" / "model.ts"))
    assert torch.allclose(load_bundle(bundle).network(image), expected, atol=1e-6)
    (bundle / "models" / "model.ts").unlink()
    torch.export.save(torch.export.export(small_network(), (image,)), bundle / "models" / "model.pt2")
    assert torch.allclose(load_bundle(bundle).network(image), expected, atol=1e-6)
    (bundle / "models" / "model.pt2").write_bytes(b"no program")
    with pytest.raises(UserError, match="is damaged, holds pickled objects, or was not written"):
        load_bundle(bundle)


def test_two_weights_files_are_refused_since_one_is_of_another_model(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    torch.save(small_network(seed=1).state_dict(), bundle / "models" / "model.pt")
    with pytest.raises(UserError, match=r"holds model\.safetensors and model\.pt: delete all but the one"):
        load_bundle(bundle)


def test_a_program_for_another_grid_is_refused(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    (bundle / "models" / "model.safetensors").unlink()
    program = torch.export.export(small_network(), (torch.rand(1, 1, 16, 16, 16),))
    torch.export.save(program, bundle / "models" / "model.pt2")
    with pytest.raises(UserError, match=r"shape \(1, 1, 16, 16, 16\), but .* \(1, 1, 96, 112, 96\)"):
        load_bundle(bundle)


def test_an_exported_program_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    bundle = write_small_bundle(tmp_path / "small", {"mri_interpret.grid.shape": [16, 16, 16]})
    (bundle / "models" / "model.safetensors").unlink()
    honest = tmp_path / "honest.pt2"
    torch.export.save(torch.export.export(small_network(), (torch.rand(1, 1, 16, 16, 16),)), honest)
    evil = io.BytesIO()
    torch.save({"x": _Evil()}, evil)
    weights = bundle / "models" / "model.pt2"
    for replaced, content in (("sample_inputs/", evil.getvalue()), ("opaque_obj_0", pickle.dumps(_Evil()))):
        with zipfile.ZipFile(honest) as source, zipfile.ZipFile(weights, "w") as target:
            hit = False
            for item in source.namelist():
                hit |= replaced in item
                target.writestr(item, content if replaced in item else source.read(item))
            if not hit:
                target.writestr(f"model/data/constants/{replaced}", content)
        with pytest.raises(UserError, match="pickled objects"):
            load_bundle(bundle)
    assert not (tmp_path / "hacked").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
