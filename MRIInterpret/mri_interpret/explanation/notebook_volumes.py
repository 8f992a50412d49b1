"""How a notebook shows the volumes of a brain: a table of its structures, left beside right."""

from __future__ import annotations

import math
from html import escape

from ..anatomy.paired_volumes import PairedVolume, paired_volumes, volumes_sentence
from ..anatomy.segmentation import Segmentation

_HEADS = ("Structure", "Left (ml)", "Right (ml)", "Of intracranial", "Left-right difference", "Dice", "Remarks")


def volumes_html(segmentation: Segmentation | None) -> str:
    """The structures without the parcels of the cortex, folded away behind one sentence; "" without a segmentation."""
    if segmentation is None:
        return ""
    head = "".join(f'<th style="text-align:left">{text}</th>' for text in _HEADS)
    rows = "".join(_row(row) for row in paired_volumes(segmentation.structures) if not row.is_parcel)
    return (
        f"<details><summary><b>Volumes of this brain</b>: {escape(volumes_sentence(segmentation))}</summary>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _row(row: PairedVolume) -> str:
    if row.middle is not None:
        volumes = f'<td colspan="2">{row.middle.ml:.2f}</td>'
    else:
        volumes = "".join(f"<td>{'' if one is None else f'{one.ml:.2f}'}</td>" for one in (row.left, row.right))
    return (
        f'<tr><td style="text-align:left">{escape(row.name)}</td>{volumes}<td>{row.share:.2%}</td>'
        f"<td>{_known(round(row.asymmetry, 3) + 0.0, '+.1%')}</td><td>{_known(row.dice, '.2f')}</td>"
        f'<td style="text-align:left">{escape(", ".join(row.remarks))}</td></tr>'
    )


def _known(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
