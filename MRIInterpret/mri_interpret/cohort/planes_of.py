"""What there is to click through of a cohort: each method's mean map of each set of subjects, and the difference."""

from __future__ import annotations

import numpy as np

from ..anatomy.atlas import load_atlas, load_default_atlas
from ..errors import UserError
from ..images.volume import Volume, resample
from ..planes.colour_scale import relevance_scale
from ..planes.viewer import Planes, Viewer, viewer
from ..planes.viewer_map import ViewerMap
from ..preprocessing.template import load_template
from .group_maps import template_brain
from .group_results import GroupResults
from .map_pictures import shared_scale

_SPACING = 1.5  # mm, of the template behind the maps: it is smooth, and they have 2 mm and more


def cohort_viewer(results: GroupResults) -> Viewer | str | None:
    """The viewer's pieces; a sentence where it is not installed, None without maps."""
    try:
        planes = planes_of(results)
        return None if planes is None else viewer(planes, spacing=_SPACING)
    except UserError as reason:
        return str(reason)


def planes_of(results: GroupResults) -> Planes | None:
    """The summary's maps first; all lie on the model's grid, in template space, as their files do."""
    grid = results.plan.grid
    brain = Volume(template_brain(grid).astype(np.uint8), grid.affine, "template brain")
    maps: list[ViewerMap] = []
    for name in ["summary", *(one for one in results.methods if one != "summary")]:
        about, found = results.methods[name], results.maps.get(name)
        if found is None or not found.shown:
            continue
        title, units = str(about["title"]), str(about["units"])
        scale, _ = shared_scale(list(found.shown.values()), brain, about)
        for words, volume in found.shown.items():
            shown = f"({units})" if name == "summary" else units  # a range is no unit: "0.98 (0 to 1)"
            maps.append(ViewerMap(f"{name}/{words}", f"{title}: {words}", shown, bool(about["signed"]), volume, scale))
        for words, volume in found.changes.items():
            of = "score" if name == "summary" else units
            scale_of_change = relevance_scale(volume.array, brain.array, True, of)
            maps.append(ViewerMap(f"{name}/{words}", f"{title}: {words}", of, True, volume, scale_of_change))
    if not maps:
        return None
    chosen = results.plan.settings.atlas
    atlas = load_atlas(*chosen) if chosen else load_default_atlas()
    template, _ = load_template(1)
    labels = resample(atlas.volume, grid, order=0)
    return Planes(template, brain, labels, {region.label: region.name for region in atlas.regions}, maps)
