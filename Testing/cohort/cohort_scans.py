"""A small cohort to run: the template's brain with smooth random changes, 2 mm voxels, in template space."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.images.volume import resample
from mri_interpret.preprocessing.template import load_template
from scipy import ndimage


def write_scan(path: Path, seed: int, shrink: float = 0.0) -> Path:
    """A brain-only scan whose medial temporal lobes are darker by ``shrink``, with noise of its own."""
    brain, mask = load_template(2)
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=brain.shape), 6)
    image = brain.array * (1 + 0.15 * field / field.std()) * 200
    index = np.moveaxis(np.indices(brain.shape), 0, -1) @ brain.affine[:3, :3].T + brain.affine[:3, 3]
    for side in (-27, 27):
        distance = np.linalg.norm((index - [side, -20, -15]) / [10, 18, 10], axis=-1)
        image = image * (1 - shrink * np.exp(-0.5 * distance**2))
    image = np.where(mask.array > 0, np.maximum(image, 1), 0).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = nib.Nifti1Image(image, brain.affine)
    volume.set_sform(brain.affine, code=4)
    nib.save(volume, path)
    return path


def write_segmentation(path: Path) -> Path:
    """The atlas's structures on the grid of the scans: a segmentation of every brain of :func:`write_scan`."""
    brain, _ = load_template(2)
    labels = resample(load_default_atlas().volume, brain.grid, order=0).array.astype(np.int16)
    nib.save(nib.Nifti1Image(labels, brain.affine), path)
    return path


def write_cohort(folder: Path, groups: list[str], *, bids: bool = False, segmented: bool = False) -> Path:
    """A participants.tsv with age, sex and a hippocampal volume, and its scans beside it; the table's path.

    ``segmented`` gives a segmentation of the brains too, for tests that are not about the network that segments.
    """
    strength = {"CN": 0.0, "MCI": 0.3, "AD": 0.6}
    lines = ["participant_id\tgroup\tage\tsex\tLeft-Hippocampus" + ("" if bids else "\tpath")]
    if segmented:
        lines[0] += "\tsegmentation"
        write_segmentation(folder / "structures.nii.gz")
    for number, group in enumerate(groups, start=1):
        name = f"sub-{number:02d}"
        relative = Path(name) / "anat" / f"{name}_T1w.nii.gz"
        write_scan(folder / relative, number, strength.get(group, 0.0))
        sex = "F" if number % 2 else "M"
        volume = 4000 - 1500 * strength.get(group, 0.0) + 10 * number
        cells = [name, group, str(60 + (7 * number) % 23), sex, f"{volume:.0f}"]
        cells += ([] if bids else [relative.as_posix()]) + (["structures.nii.gz"] if segmented else [])
        lines.append("\t".join(cells))
    table = folder / "participants.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table
