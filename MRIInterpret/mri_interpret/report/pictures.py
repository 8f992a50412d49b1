"""Every picture of the report, drawn in one go."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..drawing.canvas import Picture
from ..drawing.montage import Backdrop, Outline, map_montage, outline_montage
from ..drawing.network_input import input_picture
from ..drawing.rendering import NoRendering
from ..drawing.surface_3d import summary_picture
from ..errors import UserError
from ..explanation.explanation import Explanation
from ..explanation.planes_of import planes_of
from ..planes.colour_scale import relevance_scale, summary_scale
from ..planes.slices import as_float, hottest
from ..planes.viewer import Viewer, viewer
from ..progress import ProgressCallback, silent
from .answer_chart import answer_chart
from .charts import agreement_chart, region_chart
from .volume_changes import ChangePictures, change_pictures
from .volumes import anatomy_montage

STEP = "Drawing the report"


@dataclass(frozen=True)
class ReportPictures:
    """What the report shows.

    Attributes
    ----------
    surface
        The summary score in 3D; a sentence where this machine cannot draw it, None where it was not asked for.
    methods
        By the methods' names.
    anatomy
        The segmentation over the scan; None for a brain that was not segmented.
    changes
        Of volume methods.
    planes
        All maps to click through; a sentence where their viewer is not installed, None where it was not asked for.
    """

    answer: Picture
    summary: Picture
    surface: Picture | str | None
    regions: Picture | None
    methods: dict[str, Picture]
    agreement: Picture | None
    registration: Picture
    network_input: Picture
    anatomy: Picture | None = None
    changes: ChangePictures = field(default_factory=ChangePictures)
    planes: Viewer | str | None = None


def draw_pictures(
    explanation: Explanation, progress: ProgressCallback = silent, *, in_3d: bool = True
) -> ReportPictures:
    """Draw them all; ``progress`` is told after each slow one, and may raise to cancel."""
    slow = len(explanation.maps) + 8
    done = 0

    def drawn() -> None:
        nonlocal done
        done += 1
        progress(STEP, min(done / slow, 1.0))

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
    seen = input_picture(
        explanation.scan,
        explanation.mask,
        [("image", explanation.model_input)],
        explanation.registration.to_template,
    )
    drawn()
    anatomy = anatomy_montage(explanation.anatomy, backdrop) if explanation.anatomy is not None else None
    drawn()
    changes = change_pictures(explanation, backdrop)
    drawn()
    planes = _planes(explanation)
    drawn()
    titles = {name: method.title for name, method in explanation.maps.items()}
    pictures = ReportPictures(
        answer=answer_chart(explanation.prediction, explanation.target, explanation.model.output),
        summary=overall,
        surface=surface,
        regions=region_chart(explanation.region_table),
        methods=montages,
        agreement=agreement_chart(explanation.agreement, titles),
        registration=aligned,
        network_input=seen,
        anatomy=anatomy,
        changes=changes,
        planes=planes,
    )
    progress(STEP, 1.0)
    return pictures


def summary_montage(explanation: Explanation, backdrop: Backdrop) -> Picture:
    """The summary score with the outline of the consensus of two thirds of the methods."""
    scale = summary_scale(explanation.mask.array, explanation.summary.array)
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
        "Turquoise: the template brain after registration, its surface and, thinner, the edges of its grey matter and "
        "ventricles. Dashed yellow: the brain mask of the scan. Where the registration is good, turquoise follows the "
        "scan's own brain surface and ventricles; the folds of the cortex need not match."
    )
    return outline_montage(backdrop, outlines, alt, caption)


def _surface(explanation: Explanation) -> Picture | str:
    try:
        return summary_picture(explanation.summary, explanation.mask, explanation.scan)
    except NoRendering as reason:
        return str(reason)


def _planes(explanation: Explanation) -> Viewer | str:
    try:
        return viewer(planes_of(explanation), has_rows=True)
    except UserError as reason:
        return str(reason)
