"""What a scene shows of a cohort, read from its output folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..images.volume import Volume
from ..progress import ProgressCallback, silent
from .content import STEP, SceneContent, brain_window, map_content
from .surface import surface
from .table_content import TableContent, chart, columns_of

# What tables the scene holds: file in the group folder -> title.
_TABLES = {
    "predictions": "Predictions",
    "confusion": "Confusion matrix",
    "performance": "Performance",
    "value_correlations": "What the answer goes with",
    "top_regions": "Regions most often named",
    "consistency": "Consistency",
}


def _record(group: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((group / "group.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{group} holds no group results: run the cohort until its report is written.") from error
    return record


def group_content(output: str | Path, progress: ProgressCallback = silent) -> SceneContent:
    """What a scene shows of a cohort, read from its output folder. The keys of its maps are "method/map".

    Raises
    ------
    UserError
        If the folder holds no complete group results.
    """
    import pandas as pd

    from ..images.reading import read_volume
    from ..preprocessing.template import load_template

    group = Path(output) / "group"
    record = _record(group)
    progress(STEP, 0.0)
    brain, mask = load_template(1)
    of_predicted = {
        method: not any(s == "all" or s.startswith("true-") for s in found["sets"])
        for method, found in record["maps"].items()
    }
    chosen = [
        (method, name, file)
        for method, found in record["maps"].items()
        for name, file in found["files"].items()
        if _is_shown(name, of_predicted[method])
    ]
    maps = []
    for done, (method, name, file) in enumerate(chosen):
        about = record["methods"][method]
        volume = read_volume(group / file)
        title = f"{about['title']}, {_words(name, record['maps'][method])}"
        units = "t" if name.endswith("_t") else about["units"]
        if method == "summary" and name.endswith("_difference"):
            units = "-1 to 1"  # of two ranks from 0 to 1
        maps.append(
            map_content(
                Volume(volume.array.astype(np.float32), volume.affine, title), f"{method}/{name}",
                "summary" if method == "summary" and name.endswith("_mean") else "map",
                title, f"{_lines(title)}\n({units})\nresearch use only",
                mask=mask if volume.grid.same_as(mask.grid, 1e-3) else None,
                signed=bool(about["signed"]) or not name.endswith("_mean"), method=method, units=units,
            )
        )  # fmt: skip
        progress(STEP, (done + 1) / len(chosen))
    tables = [
        TableContent(name, title, columns_of(pd.read_csv(group / f"{name}.csv")))
        for name, title in _TABLES.items()
        if (group / f"{name}.csv").is_file()
    ]
    top = pd.read_csv(group / "top_regions.csv")
    top = top[top["group"] == "all"]
    title = "Regions most often among a map's five most relevant"
    bars = dict(zip(top["region"].astype(str), top["frequency"].astype(float), strict=True))
    return SceneContent(
        run=f"MRIInterpret cohort: {Path(output).resolve().name}",
        banner=record["banner"],
        note=_note(record),
        scan=brain,
        scan_name="ICBM152 template",
        window=brain_window(brain, mask),
        maps=tuple(maps),
        tables=tuple(tables),
        charts=(chart("top-regions", title, "region", "share of maps", bars),) if bars else (),
        surface=surface(mask),
        mask=mask,
    )


def _is_shown(name: str, only_predicted: bool) -> bool:
    """Means of each true group (of each predicted one where no group is known), differences and t."""
    if name.endswith(("_difference", "_t")) or name == "all_mean":
        return True
    kind = "predicted-" if only_predicted else "true-"
    return name.startswith(kind) and name.endswith("_mean") and "_predicted-" not in name


def _lines(title: str) -> str:
    """A legend has little room beside a slice: a line for each part."""
    return title.replace(", ", "\n")


def _words(name: str, found: dict[str, Any]) -> str:
    subset, _, kind = name.rpartition("_")
    if kind == "mean":
        group = subset.partition("-")[2]
        who = "all" if subset == "all" else f"called {group}" if subset.startswith("predicted-") else group
        count = found["sets"][subset]
        return f"one participant, {who}" if count == 1 else f"mean of {who} (n={count})"
    return f"{subset.replace('-minus-', ' minus ')}, {'t' if kind == 't' else 'difference of means'}"


def _note(record: dict[str, Any]) -> str:
    if "quantity" in record:
        measured = ("Mean absolute error", record["mean_absolute_error"])
    elif "label_areas" in record:
        measured = ("AUC", ", ".join(f"{name} {area:.2f}" for name, area in record["label_areas"].items()))
    else:
        accuracy = record["balanced_accuracy"]
        measured = ("Balanced accuracy", None if accuracy is None else f"{accuracy:.2f}")
    lines = [
        record["banner"],
        "",
        f"{record['subjects']} subjects; explained contrast: {record['target']}",
        f"Model: {record['model']['name']} {record['model']['version']}, SHA-256 {record['model']['hash']}",
        f"{measured[0]}: {measured[1] or 'not known'}",
        *(f"- {sentence}" for sentence in record["notes"]),
    ]
    return "\n".join(lines) + "\n"
