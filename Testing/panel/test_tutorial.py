"""The tutorial's script, as it stands in the documentation, from its first line to its last."""

from __future__ import annotations

import csv
import inspect
import runpy
import shutil
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "MRIInterpret" / "Resources" / "Scripts" / "tutorial.py"


def test_the_tutorial_runs(host, widget, scan, small_explanation, monkeypatch, capsys):
    """The explanation is there already: the self-test, which runs the same file, computes it."""
    import slicer
    from mri_interpret.doors import explain_job
    from mri_interpret.report import page

    monkeypatch.setattr(page, "report_page", lambda _explanation: "<p>Research use only</p>")  # drawing takes long
    logic, signature = widget.logic, inspect.signature(widget.logic.explain)

    def explain(*arguments, **options):
        asked = signature.bind(*arguments, **options).arguments
        assert asked["inputVolume"] is scan
        assert set(asked["methods"]) < set(small_explanation.maps)
        return explain_job.show(slicer.mrmlScene, small_explanation, scan)

    monkeypatch.setattr(logic, "explain", explain)
    done = runpy.run_path(str(SCRIPT), {"scan": scan, "logic": logic})
    try:
        assert logic.results() == [done["result"].run, done["again"].run]
        rows = list(csv.DictReader((done["folder"] / "volumes.csv").open(encoding="utf-8")))
        assert len(rows) == len(small_explanation.anatomy.structures)
        assert "Research use only" in (done["folder"] / "report.html").read_text(encoding="utf-8")
        display = done["result"].nodes.atlas.GetDisplayNode()
        assert display.GetSegmentVisibility(f"Region_{int(done['top']['label'].iloc[0])}")
    finally:
        shutil.rmtree(done["folder"])
    assert "['summary', 'lrp', 'guided_backprop', 'grad_cam_pp']" in capsys.readouterr().out
