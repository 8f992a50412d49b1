"""Pages from templates: Jinja2 with autoescape, so that text from outside (file names, model cards) stays text.

The templates of a room lie in its folder ``templates``; those that all pages share (the frame of a page, figures,
tables, verdicts, the style sheet) lie in this room's.
"""

from __future__ import annotations

import base64
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..anatomy.change_words import percent_change
from ..minus_sign import true_minus
from .canvas import Picture

if TYPE_CHECKING:
    from jinja2 import Environment

_SHARED = Path(__file__).with_name("templates")


def render(templates: Path, name: str, **content: Any) -> str:
    """A template filled in.

    Parameters
    ----------
    templates
        The folder of the room's own templates.
    name
        The template's file name.
    content
        What the template shows. Everything is escaped; a name that the template uses and that is not given is an
        error.
    """
    return _environment(templates).get_template(name).render(version=__version__, **content)


@cache
def _environment(templates: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([templates, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {
        "number": number,
        "percent": percent,
        "fixed": fixed,
        "p_value": p_value,
        "change": percent_change,
        "data_url": data_url,
    }
    environment.filters |= filters
    return environment


def data_url(picture: Picture) -> str:
    """The picture itself as a URL, so that a page needs no other file."""
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def number(value: Any, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and a true minus; a dash for what was not measured."""
    value = float(value)
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.{digits}g}"
    return true_minus(text)


def fixed(value: Any, decimals: int = 2) -> str:
    """A number with ``decimals`` decimal places, for columns to compare down."""
    value = round(float(value), decimals) + 0.0  # no minus before a zero
    return true_minus(f"{value:.{decimals}f}") if math.isfinite(value) else "–"


def percent(value: Any, decimals: int = 0) -> str:
    """A share of 1 in percent."""
    value = round(float(value), decimals + 2) + 0.0  # no minus before a zero
    return true_minus(f"{value:.{decimals}%}") if math.isfinite(value) else "–"


def p_value(value: Any) -> str:
    """A probability to four decimal places, or that it is below that."""
    value = float(value)
    return "< 0.0001" if value < 0.0001 else fixed(value, 4)
