"""What a bundle's metadata leaves open: each a sentence that says why it matters."""

from __future__ import annotations

from typing import Any

from ..models.bundle import ModelBundle
from ..models.metadata import read_json
from ..preprocessing.steps.chain import StepChain
from ..preprocessing.steps.geometry import Registration, Spacing, Zoom
from ..preprocessing.steps.monai_chain import MonaiChain
from ..preprocessing.steps.values import Intensity

_SCALES = ("ScaleIntensity", "NormalizeIntensity")
_SIZES = ("Spacingd", "Resized")


def open_questions(bundle: ModelBundle) -> tuple[str, ...]:
    """Sentences; empty if the metadata says all that is asked here."""
    raw = read_json(bundle.path / "configs" / "metadata.json")
    return (*_on_preprocessing(bundle.metadata.preprocessing), *_on_input(bundle), *_on_the_rest(bundle, raw))


def _on_preprocessing(chain: StepChain | MonaiChain) -> list[str]:
    if isinstance(chain, MonaiChain):
        names = [name for name, _ in chain.transforms]
        scaled = any(name.startswith(_SCALES) for name in names)
        sized = any(name in _SIZES for name in names)
        sentences = [
            "Whether scans were skull-stripped before MONAI's transforms is not said: they get the scan as it is."
        ]
    else:
        kinds = [type(step) for step in chain.steps]
        scaled = any(isinstance(step, Intensity) and step.method != "none" for step in chain.steps)
        sized = any(kind in kinds for kind in (Registration, Spacing, Zoom))
        sentences = []
    if not chain.sets_axes:
        sentences.append("No step sets where the axes point: the network gets every scan turned as its file stores it.")
    if not sized:
        sentences.append("No step sets the size of the voxels: the network gets those of every scan.")
    if not scaled:
        sentences.append("No step scales the intensities: the network gets those of every scanner.")
    return sentences


def _on_input(bundle: ModelBundle) -> list[str]:
    sentences = []
    if bundle.metadata.statistics is None:
        sentences.append(
            "What inputs looked like in training is not said (mri_interpret.input_statistics): the input can only be "
            "checked for plausibility, and a wrong intensity scale may pass."
        )
    if bundle.metadata.input_shape is None:
        sentences.append("The input's shape depends on the scan: whether the network takes it is told when it runs.")
    return sentences


def _on_the_rest(bundle: ModelBundle, raw: dict[str, Any]) -> list[str]:
    sentences = []
    own = raw["mri_interpret"]
    if "output" not in own:
        sentences.append("What the outputs are is not said (mri_interpret.output): logits are taken for granted.")
    for key, words in (
        ("data_source", "What it was trained on"),
        ("intended_use", "What it is meant for"),
        ("license", "Under which licence it may be used"),
    ):
        if not str(raw.get(key, "")).strip() or str(raw[key]).strip().lower() == "not stated":
            sentences.append(f"{words} is not said ({key}).")
    if not bundle.metadata.metrics:
        sentences.append("How well it does is not said (mri_interpret.metrics).")
    if not bundle.card.is_file():
        sentences.append("It has no card (docs/README.md).")
    if not (bundle.path / "models" / "SHA256SUMS").is_file():
        sentences.append("Its weights have no checksum (models/SHA256SUMS): a damaged copy may not be found.")
    return sentences
