"""The report: one self-contained HTML page that asks the network for nothing and reads well on paper."""

from __future__ import annotations

from collections.abc import Sequence

from .. import __version__
from ..checks.verdict import Verdict
from ..drawing.canvas import Picture
from ..drawing.colour_scale import relevance_scale, summary_scale
from ..drawing.markup import escape
from ..drawing.montage import Backdrop, Outline, map_montage, outline_montage
from ..drawing.slices import as_float, hottest
from ..drawing.style import CSS
from ..drawing.surface_3d import NoRendering, summary_picture
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from . import sections
from .charts import agreement_chart, probability_chart, region_chart
from .jsonable import provenance_record
from .trust_section import trust

STEP = "Drawing the report"


def report_page(
    explanation: Explanation,
    verdicts: Sequence[Verdict] = (),
    progress: ProgressCallback = silent,
    *,
    in_3d: bool = True,
) -> str:
    """The page as text.

    Parameters
    ----------
    explanation
        What to report.
    verdicts
        Rows of the trust checks, if they were run.
    progress
        Told after each figure; may raise :class:`~mri_interpret.errors.Cancelled`.
    in_3d
        Draw the picture in 3D.
    """
    figures = len(explanation.maps) + 4
    done = 0

    def drawn() -> None:
        nonlocal done
        done += 1
        progress(STEP, min(done / figures, 1.0))

    progress(STEP, 0.0)
    backdrop = Backdrop.of(explanation.scan, explanation.mask)
    overall = summary_montage(explanation, backdrop)
    drawn()
    hot = hottest(as_float(explanation.summary), explanation.mask, backdrop.box)
    montages = {}
    for name, method in explanation.maps.items():
        scale = relevance_scale(method.native.array, explanation.mask.array, method.signed, method.units)
        montages[name] = map_montage(backdrop, method.native, scale, method.title, method.units, also_through=hot)
        drawn()
    surface = _surface(explanation) if in_3d else None
    drawn()
    aligned = registration_montage(explanation, backdrop)
    drawn()
    titles = {name: method.title for name, method in explanation.maps.items()}
    parts = [
        sections.answer(explanation, probability_chart(explanation.prediction, explanation.target)),
        sections.warnings(explanation),
        sections.summary(explanation, overall, surface),
        sections.regions(explanation, region_chart(explanation.region_table)),
        trust(verdicts, {**titles, "summary": "Summary score"}),
        sections.methods(explanation, montages, verdicts),
        sections.agreement(agreement_chart(explanation.agreement, titles)),
        sections.registration(explanation, aligned),
        sections.provenance(explanation, provenance_record(explanation)),
    ]
    progress(STEP, 1.0)
    return _page(explanation, "\n".join(parts), bool(verdicts))


def summary_montage(explanation: Explanation, backdrop: Backdrop) -> Picture:
    """The summary score with the outline of the consensus of two thirds of the methods."""
    scale = summary_scale(explanation.summary.array, explanation.mask.array)
    agreed = explanation.consensus.with_array((explanation.consensus.array >= 2).astype("float32"))
    outlines = (Outline(agreed, 0.5, "white", 0.7),) if len(explanation.maps) > 1 else ()
    return map_montage(backdrop, explanation.summary, scale, "Summary score", "summary score", outlines=outlines)


def registration_montage(explanation: Explanation, backdrop: Backdrop) -> Picture:
    """The template's outline over the scan, and the brain mask's."""
    template = as_float(explanation.template_in_scan)
    top = float(template.array.max(initial=0))
    mask = explanation.mask.with_array(explanation.mask.array.astype("float32"))
    outlines = (
        Outline(mask, 0.5, "#ffd166", 0.7, "--"),
        Outline(template, 0.45 * top, "#3ddbd0", 0.4),
        Outline(template, 0.2 * top, "#3ddbd0", 1.0),
    )
    alt = "The scan with the template's outline and the brain mask's outline over it."
    caption = (
        "Turquoise: the template brain after alignment, its surface and, thinner, the edges of its grey matter and "
        "ventricles. Dashed yellow: the brain found in the scan. Where alignment is good, turquoise follows the scan's "
        "own brain surface and ventricles; folds of the cortex need not match."
    )
    return outline_montage(backdrop, outlines, alt, caption)


def _surface(explanation: Explanation) -> Picture | str:
    try:
        return summary_picture(explanation.summary, explanation.mask, explanation.scan)
    except NoRendering as reason:
        return str(reason)


def _page(explanation: Explanation, body: str, has_trust: bool) -> str:
    title = f"{explanation.scan.name or 'Scan'}: why {explanation.prediction.predicted}?"
    links = [("summary", "Where"), ("regions", "Regions"), ("trust", "Trust"), ("methods", "Methods")]
    links += [("agreement", "Agreement"), ("registration", "Alignment"), ("provenance", "Provenance")]
    anchors = "".join(f'<a href="#{key}">{text}</a>' for key, text in links if key != "trust" or has_trust)
    made = explanation.provenance.get("date") or explanation.provenance.get("created") or ""
    when = f" on {escape(str(made))}" if made else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
{sections.banner(explanation)}
<main>
<header>
<h1>{escape(title)}</h1>
<p class="lead">Which parts of this brain made the network decide as it did, and how far that can be believed.</p>
<nav aria-label="Sections">{anchors}</nav>
</header>
{body}
<footer>Made by MRIInterpret {escape(__version__)}{when}. {escape(explanation.model.banner)}
A heatmap shows what a model used, not what is wrong with a patient.</footer>
</main>
</body>
</html>
"""
