"""Write the lists of files in MRIInterpret/CMakeLists.txt from the tree, so that a packaged extension lacks nothing.

Run it as ``python -m Testing.tools.update_file_lists`` after adding, moving or removing a file; with ``--check`` it
writes nothing and fails if there is something to write.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MRIInterpret"
_NOT_PACKAGED = ("Screenshots",)  # folders of Resources that are for the web page only


def _is_made(part: str) -> bool:
    """Whether a file or folder of this name is made by a tool (caches), and not by people."""
    return part == "__pycache__" or part.startswith(".")


def files(folder: Path) -> list[Path]:
    """All files below a folder that belong to the project, sorted."""
    found = (
        p for p in folder.rglob("*") if p.is_file() and not any(_is_made(part) for part in p.relative_to(ROOT).parts)
    )
    return sorted(found)


def wanted() -> dict[str, list[str]]:
    """The content of each list."""
    library = [p for p in files(MODULE / "mri_interpret") if "Resources" not in p.relative_to(MODULE).parts]
    data = [p for p in files(ROOT / "Resources") if p.relative_to(ROOT / "Resources").parts[0] not in _NOT_PACKAGED]
    return {
        "MODULE_PYTHON_SCRIPTS": ["MRIInterpret.py", *(_posix(p, MODULE) for p in library if p.suffix == ".py")],
        "MODULE_PYTHON_RESOURCES": [
            *(_posix(p, MODULE) for p in files(MODULE / "Resources")),
            *(_posix(p, MODULE) for p in library if p.suffix != ".py"),
        ],
        "MODULE_DATA": [_posix(p, ROOT) for p in data],
    }


def _posix(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def written(text: str) -> dict[str, list[str]]:
    """The content of each list in the text of a CMakeLists.txt."""
    lists = {}
    for name in wanted():
        match = re.search(rf"^set\({name}\n(.*?)^  \)", text, flags=re.MULTILINE | re.DOTALL)
        if match is None:
            raise ValueError(f"MRIInterpret/CMakeLists.txt has no list {name}")
        lists[name] = match.group(1).split()
    return lists


def updated(text: str) -> str:
    """The text with its lists replaced by what is in the tree."""
    for name, files in wanted().items():
        body = f"set({name}\n" + "".join(f"  {file}\n" for file in files) + "  )"
        pattern = re.compile(rf"^set\({name}\n.*?^  \)", flags=re.MULTILINE | re.DOTALL)
        text = pattern.sub(body.replace("\\", r"\\"), text)
    return text


def main(*, check: bool = False) -> int:
    """Write the lists, or only compare them; the exit code."""
    path = MODULE / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    if updated(text) == text:
        return 0
    if check:
        print("MRIInterpret/CMakeLists.txt is not up to date: run python -m Testing.tools.update_file_lists")
        return 1
    path.write_text(updated(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    sys.exit(main(check=parser.parse_args().check))
