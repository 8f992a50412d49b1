"""Draw docs/gallery.md and its pictures from the sample scan: ``python -m Testing.tools.make_gallery``.

Run it when a figure or the bundled model changed, and look at what it made. It takes a minute.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import mri_interpret as mi
import numpy as np
from mri_interpret.drawing.canvas import Picture, encode_webp
from mri_interpret.drawing.montage import Backdrop, map_montage
from mri_interpret.drawing.surface_3d import summary_picture
from mri_interpret.planes.colour_scale import relevance_scale
from mri_interpret.planes.slices import as_float, hottest
from mri_interpret.report.answer_chart import answer_chart
from mri_interpret.report.charts import agreement_chart, region_chart
from mri_interpret.report.pictures import registration_montage, summary_montage
from mri_interpret.resources import resource
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCAN = ("SampleData", "colin27_T1.nii.gz")
TARGET = "AD-CN"
METHODS = ("lrp", "gradient", "integrated_gradients", "grad_cam_pp", "guided_backprop", "region_occlusion")
SCREENSHOTS = ("report", "panel", "scene")  # by make_screenshots.py and report_screenshots.py; here they are smaller
WIDTH = 1200  # pixels; wider pictures are made smaller
HEAD = """# Gallery

Figures that the code makes, from the sample scan (Colin27, a healthy man) and the bundled network, target AD - CN.
`python -m Testing.tools.make_gallery` makes this page again. Research use only.
"""

Figure = tuple[str, str, Picture]
"""Heading, file name without its ending, picture."""


def of_the_scan(explanation: mi.Explanation) -> Iterator[Figure]:
    """What the report of one scan shows."""
    backdrop = Backdrop.of(explanation.scan, explanation.mask)
    yield "The answer", "answer", answer_chart(explanation.prediction, explanation.target, explanation.model.output)
    yield "The summary score", "summary", summary_montage(explanation, backdrop)
    yield (
        "The summary score in 3D",
        "summary-3d",
        summary_picture(explanation.summary, explanation.mask, explanation.scan),
    )
    regions = region_chart(explanation.region_table)
    if regions is not None:
        yield "Regions", "regions", regions
    hot = hottest(as_float(explanation.summary), explanation.mask, backdrop.box)
    for name, found in explanation.maps.items():
        scale = relevance_scale(found.native.array, explanation.mask.array, found.signed, found.units)
        picture = map_montage(backdrop, found.native, scale, found.title, found.units, also_through=hot)
        yield found.title, name, picture
    titles = {name: found.title for name, found in explanation.maps.items()}
    agreement = agreement_chart(explanation.agreement, titles)
    if agreement is not None:
        yield "Agreement of the methods", "agreement", agreement
    yield "Registration", "registration", registration_montage(explanation, backdrop)


def of_the_simulator() -> Iterator[Figure]:
    """A simulated patient with the true change of volume."""
    made = mi.simulate("AD", seed=3, whole_head=False)
    brain = made.labels.with_array((np.asarray(made.labels.array) > 0).astype(np.uint8))
    scale = relevance_scale(made.effect.array, brain.array, True, "log volume ratio")
    backdrop = Backdrop.of(made.scan, brain)
    picture = map_montage(backdrop, made.effect, scale, "True change of volume", "log volume ratio")
    yield "A simulated patient, and what the disease changed", "simulated", picture


def smaller(data: bytes) -> bytes:
    """A picture as WebP for a page, no wider than WIDTH."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    return encode_webp(image, quality=80)


def main() -> None:
    """Write the page and its pictures; what was there before goes."""
    for name in SCREENSHOTS:
        taken = next((ROOT / "Resources" / "Screenshots").glob(f"{name}.*"))
        (DOCS / "images" / f"{name}.webp").write_bytes(smaller(taken.read_bytes()))
    explanation = mi.explain(resource(*SCAN), target=TARGET, methods=METHODS)
    figures = [*of_the_scan(explanation), *of_the_simulator()]
    folder = DOCS / "images" / "gallery"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [HEAD]
    for heading, name, picture in figures:
        ending = {"image/webp": "webp", "image/svg+xml": "svg", "image/png": "png"}[picture.mime]
        path = folder / f"{name}.{ending}"
        path.write_bytes(picture.data if ending == "svg" else smaller(picture.data))
        alt = picture.alt.replace("[", "(").replace("]", ")")
        lines += [f"## {heading}\n", f"![{alt}]({path.relative_to(DOCS).as_posix()})\n"]
        if picture.caption:
            lines.append(f"{picture.caption}\n")
    (DOCS / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
