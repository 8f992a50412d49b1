"""Hostile bundles: nothing of them is run, nothing fills the memory, and each is refused in one sentence."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.program_check import check_archive, check_program
from mri_interpret.models.recipes.recipe import read_state
from torch import nn

from Testing.models.bundles import write_small_bundle


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch hacked",))


@pytest.fixture(autouse=True)
def nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whatever a test loads, no file called "hacked" appears."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.rglob("hacked*"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = write_small_bundle(tmp_path / "small", {"mri_interpret.grid.shape": [8, 8, 8]})
    (folder / "models" / "model.safetensors").unlink()
    return folder


def refused(bundle: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        load_bundle(bundle)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


# ---------------------------------------------------------------------- programs of torch.export


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 3))
    path = tmp_path_factory.mktemp("honest") / "model.pt2"
    torch.export.save(torch.export.export(network.eval(), (torch.rand(1, 1, 8, 8, 8),)), path)
    return path


def rewritten(honest: Path, target: Path, change: Any = None, extra: dict[str, bytes] | None = None) -> None:
    """The honest program with its graph changed, or with entries more."""
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(target, "w") as made:
        top = source.namelist()[0].partition("/")[0]
        for name in source.namelist():
            content = source.read(name)
            if change is not None and name.endswith("models/model.json"):
                record = json.loads(content)
                change(record)
                content = json.dumps(record).encode()
            made.writestr(name, content)
        for name, content in (extra or {}).items():
            made.writestr(f"{top}/{name}", content)


def first_target(value: str) -> Any:
    def change(record: dict[str, Any]) -> None:
        record["graph_module"]["graph"]["nodes"][0]["target"] = value

    return change


def guards(*lines: str) -> Any:
    return lambda record: record.update(guards_code=list(lines))


def expression(text: str) -> Any:
    def change(record: dict[str, Any]) -> None:
        record["graph_module"]["graph"]["sym_int_values"] = {
            "s0": {"as_expr": {"expr_str": text, "hint": {"as_int": 8}}}
        }

    return change


def test_an_honest_program_passes(honest: Path, bundle: Path) -> None:
    rewritten(honest, bundle / "models" / "model.pt2")
    check_program(bundle / "models" / "model.pt2")
    with torch.no_grad():
        assert load_bundle(bundle).network(torch.rand(1, 1, 8, 8, 8)).shape == (1, 3)


HOSTILE_GRAPHS = {
    "os.system as an operation": (first_target("torch.os.system"), r"calls 'torch\.os\.system'"),
    "torch.load": (first_target("torch.load"), r"calls 'torch\.load'"),
    "hub": (first_target("torch.hub.load"), r"calls 'torch\.hub\.load'"),
    "an operator that calls": (first_target("_operator.call"), r"calls '_operator\.call'"),
    "an operation of files": (first_target("torch.ops.aten.from_file.default"), r"calls 'torch\.ops\.aten\.from_file"),
    "an extension": (first_target("#evil:run"), "calls '#evil:run'"),
    "a guard": (guards("__import__('os').system('touch hacked') == 0"), "holds the expression"),
    "a guard with an attribute": (guards("math.__dict__ == 1"), "holds the expression"),
    "a guard that calls": (guards("eval('1')"), "holds the expression"),
    "an expression": (expression("__import__('os').system('touch hacked')"), "holds the expression"),
    "a text in an expression": (expression("Max('__import__(\"os\")', 1)"), "holds the expression"),
    "a lambda": (expression("(lambda: 1)()"), "holds the expression"),
}


@pytest.mark.parametrize("name", HOSTILE_GRAPHS)
def test_a_program_that_would_run_code_is_not_loaded(name: str, honest: Path, bundle: Path) -> None:
    change, sentence = HOSTILE_GRAPHS[name]
    rewritten(honest, bundle / "models" / "model.pt2", change)
    refused(bundle, sentence)


def test_guards_over_sizes_are_followed(honest: Path, tmp_path: Path) -> None:
    lines = ["L['input'].size()[0] == 1", "Max(1, s0) >= 2 and not s0 == 3", "L['args'][0].stride()[1] <= 5"]
    rewritten(honest, tmp_path / "guarded.pt2", guards(*lines))
    check_program(tmp_path / "guarded.pt2")


HOSTILE_ENTRIES = {
    "data/aotinductor/model/evil.so": (b"\x7fELF", "evil.so, which no plain network needs"),
    "data/constants/opaque_obj_0": (pickle.dumps(_Evil()), "pickled objects"),
    "data/constants/opaque_obj_/x": (pickle.dumps(_Evil()), "pickled objects"),
    "data/constants/OPAQUE_OBJ_1": (pickle.dumps(_Evil()), "pickled objects"),
    "../../escaped": (b"x", "which no plain network needs"),
    "models/MODEL.JSON": (b"{}", "two entries of one name"),
}


@pytest.mark.parametrize("name", HOSTILE_ENTRIES)
def test_a_program_with_more_than_a_network_is_not_loaded(name: str, honest: Path, bundle: Path) -> None:
    content, sentence = HOSTILE_ENTRIES[name]
    rewritten(honest, bundle / "models" / "model.pt2", extra={name: content})
    refused(bundle, sentence)


# ---------------------------------------------------------------------- TorchScript, state dicts, safetensors


class _Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "hacked")
        return x.mean((2, 3, 4))


def test_a_torchscript_program_that_writes_files_is_not_loaded(bundle: Path) -> None:
    torch.jit.save(torch.jit.script(_Writes()), str(bundle / "models" / "model.ts"))
    refused(bundle, r"calls '\.save', which is no operation of a network")


SPELLINGS = [
    'torch.save(x, "hacked")',
    'torch . \n save(x, "hacked")',
    't = torch\n    t.save(x, "hacked")',
    'getattr(torch, "save")(x, "hacked")',
    'getattr(torch, "sa" "ve")(x, "hacked")',
    'getattr(torch, "\\x73ave")(x, "hacked")',
    'ops.image.read_file("x")',
    'o = ops\n    o.image.read_file("x")',
    'ops.aten.save(x, "hacked")',
]


@pytest.mark.parametrize("line", SPELLINGS, ids=range(len(SPELLINGS)))
def test_names_are_found_however_they_are_spelled(line: str, bundle: Path) -> None:
    code = f"class Evil(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    {line}\n    return x\n"
    with zipfile.ZipFile(bundle / "models" / "model.ts", "w") as made:
        made.writestr("evil/CODE/__torch__.py", code)
    refused(bundle, "which is no operation of a network")


def test_names_of_submodules_are_none_of_it(tmp_path: Path) -> None:
    code = (
        'a = getattr(self.layers, "0")\nb = ops.prim.NumToTensor(1)\nc = torch.conv3d(a, self.loaded, self.save_me)\n'
    )
    with zipfile.ZipFile(tmp_path / "model.ts", "w") as made:
        made.writestr("net/code/__torch__/net.py", code)
    check_program(tmp_path / "model.ts")


def bomb(path: Path, name: str, gibibytes: float = 0.375) -> None:
    """An archive of less than a megabyte that unfolds to hundreds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for number in range(int(gibibytes * 16)):
            made.writestr(f"{name}{number}", bytes(64 * 2**20))


@pytest.fixture(scope="module")
def zip_bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bomb") / "bomb.zip"
    bomb(path, "archive/data/")
    return path


@pytest.mark.parametrize("name", ["model.ts", "model.pt2", "model.pt"])
def test_a_zip_bomb_is_not_unfolded(name: str, zip_bomb: Path, bundle: Path) -> None:
    (bundle / "models" / name).write_bytes(zip_bomb.read_bytes())
    refused(bundle, "would unfold to 0.4 GiB")
    with pytest.raises(UserError, match="would unfold"):
        check_archive(zip_bomb)
    with pytest.raises(UserError, match="would unfold"):
        read_state(zip_bomb)


def test_a_header_of_ten_gigabytes_is_not_read(bundle: Path) -> None:
    header = struct.pack("<Q", 10 * 2**30)
    for rest in (b"", b"{" + b" " * 1000):
        (bundle / "models" / "model.safetensors").write_bytes(header + rest)
        refused(bundle, "is damaged")


def test_tensors_that_claim_more_than_the_file_holds(bundle: Path) -> None:
    record = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (bundle / "models" / "model.safetensors").write_bytes(struct.pack("<Q", len(record)) + record)
    refused(bundle, "is damaged")


# ---------------------------------------------------------------------- configurations


def test_configurations_nested_without_end(bundle: Path) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    for file in ("inference.json", "metadata.json"):
        path = bundle / "configs" / file
        before = path.read_text()
        path.write_text('{"network_def": ' + deep + ', "mri_interpret": ' + deep + "}")
        (bundle / "models" / "model.pt").write_bytes(b"")
        refused(bundle, "cannot be read as JSON")
        path.write_text(before)


def test_a_configuration_of_many_megabytes(bundle: Path) -> None:
    (bundle / "configs" / "metadata.json").write_text('{"a": "' + "x" * 17 * 2**20 + '"}')
    refused(bundle, "larger than any such JSON file")


def test_imports_in_a_configuration_are_not_run(bundle: Path) -> None:
    path = bundle / "configs" / "inference.json"
    (bundle / "models" / "model.pt").write_bytes(b"")
    for definition in ("$import os; os.system('touch hacked')", {"_target_": "$import os"}, {"_target_": "os.system"}):
        path.write_text(json.dumps({"imports": ["$import os"], "network_def": definition}))
        refused(bundle, "is not evaluated here|is not known")
