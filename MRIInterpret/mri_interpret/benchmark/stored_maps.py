"""Maps that a benchmark stores: their means for the picture, and how alike they are over trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..atomic import replacing
from ..metrics.agreement import intraclass_correlation
from ..metrics.similarity import region_profile, spearman
from .simulated_subjects import SimulatedSubject


def maps_path(folder: Path, name: str, index: int) -> Path:
    return folder / "maps" / f"{name}_{index:05d}.npz"


def save_maps(path: Path, given: SimulatedSubject, maps: Mapping[str, NDArray[np.floating]]) -> None:
    """Write maps for the picture of means: inside the brain, in half precision, each scaled to a largest value of 1."""
    scaled = {
        f"map:{name}": (values[given.mask] / max(float(np.abs(values).max()), 1e-30)).astype(np.float16)
        for name, values in maps.items()
    }
    arrays: dict[str, Any] = {
        "mask": np.packbits(given.mask),
        "shape": np.array(given.mask.shape),
        "scan": given.image[0, 0].numpy()[given.mask].astype(np.float16),
        "effect": given.effect[given.mask].astype(np.float16),
    }
    with replacing(path) as aside:
        np.savez(aside, **(arrays | scaled))


def mean_maps(networks: Sequence[str], subjects: int, folder: Path) -> dict[str, NDArray[np.float32]]:
    """Means over the pictured subjects, (I, J, K): "scan", "mask", "effect" (of its size), and each method's map.

    Empty without a pictured subject. Networks on another grid than the first one's are left out.

    Parameters
    ----------
    networks
        Their names in the benchmark.
    subjects
        How many subjects the benchmark has.
    folder
        The benchmark's.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}  # slow methods have fewer
    for name in networks:
        for stored in _stored_maps(folder, name, subjects):
            if sums and stored["mask"].shape != sums["mask"].shape:
                break
            for key, values in stored.items():
                sums[key] = sums.get(key, 0.0) + values
                counts[key] = counts.get(key, 0) + 1
    return {name: (values / counts[name]).astype(np.float32) for name, values in sums.items()}


def training_agreement(networks: Sequence[str], subjects: int, folder: Path, labels: NDArray[np.int64]) -> pd.DataFrame:
    """How alike the maps of networks are that differ in the seed of their training, over the pictured subjects.

    Returns
    -------
    Columns as :func:`.tables.interval_table` needs them: network (all), subject, method, measure
    ("trainings: icc" of region profiles, "trainings: spearman", the mean over pairs of networks), value. Empty for one
    network.
    """
    rows: list[tuple[str, str, str, str, float]] = []
    for index in range(subjects if len(networks) > 1 else 0):
        found = [read_maps(maps_path(folder, name, index)) for name in networks]
        maps = [one for one in found if one is not None and one["mask"].shape == labels.shape]
        if len(maps) < len(networks):
            continue
        mask = maps[0]["mask"] > 0
        for method in (key for key in maps[0] if key not in ("scan", "mask", "effect")):
            if any(method not in one for one in maps):
                continue
            profiles = np.stack([region_profile(one[method], labels, mask) for one in maps])
            pairs = [spearman(a[method], b[method], mask) for a, b in combinations(maps, 2)]
            name = f"subject {index}"
            rows.append(("all", name, method, "trainings: icc", intraclass_correlation(profiles)))
            rows.append(("all", name, method, "trainings: spearman", float(np.mean(pairs))))
    return pd.DataFrame(rows, columns=["network", "subject", "method", "measure", "value"])


def _stored_maps(folder: Path, name: str, subjects: int) -> Iterator[dict[str, NDArray[np.float64]]]:
    for index in range(subjects):
        found = read_maps(maps_path(folder, name, index))
        if found is not None:
            yield found


def read_maps(path: Path) -> dict[str, NDArray[np.float64]] | None:
    """One subject's maps, (I, J, K), with "scan", "mask" and "effect", as :func:`save_maps` wrote them."""
    if not path.exists():
        return None
    with np.load(path) as stored:
        shape = tuple(int(size) for size in stored["shape"])
        mask = np.unpackbits(stored["mask"], count=int(np.prod(shape))).reshape(shape).astype(bool)
        found = {"mask": mask.astype(np.float64)}
        for key in stored.files:
            if key in ("mask", "shape"):
                continue
            array = np.zeros(shape)
            array[mask] = np.abs(stored[key]) if key == "effect" else stored[key]
            found[key.removeprefix("map:")] = array
    return found
