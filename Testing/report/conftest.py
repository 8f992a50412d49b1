"""A report written once for all tests that read it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mri_interpret.checks.verdict import Verdict, not_applicable
from mri_interpret.drawing.canvas import Picture
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.files import save_explanation
from mri_interpret.report.pictures import ReportPictures

from Testing.report.saved_report import Saved


@pytest.fixture(scope="session")
def saved(small_explanation: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The small explanation on disk: a scan's name that is hostile to HTML, a folder with spaces and an umlaut."""
    scan = replace(small_explanation.scan, name='<script>alert("1")</script> & Söhne.nii.gz')
    explanation = replace(
        small_explanation,
        scan=scan,
        warnings=("First warning: 1 < 2 & 3 > 2.", "Second warning."),
        provenance={**small_explanation.provenance, "peak_memory_mb": float("nan")},
        verdicts=(
            Verdict("lrp", "conservation", 0.004, 0.05, "pass", "Adds up <exactly>."),
            Verdict("guided_backprop", "randomisation", 0.83, 0.5, "fail", "Shows edges."),
            not_applicable("grad_cam_pp", "conservation", "CAM maps promise no sum."),
        ),
    )
    folder = tmp_path_factory.mktemp("Ergebnis für A")
    return Saved(explanation, folder, save_explanation(explanation, folder))


@pytest.fixture
def pictures(small_explanation: Explanation) -> ReportPictures:
    """Empty pictures, for pages whose text is looked at."""
    empty = Picture(b"", "image/webp", "a picture that was not drawn")
    return ReportPictures(empty, empty, empty, empty, dict.fromkeys(small_explanation.maps, empty), empty, empty)
