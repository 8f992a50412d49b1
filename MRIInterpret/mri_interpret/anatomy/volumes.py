"""The table of volumes: each structure in ml, its share, the difference between the sides, and how far to trust it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from . import freesurfer
from .segmentation import Segmentation, Structure

if TYPE_CHECKING:  # Slicer's window reads explanations without pandas, whose import would hold it up
    import pandas as pd

VOLUME_COLUMNS = (
    "label", "structure", "ml", "share", "asymmetry", "entropy", "sure", "too_small", "dice", "volume_error",
)  # fmt: skip
_MEASURED = ("ml", "share", "asymmetry", "entropy", "dice", "volume_error")


def volume_table(segmentation: Segmentation) -> pd.DataFrame:
    """One row per structure, by ascending label.

    Returns
    -------
    pandas.DataFrame
        Columns: ``label`` and ``structure`` (FreeSurfer's value and name); ``ml``; ``share`` of the intracranial
        volume, 0 to 1; ``asymmetry``, (left - right) / (left + right) of the volumes, NaN for structures of the
        midline; ``entropy``, ``sure``, ``too_small``, ``dice`` and ``volume_error`` as :class:`.Structure` explains
        them, NaN where they were not measured.
    """
    import pandas as pd

    ml = {structure.label: structure.ml for structure in segmentation.structures}
    rows = [
        {
            "label": one.label,
            "structure": one.name,
            "ml": one.ml,
            "share": one.share,
            "asymmetry": _asymmetry(one, ml),
            "entropy": one.entropy,
            "sure": one.sure,
            "too_small": one.too_small,
            "dice": np.nan if one.dice is None else one.dice,
            "volume_error": np.nan if one.volume_error is None else one.volume_error,
        }
        for one in segmentation.structures
    ]
    return pd.DataFrame(rows, columns=list(VOLUME_COLUMNS))


def structures_in_csv(text: str) -> tuple[Structure, ...]:
    """The structures of a table of :func:`volume_table` as CSV, their numbers the very same."""
    import pandas as pd

    # Python's own reading of numbers is exact; pandas' is in some versions only.
    exact = dict.fromkeys(_MEASURED, lambda cell: float(cell or "nan"))
    return structures_of(pd.read_csv(io.StringIO(text), converters=exact))


def structures_of(table: pd.DataFrame) -> tuple[Structure, ...]:
    """The structures of a table that :func:`volume_table` made."""
    return tuple(
        Structure(
            label=int(row["label"]),
            name=str(row["structure"]),
            reader_name=freesurfer.reader_name(str(row["structure"])),
            ml=float(row["ml"]),
            share=float(row["share"]),
            entropy=float(row["entropy"]),
            sure=bool(row["sure"]),
            dice=_optional(float(row["dice"])),
            volume_error=_optional(float(row["volume_error"])),
        )
        for row in table.to_dict("records")
    )


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else value


def _asymmetry(structure: Structure, ml: dict[int, float]) -> float:
    other = freesurfer.opposite_of(structure.label)
    if other is None or other not in ml:
        return float("nan")
    left, right = ml[structure.label], ml[other]
    if freesurfer.side_of(structure.label) == "right":
        left, right = right, left
    return (left - right) / (left + right) if left + right > 0 else float("nan")
