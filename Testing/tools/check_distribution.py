"""Wheel and sdist hold all that they must: ``python -m Testing.tools.check_distribution FOLDER``."""

from __future__ import annotations

import argparse
import sys
import tarfile
import zipfile
from pathlib import Path

from Testing.tools import update_file_lists as lists

ROOT = Path(__file__).resolve().parents[2]
IN_SDIST = (
    "pyproject.toml",
    "README.md",
    "LICENSE.txt",
    "CITATION.cff",
    "CHANGELOG.md",
    "CMakeLists.txt",
    "mkdocs.yml",
)


def in_wheel() -> set[str]:
    """The files of the package, and the data that ship with it, by their names in a wheel."""
    wanted = lists.wanted()
    package = {
        name
        for name in (*wanted["MODULE_PYTHON_SCRIPTS"], *wanted["MODULE_PYTHON_RESOURCES"])
        if name.startswith("mri_interpret/")
    }
    return package | {f"mri_interpret/{name}" for name in wanted["MODULE_DATA"]}


def in_sdist() -> set[str]:
    """The files of the repository that an sdist needs, to be built, tested and read."""
    folders = ("docs", "Testing/tools", "MRIInterpret/mri_interpret")
    files = {path.relative_to(ROOT).as_posix() for folder in folders for path in lists.files(ROOT / folder)}
    return files | set(IN_SDIST) | set(lists.wanted()["MODULE_DATA"])


def lacking(folder: Path) -> list[str]:
    """What the one wheel and the one sdist in ``folder`` lack."""
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        missing = [f"{wheel.name} lacks {name}" for name in sorted(in_wheel() - set(archive.namelist()))]
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    return missing + [f"{sdist.name} lacks {name}" for name in sorted(in_sdist() - names)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    problems = lacking(parser.parse_args().folder)
    sys.exit("\n".join(problems) if problems else 0)
