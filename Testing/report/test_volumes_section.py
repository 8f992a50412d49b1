"""The section "Volumes of this brain": what it says, where it is left out, and what is not ranked."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.segmentation import Segmentation, Structure
from mri_interpret.drawing.canvas import Picture
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.charts import region_chart
from mri_interpret.report.content import RegionContent
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import ReportPictures

# Label: ml, entropy, Dice, relative error of the volume.
MEASURED = {
    5: (0.21, 0.4, 0.51, 0.3), 44: (0.95, 0.1, 0.53, 0.2), 14: (1.5, 0.05, 0.8, 0.1),
    17: (2.9, 0.08, 0.84, 0.06), 53: (3.4, 0.07, 0.86, 0.04),
    1006: (2.0, 0.1, None, None), 2006: (1.8, 0.1, None, None),
}  # fmt: skip


@pytest.fixture
def explanation(small_explanation: Explanation) -> Explanation:
    """The small explanation with volumes that are known, as if a network had measured them."""
    assert small_explanation.anatomy is not None
    structures = tuple(
        Structure(
            label, name, freesurfer.reader_name(name), ml, ml / 1500, entropy, entropy < 0.2, dice, error
        )
        for label, (ml, entropy, dice, error) in MEASURED.items()
        for name in [freesurfer.name_of(label)]
    )  # fmt: skip
    labels = small_explanation.anatomy.labels
    network = Segmentation(labels, structures, 1500.0, "network", made_by="a <small> net 1.0")
    return replace(small_explanation, anatomy=network)


@pytest.fixture
def with_anatomy(pictures: ReportPictures) -> ReportPictures:
    return replace(pictures, anatomy=Picture(b"", "image/webp", "a segmentation that was not drawn"))


def rows_of(page: str) -> dict[str, list[str]]:
    """The cells of each row of the section's tables, by the first one."""
    section = page[page.index('id="volumes"') : page.index('id="trust"')]
    found = {}
    for row in re.findall(r"<tr>(<td.*?)</tr>", section, re.DOTALL):
        first, *others = (
            " ".join(re.sub(r"<[^>]+>", "", cell).split())
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        )
        found[first] = others
    return found


def test_each_structure_has_both_sides_its_share_and_how_far_to_trust_it(
    explanation: Explanation, with_anatomy: ReportPictures
) -> None:
    rows = rows_of(page_with(explanation, with_anatomy))
    assert list(rows) == ["Inferior lateral ventricle", "Third ventricle", "Hippocampus", "Entorhinal cortex"]
    assert rows["Hippocampus"] == ["2.90", "3.40", "0.42%", "−7.9%", "0.85", "5%", ""]
    assert rows["Third ventricle"] == ["1.50", "0.10%", "–", "0.80", "10%", ""]
    assert rows["Inferior lateral ventricle"][-1] == "unsure (left), below 0.3 ml (left)"
    assert rows["Entorhinal cortex"][-3:] == ["–", "–", ""]


def test_it_says_where_the_structures_come_from_and_what_is_read_first(
    explanation: Explanation, with_anatomy: ReportPictures
) -> None:
    page = page_with(explanation, with_anatomy)
    assert "Segmented by the network a &lt;small&gt; net 1.0." in page
    assert "Intracranial volume 1,500 ml; hippocampus 2.90 ml left and 3.40 ml right (0.42% of it)." in page
    assert 'href="#volumes"' in page
    assert "a segmentation that was not drawn" in page
    assert "they were simulated scans" in " ".join(page.split())


def test_a_users_own_segmentation_has_no_dice(small_explanation: Explanation, with_anatomy: ReportPictures) -> None:
    page = page_with(small_explanation, with_anatomy)
    assert "Your own segmentation, aparc+aseg." in page
    assert "Volume error" not in page
    assert len(rows_of(page)) > 40


def test_a_result_without_a_segmentation_has_no_section(
    small_explanation: Explanation, pictures: ReportPictures
) -> None:
    page = page_with(replace(small_explanation, anatomy=None), pictures)
    assert "Volumes of this brain" not in page
    assert 'href="#volumes"' not in page


def test_regions_that_are_too_small_are_named_and_not_ranked(
    small_explanation: Explanation, pictures: ReportPictures
) -> None:
    """The densest region of all, but of 0.2 ml: it is not listed among the regions that stand out, nor drawn."""
    table = small_explanation.region_table.copy()
    native = (table["region"] == "Left-Hippocampus") & (table["space"] == "native")
    table.loc[native, ["gain", "share", "volume_mm3"]] = [40.0, 0.9, 200.0]
    content = RegionContent.of(replace(small_explanation, region_table=table))
    assert "Left-Hippocampus" in content.small
    assert "Left-Hippocampus" not in [row["region"] for row in content.rows]
    chart = region_chart(table)
    assert chart is not None
    assert "Left-Hippocampus" not in chart.alt
    page = page_with(replace(small_explanation, region_table=table), pictures)
    assert re.search(r"smaller than 0\.3 ml here: [^<]*Left-Hippocampus", page)
    table.loc[native, "volume_mm3"] = 300.0
    assert RegionContent.of(replace(small_explanation, region_table=table)).rows[0]["region"] == "Left-Hippocampus"
    assert math.isclose(RegionContent.of(small_explanation).smallest, 0.3)
