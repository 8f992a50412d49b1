"""What a file of weights or a program must not hold, looked at before torch opens it.

torch reads more than tensors: a program of torch.export names any function of torch's modules, has conditions that are
run as Python, expressions that are evaluated, and may bring compiled libraries; a TorchScript program can write files.
A network needs none of it. The archives are read here as data, and what a plain network does not hold is refused.
"""

from __future__ import annotations

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import UserError

_ROOM = (
    256 * 2**20
)  # bytes that an archive may hold beyond its own size: code and notes are compressed, tensors are not
_EXPORTED = re.compile(
    r"([^/]+/)?("
    r"models/[^/]+\.json|data/weights/(weight_\d+|[^/]+_config\.json)|data/constants/(tensor_\d+|[^/]+_config\.json)|"
    r"data/sample_inputs/[^/]+\.pt|archive_format|archive_version|byteorder|version|\.data/[^/]+|\.format_version|"
    r"\.storage_alignment|serialized_(exported_program\.json|state_dict\.(pt|json)|constants\.(pt|json)|"
    r"example_inputs\.pt))"
)
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized|quantized_decomposed)\.\w+(\.\w+)?|torch\.(_?sym_\w+)|math\.\w+|"
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_|pos|abs)"
)
_FILE_OPERATORS = re.compile(r"torch\.ops\.aten\.(save|from_file|_?load\w*)\b")
# Operations on files, and operations of other packages, however a program spells their names.
_SCRIPTED = re.compile(
    r"\.\s*(save|load|from_file)\b"
    r"""|["'](save|load|from_file)["']"""
    r"""|\bgetattr\s*\([^)]*(\\|["']\s*["'])"""
    r"|\bops\b(?!\s*\.\s*(aten|prim|quantized)\s*\.)[\s.\w]{0,40}"
)
_FUNCTIONS = frozenset(
    (
        *("Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "FloatTrueDiv", "ToFloat"),
        *("TruncToInt", "FloorToInt", "CeilToInt", "RoundToInt", "Abs", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And"),
        *("Or", "Not", "Integer", "int", "float", "bool", "len", "size", "stride", "storage_offset", "dim", "isnan"),
    )
)
_SYMBOL = re.compile(r"[suzf]\d+|L|math|True|False|oo|int_oo|inf")
_EXPRESSION = (
    *(ast.Expression, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.Subscript),
    *(ast.Attribute, ast.Call, ast.Load, ast.cmpop, ast.operator, ast.unaryop, ast.boolop),
)


def check_archive(path: Path) -> None:
    """Refuse an archive that unfolds to far more than it is, or holds a name twice. A file of another kind passes.

    Raises
    ------
    UserError
        One sentence that names the file.
    """
    if not zipfile.is_zipfile(path):
        return
    with _opened(path) as archive:
        _check_entries(path, archive)


def check_program(path: Path) -> None:
    """Refuse a program that holds anything but a network: .pt2 (torch.export) or .ts (TorchScript).

    Raises
    ------
    UserError
        One sentence that names the file and what it holds. Nothing of the file is run.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is damaged, holds pickled objects, or was not written by torch.export or TorchScript.")
    with _opened(path) as archive:
        _check_entries(path, archive)
        if path.suffix == ".pt2":
            _check_exported(path, archive)
        else:
            _check_scripted(path, archive)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{path} is damaged: it cannot be opened as an archive.") from error


def _read(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except Exception as error:  # zipfile raises many kinds on damaged and encrypted entries
        raise UserError(f"{path} is damaged: {name[:80]} in it cannot be read.") from error


def _check_entries(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    unfolded = sum(entry.file_size for entry in entries)
    if unfolded > path.stat().st_size + _ROOM:
        raise UserError(f"{path} would unfold to {unfolded / 2**30:,.1f} GiB, which no network's file does.")
    names = [entry.filename.lower() for entry in entries]  # torch finds names whatever their case
    if len(set(names)) != len(names):
        raise UserError(f"{path} holds two entries of one name: it was not written by torch.")


def _check_exported(path: Path, archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        if "opaque_obj_" in name.lower() or "custom_obj_" in name.lower():
            raise UserError(f"{path} holds pickled objects ({name[-60:]}), which are never loaded.")
        if not _EXPORTED.fullmatch(name):
            raise UserError(f"{path} holds {name[-80:]}, which no plain network needs and which is never loaded.")
    for name in archive.namelist():
        if not name.lower().endswith(".json"):
            continue
        try:
            content = json.loads(_read(path, archive, name))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged: {name[:80]} in it is no JSON.") from error
        for key, value in _entries(content):
            _check_entry(path, key, value)


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _check_entry(path: Path, key: str, value: Any) -> None:
    if key in ("target", "as_operator") and isinstance(value, str):
        if not _OPERATORS.fullmatch(value) or _FILE_OPERATORS.match(value):
            raise UserError(f"{path} calls '{value[:80]}', which is no operation of a network: it is not loaded.")
    elif key == "path_name" and not (isinstance(value, str) and re.fullmatch(r"\w+", value)):
        raise UserError(f"{path} refers to the file {value!r:.80}, which lies outside of it: it is not loaded.")
    elif key == "expr_str":
        _check_expression(path, value)
    elif key == "guards_code":
        for guard in value if isinstance(value, list) else [value]:
            _check_expression(path, guard)


def _check_expression(path: Path, text: Any) -> None:
    """An expression over sizes may hold numbers, symbols and a few functions: it is evaluated when torch loads it."""
    try:
        sound = isinstance(text, str) and len(text) < 4000 and _is_plain(ast.parse(text.strip(), mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        sound = False
    if not sound:
        raise UserError(
            f"{path} holds the expression {text!r:.80}, which is never evaluated: the program is not loaded."
        )


def _is_plain(tree: ast.Expression) -> bool:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    # A guard names an input as L['x']; anywhere else SymPy would evaluate a text once more.
    names = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript) and _is_inputs(node.value)}
    for node in ast.walk(tree):
        if not isinstance(node, _EXPRESSION):
            return False
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and id(node) not in names:
            return False
        if isinstance(node, ast.Call) and not isinstance(node.func, (ast.Name, ast.Attribute)):
            return False
        if isinstance(node, ast.Name) and not (
            _SYMBOL.fullmatch(node.id) or (id(node) in called and node.id in _FUNCTIONS)
        ):
            return False
        if isinstance(node, ast.Attribute) and node.attr not in (*_FUNCTIONS, "inf"):
            return False
    return True


def _is_inputs(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "L"


def _check_scripted(path: Path, archive: zipfile.ZipFile) -> None:
    for name in archive.namelist():
        parts = name.lower().split("/")
        if "code" not in parts or name.lower().endswith(".debug_pkl"):
            continue
        found = _SCRIPTED.search(_read(path, archive, name).decode("utf-8", errors="replace"))
        if found:
            what = " ".join(found[0].split())
            raise UserError(f"{path} calls '{what}', which is no operation of a network: it is not loaded.")
