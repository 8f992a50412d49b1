"""Train the segmentation network: ``python -m mri_interpret.training.segmentation LABEL_MAPS -o FOLDER``.

The same command resumes after a kill, and goes on when asked for more scans.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

import torch

from ...errors import UserError
from ...models.anatomy_unet import AnatomyUNet
from ...simulation.anatomy import Anatomy, choose_label_maps, list_label_maps
from ...simulation.wide_anatomies import fill_wide_bank, wide_path
from ..anatomies import cached_anatomy
from .bundle import write_segmentation_bundle
from .evaluation import evaluate_segmentation
from .fit import SegmentationSettings, fit_segmentation

_TRAIN_SEED, _TEST_SEED = 21, 22
_FIRST_HEADS = 40  # in the bank before training begins


def main(arguments: list[str] | None = None) -> int:
    """Fill the banks, train, evaluate, write the bundle; 0, or 2 after a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m mri_interpret.training.segmentation", description=__doc__)
    parser.add_argument("label_maps", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="banks and checkpoint; OUTPUT.work by default")
    parser.add_argument("--held-out", default="02,08,13,17")
    parser.add_argument("--left-out", default="07", help="label maps that are not used at all")
    parser.add_argument("--heads", type=int, default=400, help="simulated heads to train on")
    parser.add_argument("--test-heads", type=int, default=40)
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        _train(given)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _train(given: argparse.Namespace) -> None:
    work = given.work or given.output.with_name(given.output.name + ".work")
    held_out = choose_label_maps(given.label_maps, [n for n in given.held_out.split(",") if n])
    unused = choose_label_maps(given.label_maps, given.left_out.split(",")) if given.left_out else []
    used = [path for path in list_label_maps(given.label_maps) if path not in (*held_out, *unused)]
    if not used or not held_out:
        raise UserError(f"Of the label maps in {given.label_maps}, none remains for training or none for testing.")
    training = [cached_anatomy(path, work / "anatomies") for path in used]
    testing = [cached_anatomy(path, work / "anatomies") for path in held_out if path not in unused]
    fill_wide_bank(work / "train", training, min(_FIRST_HEADS, given.heads), _TRAIN_SEED)
    filler = None
    if not wide_path(work / "train", given.heads - 1).exists():
        filler = multiprocessing.get_context("spawn").Process(
            target=_fill, args=(work / "train", training, given.heads), daemon=True
        )
        filler.start()
    torch.manual_seed(given.seed)
    settings = SegmentationSettings(given.samples, given.seed)
    network = fit_segmentation(AnatomyUNet(), work / "train", given.heads, settings, work / "fit", progress=_Printer())
    if filler is not None:
        filler.join()
    fill_wide_bank(work / "test", testing, given.test_heads, _TEST_SEED)
    scores = evaluate_segmentation(network, work / "test", given.test_heads, progress=_Printer())
    names = ", ".join(anatomy.name for anatomy in training)
    story = (
        "## Training\n\nLabel maps of real heads (published with SynthSeg, Billot et al. 2023, Apache-2.0), registered "
        f"affinely to the ICBM152 template: {names}. {given.heads} heads were made from them by random deformations, "
        "with ventricles from slits to threefold, hippocampi and cortex shrunk or grown. Every one of the "
        f"{given.samples:,} training scans has a fresh pose, contrast (deep grey matter anywhere between grey and "
        "white), bias field, noise, resolution and mask; most are masked. Loss: cross-entropy and Dice with the share "
        f"that each structure has in a voxel, and the logarithm of the volumes' ratio; for {settings.calibration} more "
        f"scans without Dice, which makes uncertain structures too large. Seed {given.seed}.\n\n"
        f"Tested on: {', '.join(anatomy.name for anatomy in testing)}.\n\n```\n"
        f"python -m mri_interpret.training.segmentation LABEL_MAPS --held-out {given.held_out} --left-out "
        f"{given.left_out} --heads {given.heads} --samples {given.samples} --seed {given.seed} -o anatomy_unet\n```"
    )
    write_segmentation_bundle(given.output, network, scores.held_out(), story, name=given.output.name)


def _fill(folder: Path, anatomies: list[Anatomy], number: int) -> None:
    torch.set_num_threads(1)
    fill_wide_bank(folder, anatomies, number, _TRAIN_SEED)


class _Printer:
    """A line every half minute."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, step: str, fraction: float) -> None:
        if time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {step} ({100 * fraction:.1f} %)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
