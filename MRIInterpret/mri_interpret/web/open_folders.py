"""The folders that were named on the command line, and what is offered from them; nothing outside is ever read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UserError, printable
from ..explanation.layout import Layout

# Files that hold their voxels themselves. The headers of other formats name a file to read, which may lie anywhere.
SCAN_SUFFIXES = (".nii", ".nii.gz", ".mgz", ".mgh")
_DEPTH = 4  # folders within folders that are looked through
_MOST = 300  # entries of each list


class OpenFolders:
    """What may be read.

    Parameters
    ----------
    folders
        As given; each must exist.

    Raises
    ------
    UserError
        If one is no folder.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.roots: list[Path] = []
        for given in map(Path, folders):
            if not given.expanduser().is_dir():
                raise UserError(f"{given} is not a folder: give the folder of a result, or one that holds some.")
            self.roots.append(given.expanduser().resolve())

    def results(self) -> dict[str, Path]:
        """Folders that hold a saved explanation, by the names they are offered as."""
        found: dict[str, Path] = {}
        for name, folder in self._folders():
            if len([path for path in folder.glob(f"*{Layout.index}") if path.is_file()]) == 1:
                found[name] = folder
            if len(found) >= _MOST:
                break
        return found

    def scans(self) -> dict[str, Path]:
        """Files that can be scans, outside the folders of results, by the names they are offered as."""
        found: dict[str, Path] = {}
        for name, folder in self._folders():
            if any(folder.glob(f"*{Layout.index}")):
                continue
            for path in sorted(folder.iterdir()):
                if path.name.lower().endswith(SCAN_SUFFIXES) and path.is_file():
                    found[f"{name}/{printable(path.name)}"] = path
            if len(found) >= _MOST:
                break
        return found

    def _folders(self) -> Iterator[tuple[str, Path]]:
        """Every folder that is looked through, with the name it is shown by; not what lies within results."""
        for root in self.roots:
            for at, inner, files in os.walk(root):
                folder = Path(at)
                inside = folder.relative_to(root)
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                if len(inside.parts) >= _DEPTH or any(name.endswith(Layout.index) for name in files):
                    inner.clear()
                # A name that is no UTF-8 cannot be sent to a page.
                yield printable((Path(root.name) / inside).as_posix()), folder

    def result(self, name: str) -> Path:
        """The folder of an offered result.

        Raises
        ------
        UserError
            If none of that name is offered, or it or a file in it is a link to a place outside the folders.
        """
        path = self._within(self.results(), name)
        for inner in path.rglob("*"):
            if inner.is_symlink():
                self._check(inner, name)
        return path

    def scan(self, name: str) -> Path:
        """The file of an offered scan.

        Raises
        ------
        UserError
            As :meth:`result`.
        """
        return self._within(self.scans(), name)

    def _within(self, offered: dict[str, Path], name: str) -> Path:
        if name not in offered:
            raise UserError(f"{name} is not among the results and scans of the folders that were opened: choose one.")
        self._check(offered[name], name)
        return offered[name]

    def _check(self, path: Path, name: str) -> None:
        real = path.resolve()
        if not any(real == root or root in real.parents for root in self.roots):
            raise UserError(f"{name} is a link out of the folders that were opened: name its own folder at the start.")
