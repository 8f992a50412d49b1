"""A report drawn once for all tests that read it."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from mri_interpret.drawing.canvas import Picture
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.page import report_page
from mri_interpret.report.pictures import ReportPictures

_PIXEL = base64.b64decode("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")


@pytest.fixture(scope="session")
def hostile(small_explanation: Explanation) -> Explanation:
    """The small explanation with text that HTML would take for its own, and one region that stands out."""
    first, *others = small_explanation.verdicts
    table = small_explanation.region_table
    gain = table["gain"].where(table["region"] != "Left-Hippocampus", 5.0)
    return replace(
        small_explanation,
        region_table=table.assign(gain=gain),
        scan=replace(small_explanation.scan, name='<script>alert("1")</script> & Söhne.nii.gz'),
        warnings=("First warning: 1 < 2 & 3 > 2.", "Second warning."),
        verdicts=(replace(first, sentence="Adds up <exactly> & always."), *others),
    )


@pytest.fixture(scope="session")
def page(hostile: Explanation) -> str:
    """Its report."""
    return report_page(hostile)


@pytest.fixture(scope="session")
def empty_pictures(small_explanation: Explanation) -> ReportPictures:
    """Empty pictures, for pages whose text is looked at."""
    empty = Picture(_PIXEL, "image/gif", "a picture that was not drawn")
    return ReportPictures(empty, empty, empty, empty, dict.fromkeys(small_explanation.maps, empty), *[empty] * 4)


@pytest.fixture
def pictures(empty_pictures: ReportPictures) -> ReportPictures:
    """The same."""
    return empty_pictures
