"""How the files of a saved explanation are called. The cohort has a layout of its own, BIDS derivatives."""

from __future__ import annotations

import re
from typing import Any

# Drawn from a saved explanation by the rooms above; a new result in the same folder makes them outdated.
REPORT, SCENE = "report.html", "scene.mrb"
INDEX = "explanation.json"  # comes last, and names everything else


class Layout:
    """The layout of the command line: maps/, template/, scan/, CSV tables and JSON records.

    A volume's key is "maps/<name>" (on the scan's grid), "template/<name>" (on the model's), or "scan/<name>" (what
    maps are shown over); names are methods, "summary", "consensus", "spread", "input", "scan", "mask", "atlas".
    """

    index = INDEX
    table_suffix = ".csv"
    missing = ""  # what a table holds for a missing value
    drawn: tuple[str, ...] = (REPORT, SCENE)

    def volume(self, key: str) -> str | None:
        """A volume's path without its suffix, relative to the folder; None if it is not stored."""
        return re.sub(r'[<>:"\\|?*\x00-\x1f]', "_", key)

    def table(self, name: str) -> str:
        """A table's path."""
        return name + self.table_suffix

    def record(self, name: str) -> str:
        """A JSON record's path."""
        return f"{name}.json"

    def sidecar(self, key: str) -> dict[str, Any] | None:
        """What a JSON file beside a volume says; None for no such file."""
        return None


PLAIN = Layout()
