"""Do maps lie, by region, where published studies find Alzheimer's disease, and more so than where they find anything?

    python -m Testing.benchmarks.literature_density COORDINATES METADATA MAPS [MAPS ...]

COORDINATES and METADATA are the tables of Neurosynth (Yarkoni et al. 2011), data-neurosynth_version-7_*.tsv.gz of its
public repository: peaks of published studies in mm, and their titles. MAPS are folders of a benchmark, whose stored
maps of simulated patients are averaged, or maps in template space as NIfTI, such as a cohort's group maps.

Structural studies of Alzheimer's disease and mild cognitive impairment are found by their titles, and as controls
structural studies of anything else and all studies of anything else. Each study counts once, whatever its number of
peaks; a peak is a Gaussian of 12 or 20 mm. Printed is Spearman's correlation over the atlas's regions between the mean
size of a map and the studies' density, and how much more that is than with each control, with 95 % intervals over
studies (and subjects) drawn with replacement. Before the methods stands *effect*: what the simulated disease itself
changed, the map that an explanation should be like.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.benchmark.stored_maps import read_maps
from mri_interpret.images.nifti import read_nifti
from mri_interpret.images.smoothing import sigma_in_voxels, smooth_inside
from mri_interpret.images.volume import Grid, resample
from mri_interpret.preprocessing.template import load_template
from mri_interpret.simulation.grids import MODEL_GRID
from mri_interpret.summary import COMMON_FWHM_MM
from numpy.typing import NDArray
from scipy import ndimage, stats

Floats = NDArray[np.float64]
PEAK_FWHM_MM = (12.0, 20.0)
REPEATS = 1000
_STRUCTURAL = r"atroph|voxel.based|gr[ae]y matter|structural|cortical thick|morphom|volum"
_DISEASE = r"alzheimer|mild cognitive|amnestic mci"
_RELATED = rf"{_DISEASE}|dementia|ageing|aging|elder|older"  # no control
_GREY = ("ctx-", "Hippocampus", "Amygdala", "Thalamus", "Caudate", "Putamen", "Pallidum", "Accumbens")
CONTROLS = ("structural", "any")


@dataclass(frozen=True)
class Regions:
    """The named regions of the default atlas on the grid of the bundled classifier.

    ``labels`` (I, J, K) whole numbers, 0 for no region; ``names`` of ``numbers``; ``brain`` (I, J, K), bool.
    """

    labels: NDArray[np.int64]
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    brain: NDArray[np.bool_]
    grid: Grid

    @property
    def grey(self) -> NDArray[np.bool_]:
        """(R,): cortex and grey nuclei."""
        return np.array([any(part in name for part in _GREY) for name in self.names])

    def means(self, values: Floats) -> Floats:
        """Mean over each region, (R,)."""
        return np.asarray(ndimage.mean(values, self.labels, self.numbers), dtype=np.float64)


def regions_of_template() -> Regions:
    atlas = load_default_atlas()
    brain = resample(load_template(2)[1], MODEL_GRID, order=0).array > 0
    labels = np.where(brain, resample(atlas.volume, MODEL_GRID, order=0).array, 0).astype(np.int64)
    there = set(np.unique(labels).tolist())
    chosen = [one for one in atlas.regions if one.label in there and "unknown" not in one.name.lower()]
    return Regions(labels, tuple(one.label for one in chosen), tuple(one.name for one in chosen), brain, MODEL_GRID)


def peak_profiles(regions: Regions, peaks: Floats, fwhm_mm: float) -> Floats:
    """Mean over each region of a Gaussian at each peak, (P, R); ``peaks`` (P, 3) in RAS mm. Outside the grid: zeros."""
    inverse = np.linalg.inv(regions.grid.affine)
    ijk = np.rint(peaks @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    within = ((ijk >= 0) & (ijk < np.array(regions.labels.shape))).all(1)
    at = tuple(ijk[within].T)
    sigma = sigma_in_voxels(fwhm_mm, regions.grid.spacing)
    found = np.zeros((len(peaks), len(regions.numbers)))
    for column, number in enumerate(regions.numbers):
        one = (regions.labels == number).astype(np.float32)
        found[within, column] = (ndimage.gaussian_filter(one, sigma) / one.sum())[at]
    return found


def study_profiles(regions: Regions, coordinates: pd.DataFrame, fwhm_mm: float) -> pd.DataFrame:
    """One row per study (its id): the mean over its peaks of :func:`peak_profiles`; studies without any left out."""
    profiles = pd.DataFrame(peak_profiles(regions, coordinates[["x", "y", "z"]].to_numpy(float), fwhm_mm))
    found = profiles.groupby(coordinates["id"].to_numpy()).mean()
    return found[found.sum(axis=1) > 0]


def studies(metadata: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Ids of the studies in MNI space: "disease", and the controls "structural" and "any"."""
    known = metadata[metadata["space"] == "MNI"]
    titles = known["title"].fillna("").str.lower()
    structural, disease = titles.str.contains(_STRUCTURAL), titles.str.contains(_DISEASE)
    other = ~titles.str.contains(_RELATED)
    chosen = {"disease": structural & disease, "structural": structural & other, "any": other}
    return {name: known.loc[rows, "id"].to_numpy(np.int64) for name, rows in chosen.items()}


def map_profiles(regions: Regions, folders: Sequence[Path], reporting: bool = False) -> dict[str, Floats]:
    """By method (subjects, R): the mean size of each stored map in each region, smoothed as maps are compared.

    Parameters
    ----------
    folders
        Of benchmarks.
    reporting
        Leave out subjects of even number, which lie over the anatomies on which benchmarks choose.

    Raises
    ------
    ValueError
        If no folder holds a stored map on the classifier's grid.
    """
    rows: dict[str, list[Floats]] = {}
    for path in sorted(path for folder in folders for path in (folder / "maps").glob("*.npz")):
        if reporting and int(path.stem.rpartition("_")[2]) % 2 == 0:
            continue
        stored = read_maps(path)
        assert stored is not None
        if stored["mask"].shape != regions.labels.shape:
            continue
        for name in [key for key in stored if key not in ("scan", "mask")]:
            rows.setdefault(name, []).append(_profile(regions, stored[name], stored["mask"] > 0))
    if not rows:
        raise ValueError(f"no stored maps on the grid {regions.labels.shape} in {', '.join(map(str, folders))}")
    return {name: np.stack(profiles) for name, profiles in rows.items()}


def file_profile(regions: Regions, path: Path) -> Floats:
    """The same of one map in template space, (1, R)."""
    return _profile(regions, resample(read_nifti(path), regions.grid).array, regions.brain)[None]


def _profile(regions: Regions, values: Floats, inside: NDArray[np.bool_]) -> Floats:
    sigma = sigma_in_voxels(COMMON_FWHM_MM, regions.grid.spacing)
    smooth, _ = smooth_inside(np.abs(values), inside, sigma)
    # Each subject counts as much as another, whatever the size of its values.
    return regions.means(np.where(inside, smooth, 0)) / max(float(smooth[inside].mean()), 1e-30)


def rank_correlations(profiles: Floats, densities: Floats) -> Floats:
    """Spearman's correlation of each row with the row of the same number, (N,); both (N, R)."""
    one, other = (stats.rankdata(values, axis=1) for values in (profiles, densities))
    one, other = (values - values.mean(1, keepdims=True) for values in (one, other))
    return np.asarray((one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def drawn_means(values: Floats, repeats: int, rng: np.random.Generator) -> Floats:
    """The mean of all rows, and those of so many draws of rows with replacement, (1 + repeats, R)."""
    number = len(values)
    times = rng.multinomial(number, np.full(number, 1 / number), size=repeats)
    return np.concatenate([values.mean(0, keepdims=True), times @ values / number])


def compared(
    maps: Mapping[str, Floats], densities: Mapping[str, Floats], chosen: NDArray[np.bool_], repeats: int = REPEATS
) -> pd.DataFrame:
    """One row per method: the correlation with the disease's studies, with each control's, and the differences.

    Parameters
    ----------
    maps
        By method, (subjects, R).
    densities
        "disease" and :data:`CONTROLS`, (studies, R).
    chosen
        (R,): the regions to compare over.
    repeats
        Draws with replacement of studies and subjects, for the 95 % intervals.
    """
    rng = np.random.default_rng(0)
    drawn = {name: drawn_means(values[:, chosen], repeats, rng) for name, values in densities.items()}
    rows = []
    for method, profiles in maps.items():
        mine = drawn_means(profiles[:, chosen], repeats, rng)
        found = {name: rank_correlations(mine, density) for name, density in drawn.items()}
        row = {"map": method, "maps": str(len(profiles)), "disease": _with_interval(found["disease"])}
        for name in CONTROLS:
            row[f"{name} studies"] = f"{found[name][0]:.2f}"
            row[f"more than {name}"] = _with_interval(found["disease"] - found[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _with_interval(values: Floats) -> str:
    """The first with the interval of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{values[0]:.2f} [{low:.2f}, {high:.2f}]"


def markdown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(table.columns) + " |", "|---" * len(table.columns) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table.astype(str).to_numpy().tolist()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("coordinates", type=Path)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("maps", type=Path, nargs="+")
    parser.add_argument("--reporting", action="store_true", help="only subjects over the anatomies that report")
    parser.add_argument("--methods", nargs="+", help="stored maps to show; all if left out")
    options = parser.parse_args()
    coordinates = pd.read_csv(options.coordinates, sep="\t")
    chosen = studies(pd.read_csv(options.metadata, sep="\t", dtype={"space": str, "title": str}))
    regions = regions_of_template()
    files = [path for path in options.maps if path.is_file()]
    folders = [path for path in options.maps if not path.is_file()]
    maps = map_profiles(regions, folders, options.reporting) if folders else {}
    maps = {name: rows for name, rows in maps.items() if not options.methods or name in options.methods}
    maps |= {path.name.split(".")[0]: file_profile(regions, path) for path in files}
    for fwhm_mm in PEAK_FWHM_MM:
        profiles = study_profiles(regions, coordinates, fwhm_mm)
        densities = {name: profiles[profiles.index.isin(ids)].to_numpy() for name, ids in chosen.items()}
        counts = ", ".join(f"{name} {len(values)}" for name, values in densities.items())
        for said, there in (("all regions", np.ones(len(regions.names), dtype=bool)), ("grey matter", regions.grey)):
            print(f"\n{said} ({there.sum()}), peaks of {fwhm_mm:g} mm; studies: {counts}\n")
            print(markdown(compared(maps, densities, there)), flush=True)


if __name__ == "__main__":
    main()
