"""`mri-interpret simulate`: a cohort from label maps, or from the template if there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..progress import ProgressCallback, silent
from .anatomy import Anatomy, choose_label_maps, read_anatomy
from .cohort import CohortOptions, write_cohort
from .disease import PUBLISHED, check_disease
from .template_anatomy import template_anatomy


def simulate_cohort(
    n: int,
    seed: int,
    output: str | Path,
    label_maps: str | Path | None = None,
    *,
    whole_head: bool = False,
    healthy_twins: bool = False,
    only: Sequence[str] = (),
    in_template: bool = False,
    disease: str = PUBLISHED,
    progress: ProgressCallback = silent,
) -> Path:
    """Write a simulated cohort.

    Parameters
    ----------
    n
        Number of subjects; CN, MCI and AD equally frequent.
    seed
        Random seed; the same seed gives the same voxels.
    output
        Folder: sub-0001/anat/sub-0001_T1w.nii.gz ..., derivatives/truth with the effect maps, participants.tsv.
    label_maps
        Folder of FreeSurfer-style label maps (labels_<subject>.nii.gz); the ICBM152 template's anatomy by default.
    whole_head
        With skull and skin instead of the brain alone.
    healthy_twins
        Also write each subject's scan without the disease, with the same contrast and noise.
    only
        Names of the label maps to use ("02" for labels_02.nii.gz); all by default.
    in_template
        Write the scans as they lie in template space, instead of turned and shifted in a scanner.
    disease
        "published" or "stylised", see :func:`.simulate.simulate`.

    Returns
    -------
    Path of participants.tsv.

    Raises
    ------
    UserError
        If n is not positive, the disease is not known, a label map cannot be used, or the folder cannot be written.
    """
    if n < 1:
        raise UserError(f"A cohort of {n} subjects cannot be simulated: ask for 1 or more.")
    if seed < 0:
        raise UserError(f"The seed {seed} is negative: seeds are whole numbers from 0.")
    check_disease(disease)
    anatomies = load_anatomies(label_maps, only, progress, disease)
    options = CohortOptions(whole_head, healthy_twins, in_template=in_template, disease=disease)
    return write_cohort(output, anatomies, n, seed, options, progress)


def load_anatomies(
    label_maps: str | Path | None,
    only: Sequence[str] = (),
    progress: ProgressCallback = silent,
    disease: str = PUBLISHED,
) -> list[Anatomy]:
    """Label maps of a folder, registered to the template one by one; the template's own anatomy without a folder."""
    if label_maps is None:
        if only:
            raise UserError(f"Label maps are chosen by name ({', '.join(only)}), but their folder is not: give it too.")
        progress("Building the template's anatomy", 0.0)
        return [template_anatomy()]
    paths = choose_label_maps(label_maps, only)
    anatomies = []
    for number, path in enumerate(paths):
        progress(f"Registering {path.name}", number / len(paths))
        anatomies.append(read_anatomy(path, disease))
    return anatomies
