"""*Reload* in Slicer's developer mode: the package's modules are read anew, too, not only MRIInterpret.py."""

from __future__ import annotations

import sys

PACKAGE = __name__.partition(".")[0]


def forget_modules() -> list[str]:
    """Forget the package's modules, so that the next import reads their files; their names."""
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]
    for name in names:
        del sys.modules[name]
    return names
