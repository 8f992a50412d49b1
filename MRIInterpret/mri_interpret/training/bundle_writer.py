"""Write a trained network as a model bundle, card included, ready to be loaded by name or path."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models.bundle_folder import write_bundle_folder
from ..models.evidence_cnn import EvidenceCNN3d
from ..models.evidence_ensemble import EvidenceEnsemble3d
from ..models.plain_cnn import CHANNELS, STRIDES, PlainCNN3d
from ..simulation.anatomy import MODEL_GRID
from ..simulation.groups import GROUPS

SIMULATED_BANNER = "Research use only, not for diagnosis. Trained on simulated atrophy."
TABLE_BANNER = "Research use only, not for diagnosis."
_SIMULATED_DATA = "Synthetic T1-weighted scans over real anatomies (label maps) with simulated atrophy; no patient data"


@dataclass(frozen=True)
class BundleText:
    """What a bundle says of itself."""

    name: str
    version: str = "0.1.0"
    description: str = "Cognitively normal, mild cognitive impairment or Alzheimer's disease from a T1-weighted scan"
    data_source: str = _SIMULATED_DATA
    banner: str = SIMULATED_BANNER
    licence: str = "Apache-2.0"
    authors: str = "The MRIInterpret authors"
    intended_use: str = (
        "Research on attribution methods and teaching. Not for diagnosis: no patient's scan took part in training."
    )


@dataclass(frozen=True)
class Trained:
    """A network and what is known about it."""

    network: PlainCNN3d | EvidenceCNN3d | EvidenceEnsemble3d
    temperature: float = 1.0
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: tuple[str, ...] = GROUPS
    channels: tuple[int, ...] = CHANNELS
    strides: tuple[int, ...] = STRIDES


def write_bundle(folder: str | Path, trained: Trained, text: BundleText, card: str) -> None:
    """Write a trained network as :func:`.write_bundle_folder` does.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    definition: dict[str, Any] = {"in_channels": 1, "num_classes": len(trained.classes)}
    if isinstance(trained.network, EvidenceCNN3d | EvidenceEnsemble3d):
        file = type(trained.network).__module__.rpartition(".")[2]
        definition["_target_"] = f"mri_interpret.models.{file}.{type(trained.network).__name__}"
        definition |= trained.network.channels()
    else:
        definition["_target_"] = "mri_interpret.models.plain_cnn.PlainCNN3d"
        definition |= {"channels": list(trained.channels), "strides": list(trained.strides)}
    weights = trained.network.state_dict()
    write_bundle_folder(folder, _metadata(trained, text), card, definition=definition, weights=weights)


def _metadata(trained: Trained, text: BundleText) -> dict[str, Any]:
    shape = list(MODEL_GRID.shape)
    return {
        "version": text.version,
        "name": text.name,
        "task": "Classification of T1-weighted brain MRI",
        "description": text.description,
        "authors": text.authors,
        "copyright": "The MRIInterpret authors",
        "license": text.licence,
        "intended_use": text.intended_use,
        "data_source": text.data_source,
        "data_type": "nibabel",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": 1,
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": False,
                    "channel_def": {"0": "T1-weighted brain, skull-stripped, affinely registered to MNI152"},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "classes",
                    "num_channels": len(trained.classes),
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": False,
                    "channel_def": {str(index): name for index, name in enumerate(trained.classes)},
                }
            },
        },
        "mri_interpret": {
            "banner": text.banner,
            "classes": list(trained.classes),
            "output": "logits",
            "grid": {
                "shape": shape,
                "spacing": MODEL_GRID.spacing.tolist(),
                "origin": MODEL_GRID.affine[:3, 3].tolist(),
                "space": "MNI152",
            },
            "intensity": {"method": "percentile", "low": 0.5, "high": 99.5},
            "bias_correction": "none",  # trained under bias fields; Testing/benchmarks/bias_correction.md
            "mask": "brain",
            "temperature": round(trained.temperature, 4),
            "metrics": trained.metrics,
        },
    }
