"""niivue, the viewer: its JavaScript comes with nilearn, is read from there, and travels within each page.

niivue draws volumes with WebGL 2 (https://niivue.com, BSD 2-Clause).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import UserError

_FILE = "niivue.umd.js"
LICENCE = Path(__file__).with_name("templates") / "niivue_licence.txt"


@cache
def niivue_source() -> str:
    """niivue as one script that sets the global ``niivue``.

    Raises
    ------
    UserError
        If the installed nilearn does not bring it.
    """
    package = find_spec("nilearn")
    folders = [] if package is None else [Path(one) for one in package.submodule_search_locations or ()]
    for folder in folders:
        usual = folder / "_assets" / "js" / _FILE
        found = usual if usual.is_file() else next(folder.rglob(_FILE), None)
        if found is not None:
            return found.read_text(encoding="utf-8")
    raise UserError("The planes to click through need nilearn 0.14 or later, which brings their viewer, niivue.")


@cache
def niivue_version() -> str:
    """The version that the script gives of itself; "" if it gives none."""
    found = re.search(r'version:"(\d+\.\d+\.\d+)"', niivue_source())
    return found.group(1) if found else ""
