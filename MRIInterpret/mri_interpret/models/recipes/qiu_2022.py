"""The T1-MRI network of Qiu et al. 2022: cognitive score or Alzheimer's disease, trained on thousands of real scans."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError
from ..outputs import NO_UNIT
from .recipe import Imported, Recipe, read_weights

_PREFIX = "CNN_baseline_new_cross"
_SHAPE, _ORIGIN = [182, 218, 182], [-90.0, -126.0, -72.0]  # FSL's MNI152 grid at 1 mm, axes R, A, S
_BLOCKS = ((1, 20, 7, 2, 3), (20, 40, 4, 1, 2), (40, 80, 3, 1, 2), (80, 160, 3, 1, 2))  # in, out, kernel, stride, pool
_FEATURES = 5760
_HEADS = {"cog": ("COG", 100, 1), "add": ("ADD", 30, 2)}  # file, hidden units, outputs
_BANNER = "Research use only, not for diagnosis. Trained on real T1 scans by Qiu et al. 2022."


class Qiu2022(Recipe):
    """One head of the multi-task network, one fold or the mean of all folds that are there."""

    name = "qiu2022"
    title = "Qiu et al. 2022, T1-MRI network (cognitive score, or Alzheimer's disease)"
    source = "a copy of the public repository vkola-lab/ncomms2022 (its checkpoint_dir), or .safetensors files of folds"
    reference = "Qiu et al. 2022, Multimodal deep learning for Alzheimer's disease dementia assessment, Nat Commun 13"
    options: ClassVar[dict[str, str]] = {"head": "cog", "folds": "all"}

    def read(self, source: Path, options: Mapping[str, str]) -> Imported:
        chosen = self.checked(options)
        head = chosen["head"]
        if head not in _HEADS:
            raise UserError(f"The recipe {self.name} has the heads {', '.join(_HEADS)}, not '{head}'.")
        found = _chosen(_folds(source), chosen["folds"], source)
        members = [_member(place, head) for place in found.values()]
        layers = _layers(head)
        if len(members) == 1:
            target, weights = "LayerList", members[0]
            arguments: dict[str, Any] = {"layers": layers}
        else:
            target, arguments = "MeanOfNetworks", {"members": len(members), "layers": layers}
            weights = {f"members.{i}.{name}": value for i, one in enumerate(members) for name, value in one.items()}
        folds = ", ".join(found)
        return Imported(
            target=f"mri_interpret.models.layer_list.{target}",
            arguments=arguments,
            weights=weights,
            metadata=_metadata(head, folds),
            card=_card(head, folds),
            notes=(
                f"Folds: {folds}.",
                "Trained on scans aligned by FSL; here they are aligned by this project's affine registration.",
            ),
        )


def _folds(source: Path) -> dict[str, Path]:
    """Every fold by its number: a folder of the public repository, or a file that holds all parts of the network."""
    if source.is_file():
        return {_number_in(source): source}
    root = source / "checkpoint_dir" if (source / "checkpoint_dir").is_dir() else source
    found = [root] if root.name.startswith(_PREFIX) else []
    if root.is_dir() and not found:
        found = sorted(root.glob(f"{_PREFIX}[0-9]")) or sorted(root.glob("*.safetensors"))
    if not found:
        raise UserError(
            f"{source} holds no {_PREFIX}0 to {_PREFIX}4 and no .safetensors file: give the folder of a copy of "
            "vkola-lab/ncomms2022, or of files that hold one fold each."
        )
    numbered = {_number_in(place): place for place in found}
    if len(numbered) < len(found):
        raise UserError(f"{source} holds {len(found)} files, and the number in a file's name must tell its fold.")
    return numbered


def _number_in(place: Path) -> str:
    """The last number in a name: "1" of CNN_baseline_new_cross1 and of fold1.safetensors; else the name."""
    numbers = re.findall(r"\d+", place.name.removesuffix(".safetensors"))
    return numbers[-1] if numbers else place.name


def _chosen(found: Mapping[str, Path], wanted: str, source: Path) -> dict[str, Path]:
    if wanted == "all":
        return dict(found)
    numbers = [number.strip() for number in wanted.split(",")]
    missing = [number for number in numbers if number not in found]
    if missing:
        raise UserError(f"{source} has no fold '{missing[0]}'; it has {', '.join(found)}.")
    return {number: found[number] for number in numbers}


def _member(place: Path, head: str) -> dict[str, Any]:
    """One fold's weights under this project's names."""
    weights = {}
    for number in range(1, 5):
        for own, theirs in (("conv", "conv"), ("norm", "BN")):
            weights[f"block{number}_{own}"] = f"block{number}.{theirs}."
    backbone = _part(place, "backbone", "backbone")
    state = {
        f"{own}.{name.removeprefix(theirs)}": value
        for own, theirs in weights.items()
        for name, value in backbone.items()
        if name.startswith(theirs)
    }
    dense = _part(place, head, _HEADS[head][0])
    for own, theirs in (("dense1", "dense1.1."), ("dense2", "dense2.2.")):
        for name, value in dense.items():
            if name.startswith(theirs):
                state[f"{own}.{name.removeprefix(theirs)}"] = value
    return state


def _part(place: Path, part: str, stem: str) -> dict[str, Any]:
    """The weights of the backbone or of a head: of a file, those whose names begin with it; of a folder, its file."""
    if place.is_file():
        state = read_weights(place)
        found = {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}
        if not found:
            raise UserError(f"{place} holds no weights of the {part}: names such as {part}.dense1.1.weight are needed.")
        return found
    files = sorted(place.glob(f"{stem}_*.pth"))
    if len(files) != 1:
        what = "no" if not files else f"{len(files)}"
        raise UserError(f"{place} holds {what} {stem}_*.pth: one is needed.")
    return read_weights(files[0])


def _layers(head: str) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for number, (inputs, outputs, kernel, stride, pool) in enumerate(_BLOCKS, start=1):
        layers += [
            {
                "layer": "Conv3d", "name": f"block{number}_conv", "in_channels": inputs, "out_channels": outputs,
                "kernel_size": kernel, "stride": stride, "bias": False,
            },
            {"layer": "MaxPool3d", "name": f"block{number}_pool", "kernel_size": pool, "stride": 2},
            {"layer": "BatchNorm3d", "name": f"block{number}_norm", "num_features": outputs},
            {"layer": "LeakyReLU", "name": f"block{number}_activation"},
        ]  # fmt: skip
    _, hidden, outputs = _HEADS[head]
    return [
        *layers,
        {"layer": "Flatten", "name": "flatten"},
        {"layer": "Linear", "name": "dense1", "in_features": _FEATURES, "out_features": hidden},
        {"layer": "LeakyReLU", "name": "dense1_activation"},
        {"layer": "Linear", "name": "dense2", "in_features": hidden, "out_features": outputs},
    ]


def _metadata(head: str, folds: str) -> dict[str, Any]:
    output: dict[str, Any]
    if head == "cog":
        anchors = [[0, "CN"], [1, "MCI"], [2, "dementia"]]
        about = {"kind": "regression", "name": "COG score", "unit": NO_UNIT, "range": [0, 2], "anchors": anchors}
        output = {"output": about}
    else:
        output = {"output": "logits", "classes": ["not AD", "AD"]}
    return {
        "name": f"qiu2022_{head}",
        "version": "1.0.0",
        "description": f"Qiu et al. 2022, T1-MRI network, head {head.upper()}, {_folds_in_words(folds)}",
        "authors": "Qiu et al., Kolachalama laboratory",
        "license": "MIT (the weights, from the source repository)",
        "data_source": "NACC, ADNI, AIBL, OASIS and others, as published (doi 10.1038/s41467-022-31037-5)",
        "intended_use": "Research on dementia and on attribution methods. Not for diagnosis.",
        "mri_interpret": {
            "banner": _BANNER,
            **output,
            "preprocessing": [
                {"step": "mask", "fill": 0.0},
                {"step": "registration", "shape": _SHAPE, "spacing": [1.0, 1.0, 1.0], "origin": _ORIGIN},
                {"step": "intensity", "method": "mean", "over": "volume", "clip": [0.0, 8.0], "outside": "scaled"},
            ],
        },
    }


def _folds_in_words(folds: str) -> str:
    return f"mean of the folds {folds}" if "," in folds else f"fold {folds}"


def _card(head: str, folds: str) -> str:
    what = (
        "a score from 0 (cognitively normal) over 1 (mild cognitive impairment) to 2 (dementia)"
        if head == "cog"
        else "two logits, not Alzheimer's disease and Alzheimer's disease, among people with dementia"
    )
    return f"""# Qiu et al. 2022, T1-MRI network, head {head.upper()}

{_BANNER}

Gives {what}: {_folds_in_words(folds)} of the published cross-validation (CNN_baseline_new).

- Source: the user's own copy of vkola-lab/ncomms2022 (MIT licence, Copyright 2021 Kolachalama laboratory).
- Paper: doi 10.1038/s41467-022-31037-5.
- Input: T1 in MNI152 space, 182 x 218 x 182 voxels of 1 mm, brain extracted, divided by the mean over the whole volume
  (zeros included), clipped to 0 to 8. Scaled otherwise the network gives no error and worthless answers.
- The authors aligned scans with FSL's tools; this project's affine registration takes their place.
"""
