"""One method's group maps: computed, written as NIfTI, tested, and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..drawing.canvas import Picture
from ..images.volume import Grid, Volume
from ..images.writing import save_nifti
from .bids import label
from .confounds import confound_matrix, why_no_test
from .group_difference import LEAST, GroupDifference, permutation_difference
from .group_maps import ALL, GroupMap, group_maps, masked_reader, memberships, on_grid, set_name, template_brain
from .map_pictures import difference_picture, sets_picture
from .planning import Plan
from .subject_result import SubjectResult


@dataclass(frozen=True)
class MethodGroupMaps:
    """One method's group maps: where they lie, of how many subjects, the test's result, and pictures."""

    sizes: dict[str, int]  # set of subjects -> how many
    files: dict[str, str]  # "true-AD_mean" -> path within the group folder
    difference: dict[str, Any]  # facts of the test, or {"reason": why there is none}
    pictures: dict[str, Picture]  # "groups", "difference", "cells", "medians"
    shown: dict[str, Volume] = field(default_factory=dict)  # mean maps to click through, by their words
    changes: dict[str, Volume] = field(default_factory=dict)  # differences of them


def make_group_maps(
    plan: Plan,
    results: Sequence[SubjectResult],
    method: str,
    about: Mapping[str, Any],
    folder: Path,
    progress: Callable[[float], None],
) -> MethodGroupMaps:
    """Group maps of one method (or "summary").

    Parameters
    ----------
    plan, results
        What was run, and what is complete.
    method, about
        The method's name, and its title, signed and units.
    folder
        Where the NIfTI files go: group/maps/<method>, in its place aside.
    progress
        Told the share done.
    """
    grid = plan.grid
    inside = template_brain(grid)
    groups = [result.subject.group for result in results]
    predicted = [] if plan.model.output.is_quantity else [result.predicted for result in results]
    members = memberships(groups, predicted, plan.cohort.classes)
    read = masked_reader([result.file(f"template/{method}") for result in results], grid, inside, plan.own_grids)
    folder.mkdir(parents=True, exist_ok=True)
    found = group_maps(read, members, len(results), folder, on_subject=lambda done: progress(0.4 * done / len(results)))
    progress(0.5)
    files = _write(found, inside, grid, folder, method)
    volumes = {
        (name, kind): on_grid(getattr(entry, kind), inside, grid, name)
        for name, entry in found.items()
        for kind in ("mean", "median")
    }
    tested = _test(plan, results, read, inside, folder, lambda fraction: progress(0.5 + 0.3 * fraction))
    pictures = _draw(plan, found, volumes, tested, inside, about)
    facts: dict[str, Any] = tested if isinstance(tested, dict) else {}
    sizes = {name: entry.n for name, entry in found.items()}
    shown = {words(name, sizes[name]): volumes[name, "mean"] for name in _shown_sets(found)}
    changes: dict[str, Volume] = {}
    if isinstance(tested, GroupDifference):
        first, second = plan.contrast
        pair = f"{label(first)}-minus-{label(second)}"
        change = volumes[set_name(first), "mean"].array - volumes[set_name(second), "mean"].array
        changes[f"{first} − {second}"] = Volume(change, grid.affine)
        tests = {"difference": Volume(change, grid.affine), "t": tested.t, "logp": tested.logp}
        if tested.enhancement is not None:
            tests["tfce"] = tested.enhancement
        for name, volume in tests.items():
            path = folder / f"{pair}_{name}.nii.gz"
            save_nifti(volume, path, space="mni", description=f"MRIInterpret {method} {first}-{second} {name}")
            files[f"{pair}_{name}"] = f"maps/{method}/{path.name}"
        facts = {
            "n": list(tested.n),
            "permutations": tested.permutations,
            "significant_voxels": tested.significant,
            "voxel_mm": float(tested.t.grid.spacing[0]),
            "correction": tested.correction,
            ("critical_t" if tested.correction == "max" else "critical_tfce"): tested.threshold,
            "largest_t": float(tested.t.array.max()),
            "smallest_t": float(tested.t.array.min()),
            "adjusted_for": list(plan.options.adjust),
        }
    progress(1.0)
    return MethodGroupMaps(sizes, files, facts, pictures, shown, changes)


def _shown_sets(found: Mapping[str, GroupMap]) -> list[str]:
    """The sets that a reader looks at first: the true groups, all subjects of a quantity, else the predicted groups."""
    true = [name for name in found if name.startswith("true-") and "_" not in name]
    if ALL in found:
        return [ALL, *true]
    return true or [name for name in found if name.startswith("predicted-")]


def _write(
    found: Mapping[str, GroupMap], inside: NDArray[np.bool_], grid: Grid, folder: Path, method: str
) -> dict[str, str]:
    files = {}
    for name, entry in found.items():
        for kind in ("mean", "median"):
            path = folder / f"{name}_{kind}.nii.gz"
            about = f"MRIInterpret {method} {name} {kind}, n={entry.n}"
            save_nifti(on_grid(getattr(entry, kind), inside, grid), path, space="mni", description=about)
            files[f"{name}_{kind}"] = f"maps/{method}/{path.name}"
    return files


def _test(
    plan: Plan,
    results: Sequence[SubjectResult],
    read: Any,
    inside: NDArray[np.bool_],
    folder: Path,
    progress: Callable[[float], None],
) -> GroupDifference | dict[str, Any]:
    """The permutation test of the contrast's two groups, or the reason why there is none."""
    first, second = ([i for i, result in enumerate(results) if result.subject.group == name] for name in plan.contrast)
    if plan.contrast[0] == plan.contrast[1] and plan.model.output.is_quantity:
        return {"reason": "The table names fewer than two groups, so there are none to compare."}
    if plan.contrast[0] == plan.contrast[1] or not first or not second:
        return {"reason": f"There are no {plan.contrast[0]} and {plan.contrast[1]} subjects to compare."}
    if not plan.options.permutations:
        return {"reason": "It was not tested, since no permutations were asked for."}
    if min(len(first), len(second)) < LEAST:
        return {
            "reason": f"{len(first)} {plan.contrast[0]} and {len(second)} {plan.contrast[1]} subjects are too few for "
            f"a test: at least {LEAST} of each are needed."
        }
    names = plan.options.adjust
    confounds = confound_matrix([results[i].subject for i in (*first, *second)], names)
    reason = why_no_test(confounds, len(first), len(second), names)
    if reason:
        return {"reason": reason}
    return permutation_difference(
        read, first, second, inside, plan.grid, folder, confounds=confounds, permutations=plan.options.permutations,
        correction=plan.options.correction, progress=progress,
    )  # fmt: skip


def _draw(
    plan: Plan,
    found: Mapping[str, GroupMap],
    volumes: Mapping[tuple[str, str], Volume],
    tested: GroupDifference | dict[str, Any],
    inside: NDArray[np.bool_],
    about: Mapping[str, Any],
) -> dict[str, Picture]:
    brain = Volume(inside.astype(np.uint8), plan.grid.affine, "template brain")
    sizes = {name: entry.n for name, entry in found.items()}
    true = [name for name in found if name.startswith("true-") and "_" not in name]
    predicted = [name for name in found if name.startswith("predicted-")]
    cells = [name for name in found if "_predicted-" in name]

    def rows(names: Sequence[str], kind: str) -> list[tuple[str, Volume]]:
        return [(words(name, sizes[name]), volumes[name, kind]) for name in names]

    shown = _shown_sets(found)
    pictures = {"groups": sets_picture(rows(shown, "mean"), brain, about, "mean")}
    pictures["medians"] = sets_picture(rows(shown, "median"), brain, about, "median")
    if true and cells:
        pictures["cells"] = sets_picture(rows([*predicted, *cells], "mean"), brain, about, "mean")
    if isinstance(tested, GroupDifference):
        first, second = plan.contrast
        a, b = volumes[set_name(first), "mean"], volumes[set_name(second), "mean"]
        pictures["difference"] = difference_picture(
            a.with_array(a.array - b.array), tested, brain, about, first, second
        )
    return pictures


@lru_cache(maxsize=256)
def words(name: str, n: int) -> str:
    """A set of subjects in words: "true AD, predicted CN (n = 4)"."""
    if name == ALL:
        return f"all subjects (n = {n})"
    parts = dict(part.split("-", 1) for part in name.split("_"))
    if len(parts) == 2:
        text = f"true {parts['true']}, predicted {parts['predicted']}"
    else:
        text = parts["true"] if "true" in parts else f"predicted {parts['predicted']}"
    return f"{text} (n = {n})"
