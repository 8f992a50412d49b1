"""Is what the application in the browser needs installed?"""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import UserError

_NEEDED = ("aiohttp", "slicer", "trame", "trame_rca", "trame_vuetify")  # looked for, not imported: they are large


def check_installed() -> None:
    """Raise a UserError, with what to do, unless all is there."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"The application in the browser needs packages that are not installed ({', '.join(missing)}): install "
            'mri-interpret with its extra, pip install "mri-interpret[web]".'
        )
