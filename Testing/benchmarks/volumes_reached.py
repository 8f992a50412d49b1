"""Whether simulated brains have the volumes that were drawn for them, on which the published disease's labels rest.

    python -m Testing.benchmarks.volumes_reached --label-maps FOLDER --anatomies 08 15 17 --cache FOLDER [--brains N]

Elderly subjects in turn over the anatomies. Each region's volume is counted in voxels of 1 mm after the deformation,
seen in template space through its alignment, over the volume inside the skull; it is compared with the volume that was
drawn. An ideal reader of volumes then tells the groups from either. And each region's voxels are counted in the
finished labels, from which scans are made, by other code than the simulator drives it with.
Printed as Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mri_interpret.metrics.similarity import correlation
from mri_interpret.simulation.anatomy import Anatomy, list_label_maps
from mri_interpret.simulation.disease import PUBLISHED, fractions_for
from mri_interpret.simulation.groups import GROUPS
from mri_interpret.simulation.norms import volumes_against_norm
from mri_interpret.simulation.published import VOLUMES, draw_published, volumes_of, volumes_of_both_sides
from mri_interpret.simulation.region_shares import OWN_REGIONS, region_shares
from mri_interpret.simulation.regional_drive import counted_volumes
from mri_interpret.simulation.regions import NAMES_OF_REGIONS, SIDES, structure_table
from mri_interpret.simulation.structures import INTRACRANIAL, NAMES
from mri_interpret.simulation.subject import SimulatedBrain, simulate_brain
from mri_interpret.training.anatomies import cached_anatomy
from numpy.typing import NDArray

from .volume_reading import areas, volumetry, without

_SEED = 42


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--anatomies", nargs="+", required=True, help="ends of the label maps' names: 08 15 17")
    parser.add_argument("--brains", type=int, default=96)
    parser.add_argument("--cache", type=Path, required=True, help="folder of registered label maps")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    paths = [
        path
        for end in options.anatomies
        for path in list_label_maps(options.label_maps)
        if path.name.split(".")[0].endswith(end)
    ]
    anatomies = [cached_anatomy(path, options.cache, disease=PUBLISHED) for path in paths]
    fractions = [fractions_for(anatomy, PUBLISHED) for anatomy in anatomies]
    drawn, made, seen, groups, bases = [], [], [], [], []
    asked, counted = [], []
    for index in range(options.brains):
        rng = np.random.default_rng([_SEED, index])
        base = index % len(anatomies)
        subject = draw_published(rng, GROUPS[rng.integers(3)])
        brain = simulate_brain(anatomies[base], fractions[base], subject, int(rng.integers(2**31)))
        drawn.append(volumes_of_both_sides(volumes_of(subject)))
        made.append(volumes_of_both_sides(brain.volumes))
        aligned = counted_volumes(fractions[base], brain.deformation)
        seen.append(volumes_of_both_sides(volumes_against_norm(fractions[base], aligned)))
        asked.append(_of_both_sides(volumes_of(subject)))
        counted.append(in_labels(anatomies[base], brain))
        groups.append(GROUPS.index(subject.group))
        bases.append(base)
    _report(np.array(drawn), np.array(made), np.array(seen), np.array(groups), np.array(bases))
    _report_labels(np.array(asked), np.array(counted), np.array(bases))


def _of_both_sides(volumes: Mapping[str, float]) -> NDArray[np.float64]:
    """Log-volume of each of VOLUMES, the mean over its sides, (V,)."""
    sides = [[f"{side} {name}" for side in SIDES if f"{side} {name}" in NAMES_OF_REGIONS] or [name] for name in VOLUMES]
    return np.array([np.mean([volumes[one] for one in names]) for names in sides])


def in_labels(anatomy: Anatomy, brain: SimulatedBrain) -> NDArray[np.float64]:
    """Log of each of VOLUMES in a brain's labels, both sides, over everything inside the skull, (V,).

    Parts of the cortex are counted where the anatomy's own parcels lie after the deformation.
    """
    shares = region_shares(anatomy, brain.deformation, brain.labels).astype(np.float64).sum(axis=(1, 2, 3)) * 64 / 255
    counts = np.bincount(brain.labels.ravel(), minlength=len(NAMES))
    found = []
    for name in VOLUMES:
        if name in OWN_REGIONS:
            found.append(shares[OWN_REGIONS.index(name)])
        else:
            found.append(sum(counts[structure_table(f"{side} {name}")].sum() for side in SIDES))
    return np.log(np.array(found) / counts[INTRACRANIAL].sum())


def _report_labels(drawn: np.ndarray, counted: np.ndarray, bases: np.ndarray) -> None:
    """Print how the volumes that are counted in the labels follow the drawn ones, (N, V) log-volumes."""
    drawn, counted = drawn.copy(), counted.copy()
    for base in np.unique(bases):
        drawn[bases == base] -= drawn[bases == base].mean(axis=0)
        counted[bases == base] -= counted[bases == base].mean(axis=0)
    print("\nCounted in the labels against drawn, log-volumes less the mean of each anatomy.\n")
    print("| region | r | change in the labels for 1 drawn |\n|---|---|---|")
    for index, name in enumerate(VOLUMES):
        a, b = drawn[:, index], counted[:, index]
        print(f"| {name} | {correlation(a, b):.2f} | {float(a @ b) / float(a @ a):.2f} |")


def _report(drawn: np.ndarray, made: np.ndarray, seen: np.ndarray, groups: np.ndarray, bases: np.ndarray) -> None:
    """Print what was found; volumes are (N, V) in SDs of elderly people."""
    print(f"{len(drawn)} elderly subjects. Errors in SDs of the volume among elderly people.\n")
    print("| region | r | r without what the others tell | error: mean of an anatomy, farthest | error, SD |")
    print("|---|---|---|---|---|")
    rows = []
    for index, name in enumerate(VOLUMES):
        rest = without(np.delete(drawn, index, axis=1))
        error = seen[:, index] - drawn[:, index]
        offsets = [error[bases == base].mean() - error.mean() for base in np.unique(bases)]
        own = correlation(rest(seen[:, index]), rest(drawn[:, index]))
        rows.append((correlation(seen[:, index], drawn[:, index]), own, max(offsets, key=abs), error.std()))
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in rows[-1]) + " |")
    r, own, _, spread = np.mean(np.abs(rows), axis=0)
    print(f"| *mean* | {r:.3f} | {own:.3f} | | {spread:.2f} |")
    odds = volumetry()
    told = "; ".join(
        f"{areas(odds(values), groups)} by the volumes {name}"
        for values, name in ((drawn, "drawn"), (made, "made"), (seen, "seen in template space"))
    )
    print(f"\nAUC of AD and of MCI against CN: {told}.")


if __name__ == "__main__":
    main()
