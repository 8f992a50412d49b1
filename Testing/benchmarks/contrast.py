"""Do training scans have the contrast of real T1-weighted scans, as preprocessing leaves both?

    python -m Testing.benchmarks.contrast --bank BANK --scans SCAN ...

The intensity of a tissue is the median where the ICBM152 template's own map of it says that it is very likely; white
matter is 1. Printed as Markdown: real scans one by one, and mean and SD over training scans, with the contrast that
they have and with any contrast, as training scans had it until atrophy_cnn 0.5.0.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import mri_interpret as mi
import numpy as np
from mri_interpret.images.volume import Volume, resample
from mri_interpret.preprocessing.pipeline import preprocess
from mri_interpret.simulation.acquisition_ranges import AS_PREPROCESSED
from mri_interpret.simulation.grids import MODEL_GRID
from mri_interpret.training.samples import BankSamples
from numpy.typing import NDArray
from scipy import ndimage

_SEED = 12
_LIKELY = {"CSF": 0.6, "grey matter": 0.6, "white matter": 0.9}
_BLUR = 1.5  # voxels of 2 mm


@lru_cache(maxsize=1)
def places() -> dict[str, NDArray[np.bool_]]:
    """Where each tissue is likely, on the model's grid; CSF is what is neither grey nor white matter."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    shares = []
    for image in (load_mni152_gm_template(1), load_mni152_wm_template(1)):
        share = resample(Volume(np.asarray(image.get_fdata(), dtype=np.float32), image.affine), MODEL_GRID)
        shares.append(ndimage.gaussian_filter(np.asarray(share.array), _BLUR))
    grey, white = shares
    tissues = {"CSF": 1 - grey - white, "grey matter": grey, "white matter": white}
    return {name: share > _LIKELY[name] for name, share in tissues.items()}


def levels(image: NDArray[np.float32]) -> tuple[float, float]:
    """CSF and grey matter over white matter in an image that is 0 outside the brain."""
    fluid, grey, white = (float(np.median(image[there & (image > 0)])) for there in places().values())
    return fluid / white, grey / white


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--brains", type=int, default=60)
    parser.add_argument("--scans", type=Path, nargs="*", default=[])
    options = parser.parse_args(arguments)
    print("| | CSF / white matter | grey / white matter |\n|---|---|---|")
    for path in options.scans:
        made = preprocess(mi.as_volume(path), MODEL_GRID)
        print("| {} | {:.2f} | {:.2f} |".format(path.name.split(".")[0], *levels(np.asarray(made.image.array))))
    for name, ranges in (("T1", AS_PREPROCESSED), ("any", replace(AS_PREPROCESSED, t1=False))):
        samples = BankSamples(options.bank, options.brains, options.brains, _SEED, ranges, in_order=True)
        found = np.array([levels(samples[index]["image"][0].numpy()) for index in range(options.brains)])
        said = [f"{mean:.2f} ({sd:.2f})" for mean, sd in zip(found.mean(0), found.std(0), strict=True)]
        print(f"| {options.brains} training scans, {name} contrast | {said[0]} | {said[1]} |")


if __name__ == "__main__":
    main()
