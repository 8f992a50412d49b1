"""What a scene shows of volume methods: sentences, the deformed scan, and the displacement as VTK takes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..explanation.explanation import Explanation
from ..explanation.volume_words import volume_statements
from ..images.array_files import ArrayFiles, map_array, read_array_file
from ..images.volume import Affine, Array, Volume


@dataclass(frozen=True)
class CounterfactualContent:
    """One counterfactual.

    Attributes
    ----------
    method
        The key of its map.
    title
        How its nodes are called: "Counterfactual, the boundary of AD - CN".
    scan
        The deformed scan, on the scan's grid.
    vectors
        Shape (K, J, I, 3), float32, contiguous: what is seen at x came from x + u(x), u in mm along R, A, S. VTK's
        first index runs fastest.
    affine
        4 x 4, voxel indices (i, j, k) of the vectors to RAS mm.
    """

    method: str
    title: str
    scan: Volume
    vectors: Array
    affine: Affine


def counterfactuals_in(explanation: Explanation) -> tuple[CounterfactualContent, ...]:
    """Of an explanation, in the order of its maps."""
    return tuple(
        CounterfactualContent(
            method,
            f"Counterfactual, {one.goal}",
            one.scan,
            np.ascontiguousarray(one.displacement.array.transpose(2, 1, 0, 3), dtype=np.float32),
            one.displacement.affine,
        )
        for method, one in explanation.counterfactuals.items()
    )


def sentences_in(explanation: Explanation) -> tuple[str, ...]:
    """What the volume methods say, each method's title before its first sentence."""
    return tuple(
        f"{one.title}: {sentence}" if number == 0 else sentence
        for one in volume_statements(explanation)
        for number, sentence in enumerate(one.all)
    )


def bars_in(explanation: Explanation) -> tuple[str, str, dict[str, float]] | None:
    """Title, name and bars of the chart: the changes that a counterfactual asks for in per cent, else the effects."""
    statements = volume_statements(explanation)
    asked = [one for one in statements if one.counterfactual is not None]
    if not statements:
        return None
    chosen = (asked or list(statements))[0]
    values = {
        f"{one.side} {one.words}".strip(): 100 * one.change if asked else one.effect
        for one in chosen.changes
        if not one.too_small
    }
    ranked = sorted((name for name in values if not np.isnan(values[name])), key=lambda name: -abs(values[name]))
    title = f"{chosen.title}: change of volume" if asked else f"{chosen.title}: effect of 1 % more volume"
    return title, "%" if asked else explanation.target.name, {name: values[name] for name in ranked[:8]}


def write_counterfactuals(found: tuple[CounterfactualContent, ...], folder: Path, written: ArrayFiles) -> list[Any]:
    """Save them; returns what :func:`read_counterfactuals` needs."""
    records = []
    for number, one in enumerate(found):
        np.save(folder / f"scene_displacement_{number}.npy", one.vectors, allow_pickle=False)
        records.append(
            {
                "method": one.method,
                "title": one.title,
                "scan": written.record(one.scan, f"scene_counterfactual_{number}"),
                "vectors": f"scene_displacement_{number}.npy",
                "affine": np.asarray(one.affine, float).tolist(),
            }
        )
    return records


def read_counterfactuals(records: list[Any], folder: Path) -> tuple[CounterfactualContent, ...]:
    """What :func:`write_counterfactuals` saved; the arrays live in the folder's files."""
    return tuple(
        CounterfactualContent(
            one["method"],
            one["title"],
            read_array_file(one["scan"], folder),
            map_array(folder / one["vectors"]),
            np.array(one["affine"], float),
        )
        for one in records
    )
