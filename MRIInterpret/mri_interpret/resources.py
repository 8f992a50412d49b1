"""Where the files that ship with the project lie, in a checkout, in an installed wheel and in a Slicer extension."""

from __future__ import annotations

from pathlib import Path

from .errors import UserError

_PACKAGE = Path(__file__).resolve().parent
# A wheel and a packaged Slicer extension carry Resources inside the package; a checkout has it at its top level.
_CANDIDATES = (_PACKAGE / "Resources", _PACKAGE.parents[1] / "Resources")


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, for instance ``resource("Models")``.

    Raises
    ------
    UserError
        If it is missing, that is, if the installation is incomplete.
    """
    for root in _CANDIDATES:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise UserError(
        f"The shipped file Resources/{'/'.join(parts)} is missing: the installation is incomplete. "
        "Install MRIInterpret again."
    )
