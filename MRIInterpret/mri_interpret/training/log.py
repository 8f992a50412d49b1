"""The training log: a CSV that grows line by line, and the loss curve as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

from ..atomic import replacing
from ..errors import UserError

COLUMNS = (
    "sample",
    "seconds",
    "rate",
    "classes",
    "dense",
    "fraction",
    "volumes",
    "auc_ad",
    "auc_mci",
    "correlation",
    "regional",
)


class TrainingLog:
    """Rows of ``COLUMNS`` in a CSV; rows beyond a checkpoint are cut when training resumes from it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def cut_after(self, sample: int) -> None:
        """Drop rows that a killed run wrote after its last checkpoint; training writes them again."""
        kept = [row for row in self.rows() if int(row["sample"]) <= sample]
        with replacing(self.path) as aside, aside.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def add(self, **values: float) -> None:
        """Append a row; columns that are not given stay empty."""
        try:
            with self.path.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, COLUMNS).writerow(
                    {key: int(value) if key == "sample" else f"{value:.5g}" for key, value in values.items()}
                )
        except OSError as error:
            raise UserError(
                f"Cannot write {self.path} ({error.strerror}): make room and run the same command again; "
                "training goes on from its last checkpoint."
            ) from error

    def draw(self, picture: Path) -> None:
        """Loss and validation curves as PNG."""
        from matplotlib.figure import Figure

        rows = self.rows()
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, names in (
            (left, ("classes", "dense", "regional", "fraction", "volumes")),
            (right, ("auc_ad", "auc_mci", "correlation")),
        ):
            for name in names:
                points = [(int(row["sample"]), float(row[name])) for row in rows if row.get(name)]
                if points:
                    axes.plot(
                        *zip(*points, strict=True), label=name.replace("_", " "), marker="." if axes is right else ""
                    )
            axes.set_xlabel("samples seen")
            axes.legend(frameon=False, fontsize=8)
        left.set_yscale("log")
        left.set_title("training losses")
        right.set_title("validation")
        with replacing(picture) as aside:
            figure.savefig(aside, dpi=110)
