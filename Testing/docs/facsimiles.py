"""Files as published networks keep them, with random weights: what a reader of a tutorial has of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def write_qiu(folder: str | Path, folds: int = 2) -> None:
    """A copy of vkola-lab/ncomms2022: its checkpoint_dir with some folds."""
    from Testing.models.test_recipes import random_state, write_folds

    write_folds(Path(folder), folds, random_state())


def write_clinicadl(folder: str | Path) -> None:
    """A MAPS folder of ClinicaDL 1."""
    from Testing.models.test_recipes import write_maps

    write_maps(Path(folder), architecture="Stride_Conv5_FC3")


def write_clinicadl_2(folder: str | Path) -> None:
    """A MAPS folder of ClinicaDL 2."""
    from Testing.models.test_clinicadl_2 import write_maps_2

    write_maps_2(Path(folder))


def write_keras(path: str | Path, shape: tuple[int, int, int] = (24, 28, 24)) -> None:
    """A Keras network for two classes, as ``model.save`` writes it to HDF5."""
    import h5py

    generator = np.random.default_rng(0)
    first = {"name": "conv", "filters": 4, "kernel_size": [3, 3, 3], "strides": [2, 2, 2], "activation": "relu"}
    layers = [
        ("Conv3D", {**first, "batch_input_shape": [None, *shape, 1]}),
        ("GlobalAveragePooling3D", {"name": "average"}),
        ("Dense", {"name": "dense", "units": 2, "activation": "softmax"}),
    ]
    weights = {"conv": {"kernel": (3, 3, 3, 1, 4), "bias": (4,)}, "dense": {"kernel": (4, 2), "bias": (2,)}}
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": k, "config": c} for k, c in layers]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        for layer, arrays in weights.items():
            for name, size in arrays.items():
                values = generator.normal(0, 0.3, size).astype(np.float32)
                file.create_dataset(f"model_weights/{layer}/{layer}/{name}:0", data=values)
