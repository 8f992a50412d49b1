"""What ClinicaDL 2 writes and computes for small networks, stored so that the tests need it not.

    python -m venv clinicadl && clinicadl/bin/pip install clinicadl==2.0.0
    clinicadl/bin/python -m Testing.oracles.make_clinicadl_2

Writes ``clinicadl_2.json`` beside this file: for each network its model.json (without the optimiser), its dataset.json,
the names and shapes of its weights, ClinicaDL's own output for weights and a scan made by :mod:`.clinicadl_2_numbers`,
and a few voxels of the network's input after ClinicaDL's own transforms.
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import torch
import torchio
from clinicadl.data.datasets import BidsDataset
from clinicadl.io.bids import T1Linear
from clinicadl.losses.config import (
    BCELossConfig,
    BCEWithLogitsLossConfig,
    CrossEntropyLossConfig,
    MSELossConfig,
    NLLLossConfig,
)
from clinicadl.models import SupervisedModel
from clinicadl.networks.config import CNNConfig, DenseNetConfig, ResNetConfig, SEResNetConfig, ViTConfig
from clinicadl.optim.optimizers.config import AdamConfig
from clinicadl.transforms import TransformsHandler
from clinicadl.transforms.config import ClampConfig, CropOrPadConfig, RescaleIntensityConfig, ZNormalizationConfig

from Testing.oracles.clinicadl_2_numbers import GRID, filled, picture, probe

CASES = {
    "cnn_classes": (
        CNNConfig(
            in_shape=(1, 24, 24, 24),
            num_outputs=2,
            conv_args={
                "channels": [2, 4],
                "padding": 1,
                "norm": ("batch", {"eps": 1e-3}),
                "pooling_indices": [-1, 0, 1],
                "pooling": [
                    ("avg", {"kernel_size": 2}),
                    ("max", {"kernel_size": 2}),
                    ("adaptiveavg", {"output_size": 2}),
                ],
            },
            mlp_args={
                "hidden_dims": [5, 4],
                "act": ("elu", {"alpha": 0.5}),
                "dropout": 0.1,
                "adn_ordering": "AND",
                "output_act": "logsoftmax",
            },
        ),
        NLLLossConfig(),
        [ZNormalizationConfig(), CropOrPadConfig(target_shape=24, padding_mode=0.0)],
    ),
    "cnn_regression": (
        CNNConfig(
            in_shape=(1, 25, 24, 23),
            num_outputs=1,
            conv_args={
                "channels": [2, 4, 4],
                "stride": 2,
                "norm": ("group", {"num_groups": 2}),
                "act": "prelu",
                "output_act": "relu",
            },
        ),
        MSELossConfig(),
        [
            RescaleIntensityConfig(out_min_max=(-1, 1), percentiles=(1, 99)),
            CropOrPadConfig(target_shape=(25, 24, 23), padding_mode=0.0),
        ],
    ),
    "cnn_one_probability": (
        CNNConfig(
            in_shape=(1, 24, 23, 25),
            num_outputs=1,
            conv_args={"channels": [2, 4, 4], "stride": 2, "bias": False},
            mlp_args={"hidden_dims": [3], "norm": "layer", "output_act": "sigmoid"},
        ),
        BCELossConfig(),
        [
            CropOrPadConfig(target_shape=(24, 23, 25), padding_mode=0.0),
            ClampConfig(out_min=0.2),
            RescaleIntensityConfig(out_min_max=(0, 2), in_min_max=(0.1, 0.9)),
        ],
    ),
    "resnet_labels": (
        ResNetConfig(
            spatial_dims=3,
            in_channels=1,
            num_outputs=3,
            block_type="bottleneck",
            n_res_blocks=(1, 1, 2, 1),
            n_features=(8, 8, 16, 16),
            init_conv_size=3,
        ),
        BCEWithLogitsLossConfig(),
        [CropOrPadConfig(target_shape=32, padding_mode=0.0)],
    ),
    "densenet_one_logit": (
        DenseNetConfig(
            spatial_dims=3,
            in_channels=1,
            num_outputs=1,
            n_dense_layers=(2, 2),
            init_features=4,
            growth_rate=4,
            act="elu",
        ),
        BCEWithLogitsLossConfig(),
        [CropOrPadConfig(target_shape=32, padding_mode=0.0)],
    ),
    "resnet_bounded_score": (
        ResNetConfig(
            spatial_dims=3,
            in_channels=1,
            num_outputs=1,
            block_type="bottleneck",
            bottleneck_reduction=2,
            n_res_blocks=(1, 2, 1),
            n_features=(4, 8, 8),
            act=("elu", {"alpha": 0.5}),
            output_act="sigmoid",
        ),
        MSELossConfig(),
        [CropOrPadConfig(target_shape=24, padding_mode=0.0)],
    ),
    "seresnet_classes": (
        SEResNetConfig(
            spatial_dims=3,
            in_channels=1,
            num_outputs=2,
            n_res_blocks=(1, 2),
            n_features=(4, 8),
            init_conv_size=(5, 3, 3),
            init_conv_stride=(2, 1, 2),
            se_reduction=2,
            act="leakyrelu",
        ),
        CrossEntropyLossConfig(),
        [CropOrPadConfig(target_shape=24, padding_mode=0.0)],
    ),
    "vit_classes": (
        ViTConfig(
            in_shape=(1, 24, 16, 16),
            patch_size=8,
            num_outputs=2,
            embedding_dim=12,
            num_layers=2,
            num_heads=3,
            mlp_dim=10,
            pos_embed_type="sincos",
        ),
        CrossEntropyLossConfig(),
        [CropOrPadConfig(target_shape=(24, 16, 16), padding_mode=0.0)],
    ),
    "vit_regression": (
        ViTConfig(
            in_shape=(1, 16, 16, 16),
            patch_size=(8, 4, 8),
            num_outputs=1,
            embedding_dim=8,
            num_layers=1,
            num_heads=2,
            mlp_dim=6,
            dropout=0.1,
            output_act=None,
        ),
        MSELossConfig(),
        [CropOrPadConfig(target_shape=16, padding_mode=0.0)],
    ),
}


def caps(folder: Path) -> Path:
    """A CAPS folder with one scan."""
    scan = folder / "subjects" / "sub-01" / "ses-M000" / "t1_linear"
    scan.mkdir(parents=True)
    about = {"Name": "x", "BIDSVersion": "1.7.0", "CAPSVersion": "1.0.0", "DatasetType": "derivative"}
    (folder / "dataset_description.json").write_text(json.dumps(about))
    name = "sub-01_ses-M000_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), scan / name)
    return folder


def main() -> None:
    """Make the file."""
    cases = {}
    with tempfile.TemporaryDirectory() as place:
        folder = caps(Path(place))
        for name, (network, loss, transforms) in CASES.items():
            model = SupervisedModel(network=network, loss=loss, optimizer=AdamConfig(), label_key="diagnosis").eval()
            model.load_state_dict(filled({key: tuple(value.shape) for key, value in model.state_dict().items()}))
            handler = TransformsHandler(image_transforms=transforms)
            rows = pd.DataFrame({"participant_id": ["sub-01"], "session_id": ["ses-M000"], "diagnosis": [1]})
            data = BidsDataset(folder, T1Linear(), rows, handler, columns=["diagnosis"])
            data.to_json(folder / f"{name}_data.json")
            model.to_json(folder / f"{name}_model.json")
            scan = torchio.Subject(image=torchio.ScalarImage(tensor=torch.from_numpy(picture(GRID))[None]))
            image = handler.apply_image_transforms(scan)["image"].data[0].float()
            with torch.no_grad():
                output = model.network(image[None, None])[0]
            record = json.loads((folder / f"{name}_data.json").read_text())
            record["bids"]["path"] = "caps"
            about = json.loads((folder / f"{name}_model.json").read_text())
            about.pop("optimizer")
            cases[name] = {
                "model": about,
                "dataset": record,
                "weights": {key: list(value.shape) for key, value in model.state_dict().items()},
                "output": output.tolist(),
                "shape": list(image.shape),
                "voxels": probe(image.numpy()),
            }
    versions = {package: version(package) for package in ("clinicadl", "torchio", "monai", "torch")}
    path = Path(__file__).with_suffix("").with_name("clinicadl_2.json")
    path.write_text(json.dumps({"versions": versions, "cases": cases}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
