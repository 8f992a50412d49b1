"""Small pieces of HTML. Every text that comes from outside (file names, model cards) is escaped here."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .canvas import Picture

__all__ = ["definitions", "escape", "figure", "number", "table", "verdict_badge"]


def figure(picture: Picture, kind: str = "chart") -> str:
    """A picture with its caption, inlined; ``kind`` "film" for slices, "chart" for charts."""
    data = base64.b64encode(picture.data).decode("ascii")
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    image = f'<img src="data:{picture.mime};base64,{data}" alt="{escape(picture.alt)}">'
    return f'<figure class="{kind}">{image}{caption}</figure>'


def table(heads: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; ``heads`` are (text, whether the column holds numbers). Cells are HTML already: escape them."""
    classes = [' class="n"' if numeric else "" for _, numeric in heads]
    top = "".join(f'<th scope="col"{cls}>{escape(text)}</th>' for (text, _), cls in zip(heads, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{cls}>{cell}</td>" for cell, cls in zip(row, classes, strict=True)) + "</tr>\n"
        for row in rows
    )
    label = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{label}<thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A two-column table of names and values; values are HTML already."""
    rows = "".join(f'<tr><th scope="row">{escape(key)}</th><td>{value}</td></tr>\n' for key, value in pairs)
    return f'<table class="keys"><tbody>\n{rows}</tbody></table>'


def number(value: Any, digits: int = 3) -> str:
    """A number for a cell, with a true minus; a dash for what was not measured."""
    value = float(value)
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def verdict_badge(verdict: str, text: str = "") -> str:
    """A verdict ("pass", "fail", "good", "poor", "not applicable") as a coloured word; another text if given."""
    kind = verdict if verdict in ("pass", "fail", "good", "poor") else "na"
    return f'<span class="verdict {kind}">{escape(text or verdict)}</span>'
