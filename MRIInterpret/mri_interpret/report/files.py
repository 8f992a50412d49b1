"""An explanation as a folder of files, each written aside and renamed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..atomic import replacing, write_text
from ..checks.verdict import as_table
from ..explanation.explanation import Explanation
from ..images.volume import Volume
from ..images.writing import Space, save_nifti
from ..progress import ProgressCallback, silent
from .jsonable import prediction_record, provenance_record, to_json
from .page import report_page

STEP = "Writing files"


def save_explanation(
    explanation: Explanation, output: str | Path, progress: ProgressCallback = silent
) -> dict[str, Path]:
    """Write everything but the Slicer scene.

    Parameters
    ----------
    explanation
        What to write.
    output
        Folder; made if it is missing. Files of an earlier run are replaced one by one.
    progress
        Told after each file; may raise :class:`~mri_interpret.errors.Cancelled`, which leaves no half file.

    Returns
    -------
    dict
        Path by name: "maps/<method>", "maps/summary", "maps/consensus", "maps/spread" (disagreement of the methods),
        the same under "template/", "prediction", "regions", "agreement", "provenance", "report", and "trust" if trust
        checks were run.

    Raises
    ------
    UserError
        If the folder or a file cannot be written.
    """
    output = Path(output)
    written = _save_maps(explanation, output, progress)
    texts = {
        "prediction": ("prediction.json", to_json(prediction_record(explanation))),
        "provenance": ("provenance.json", to_json(provenance_record(explanation))),
        "report": ("report.html", report_page(explanation, progress)),
    }
    tables = {"regions": explanation.region_table, "agreement": explanation.agreement}
    if explanation.verdicts:
        tables["trust"] = as_table(explanation.verdicts)
    for name, frame in tables.items():
        written[name] = _save_table(frame, output / f"{name}.csv")
    for name, (file, text) in texts.items():
        write_text(output / file, text)
        written[name] = output / file
    return written


def _save_maps(explanation: Explanation, output: Path, progress: ProgressCallback) -> dict[str, Path]:
    # A scan that needed no registration lies in template space already; any other world is the scanner's.
    native: Space = "mni" if explanation.registration.method == "none" else "scanner"
    jobs: list[tuple[str, Volume, Space, bool, str]] = []
    for name, method in explanation.maps.items():
        about = f"MRIInterpret {method.title}, {method.units}"
        jobs.append((f"maps/{name}", method.native, native, False, about))
        jobs.append((f"template/{name}", method.template, "mni", False, about))
    jobs += [
        ("maps/summary", explanation.summary, native, False, "MRIInterpret summary score 0..1"),
        ("maps/consensus", explanation.consensus, native, True, "MRIInterpret consensus labels"),
        ("template/summary", explanation.summary_template, "mni", False, "MRIInterpret summary score 0..1"),
        ("template/consensus", explanation.consensus_template, "mni", True, "MRIInterpret consensus labels"),
    ]
    about = "MRIInterpret spread of the methods' ranks"
    if explanation.spread is not None:
        jobs.append(("maps/spread", explanation.spread, native, False, about))
    if explanation.spread_template is not None:
        jobs.append(("template/spread", explanation.spread_template, "mni", False, about))
    written = {}
    progress(STEP, 0.0)
    for done, (name, volume, space, labels, about) in enumerate(jobs, start=1):
        path = output / f"{name}.nii.gz"
        written[name] = save_nifti(volume, path, space=space, labels=labels, description=about)
        progress(STEP, done / len(jobs))
    return written


def _save_table(frame: pd.DataFrame, path: Path) -> Path:
    with replacing(path) as aside:
        frame.to_csv(aside, index=False, lineterminator="\n", encoding="utf-8")
    return path
