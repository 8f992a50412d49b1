"""Maps kept for the benchmark's picture, and their means over subjects and networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from .simulated import TruthSubject


def maps_path(folder: Path, name: str, index: int) -> Path:
    return folder / "maps" / f"{name}_{index:05d}.npz"


def keep_maps(path: Path, given: TruthSubject, maps: Mapping[str, NDArray[np.floating]]) -> None:
    """For the picture of mean maps: inside the brain, in half precision, each scaled to a largest value of 1."""
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
        np.savez(aside, **arrays, **scaled)


def mean_maps(networks: Sequence[str], subjects: int, folder: Path) -> dict[str, NDArray[np.float32]]:
    """Means over the pictured subjects, (I, J, K): "scan", "mask", "effect" (of its size), and each method's map.

    Empty without a pictured subject. Networks on another grid than the first one's are left out.

    Parameters
    ----------
    networks
        Their names in the benchmark.
    subjects
        How many the benchmark has.
    folder
        Of the benchmark.
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


def _stored_maps(folder: Path, name: str, subjects: int) -> Iterator[dict[str, NDArray[np.float64]]]:
    for index in range(subjects):
        path = maps_path(folder, name, index)
        if not path.exists():
            continue
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
            yield found
