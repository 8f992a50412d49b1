"""The cohort's page: one self-contained HTML file with sortable tables and links to each subject's page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from .. import __version__
from ..drawing.markup import escape
from ..drawing.style import CSS
from . import page_sections as sections
from .group_results import GroupResults

# The page's only script: a click on a head sorts the table by that column, numbers as numbers.
SCRIPT = """
for (const table of document.querySelectorAll('.sortable table')) {
  const body = table.tBodies[0];
  table.querySelectorAll('thead th').forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.textContent = '';
    head.append(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      table.querySelectorAll('thead th').forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const value = row => row.cells[column].textContent.trim();
      const number = text => parseFloat(text.replace(/−/g, '-').replace(/,/g, ''));
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        const [m, n] = [number(x), number(y)];
        if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
        const order = isNaN(m) ? x.localeCompare(y) : m - n;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
}
"""
_MORE_CSS = """
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort="ascending"] button::after { content: " ▲"; font-size: .7em; }
th[aria-sort="descending"] button::after { content: " ▼"; font-size: .7em; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem 2rem; align-items: start; }
.narrow figure { max-width: 34rem; }
.scroll { max-height: 32rem; overflow-y: auto; }
.scroll thead th { position: sticky; top: 0; background: #fff; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); }
@media (max-width: 44rem) { .pair { grid-template-columns: 1fr; } }
@media print { .scroll { max-height: none; overflow: visible; } }
"""


def cohort_page(results: GroupResults) -> str:
    """The page as text; links are relative to the cohort's output folder."""
    parts: list[tuple[str, str, str]] = [
        ("subjects", "Subjects", sections.subjects(results)),
        ("performance", "How often right", sections.performance(results)),
        ("maps", "Where", sections.maps(results)),
        ("regions", "Regions", sections.regions(results)),
        ("consistency", "Consistency", sections.consistency(results)),
        ("correlations", "Volumes and covariates", sections.correlations(results)),
        ("made", "How it was made", sections.made(results)),
    ]
    return _page(results, parts)


def _page(results: GroupResults, parts: Sequence[tuple[str, str, str]]) -> str:
    plan = results.plan
    anchors = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title, _ in parts)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    count = "1 subject" if len(results.subjects) == 1 else f"{len(results.subjects)} subjects"
    title = f"{plan.cohort.table.resolve().parent.name}/{plan.cohort.table.name}: {count}"
    body = "\n".join(_section(*part) for part in parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{CSS}{_MORE_CSS}</style>
</head>
<body>
{_banner(results)}
<main>
<header>
<h1>{escape(title)}</h1>
<p class="lead">What the network calls each subject, which parts of the brain made it do so, group by group, and how
far subjects and methods agree.</p>
<nav aria-label="Sections">{anchors}</nav>
</header>
{_notes([*plan.notes, *sections.warnings(results)])}
{body}
<footer>Made by MRIInterpret {escape(__version__)}. {escape(plan.model.banner)}
A heatmap shows what a model used, not what is wrong with a patient.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _section(key: str, title: str, content: str) -> str:
    return f'<section><h2 id="{key}">{escape(title)}</h2>{content}</section>'


def _banner(results: GroupResults) -> str:
    model = results.plan.model
    text = model.banner if "research use only" in model.banner.lower() else f"Research use only. {model.banner}"
    return (
        f'<div class="banner" role="note"><span>{escape(text)}</span>'
        f"<span>Model trained on: {escape(model.training_data)}</span></div>"
    )


def _notes(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    if not items:
        return ""
    return f'<section class="warnings" role="alert"><h2>Before you read on</h2><ul>{items}</ul></section>'
