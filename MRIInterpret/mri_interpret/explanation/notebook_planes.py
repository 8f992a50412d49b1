"""How a notebook shows the planes to click through: a page in a frame of its own."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..errors import UserError
from ..planes.viewer import viewer, viewer_page
from .planes_of import planes_of

if TYPE_CHECKING:
    from .explanation import Explanation

_SPACING = 1.6  # mm, of the scan behind the maps: a notebook keeps what it shows, so it is to be small


def planes_html(explanation: Explanation) -> str:
    """A frame with the viewer; a sentence where the viewer is not installed."""
    try:
        page = viewer_page(viewer(planes_of(explanation), spacing=_SPACING), f"Planes of {explanation.scan.name}")
    except UserError as reason:
        return f"<p>{escape(str(reason))}</p>"
    return (
        '<iframe title="Planes to click through" loading="lazy" style="width:100%;height:640px;border:0" '
        f'srcdoc="{escape(page)}"></iframe>'
    )
