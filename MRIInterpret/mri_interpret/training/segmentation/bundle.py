"""Write a trained segmentation network as a bundle in MONAI layout, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...models.anatomy_unet import CHANNELS, LAST_CHANNELS, AnatomyUNet
from ...models.bundle_folder import write_bundle_folder
from ...simulation.wide_anatomies import SEGMENTATION_GRID
from .classes import CLASSES

FIRST_LINE = "**Trained on simulated scans; research use only, not for diagnosis.**"


def write_segmentation_bundle(
    folder: str | Path,
    network: AnatomyUNet,
    held_out: dict[str, dict[str, float]],
    story: str,
    *,
    name: str = "anatomy_unet",
) -> Path:
    """Write a network of the default size.

    Parameters
    ----------
    folder
        The bundle's folder.
    network
        Trained. Its weights are stored in float16, half the file; probabilities differ by 1e-3 at most.
    held_out
        Structure to ``dice``, ``volume_error``, ``volume_r``, on anatomies that were kept from training
        (:meth:`.evaluation.SegmentationScores.held_out`).
    story
        Markdown: what was trained on what, how long, with which command.
    name
        The bundle's.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    definition = {
        "_target_": "mri_interpret.models.anatomy_unet.AnatomyUNet",
        "num_classes": len(CLASSES),
        "channels": list(CHANNELS),
        "last_channels": LAST_CHANNELS,
    }
    return write_bundle_folder(
        folder,
        _metadata(name, held_out),
        segmentation_card(name, held_out, story),
        definition=definition,
        weights={key: value.half() for key, value in network.state_dict().items()},
    )


def segmentation_card(name: str, held_out: dict[str, dict[str, float]], story: str) -> str:
    """The card: what it is for, how it was trained, how far to trust each structure."""
    lines = [
        "| structure | Dice | error of the volume | r of the volume |",
        "|---|---|---|---|",
        *(
            f"| {structure} | {one['dice']:.2f} | {100 * one['volume_error']:.0f} % | {one['volume_r']:.2f} |"
            for structure, one in held_out.items()
        ),
    ]
    parts = [
        FIRST_LINE,
        f"# {name}",
        "Finds the structures of FreeSurfer's subcortical segmentation, cortex, white matter, brain stem, cerebellum "
        "and the fluid inside the skull in a T1-weighted scan of a head or a brain that is roughly aligned to MNI152. "
        "So that statistics per region are those of the brain that was scanned, and volumes can be named.",
        story,
        "## On anatomies never seen in training",
        "Simulated scans over label maps that were kept apart, with the training's own range of contrast, bias, noise, "
        "resolution, pose and mask. The error is the mean of |volume - truth| / truth.",
        "\n".join(lines),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(name: str, held_out: dict[str, dict[str, float]]) -> dict[str, Any]:
    shape = list(SEGMENTATION_GRID.shape)
    classes = {str(number): structure for number, structure in enumerate(CLASSES)}
    channel = {"0": "T1-weighted head or brain, affinely registered to MNI152"}
    return {
        "version": "0.1.0",
        "name": name,
        "task": "Segmentation of T1-weighted brain MRI",
        "description": "FreeSurfer's structures, cortex, white matter, fluid, from a T1-weighted scan",
        "authors": "The MRIInterpret authors",
        "copyright": "The MRIInterpret authors",
        "license": "Apache-2.0",
        "intended_use": "Research on explanations of networks. Not for diagnosis: no patient's scan was trained on.",
        "data_source": "Synthetic T1-weighted scans over real anatomies (label maps); no patient data",
        "data_type": "nibabel",
        "network_data_format": {
            "inputs": {"image": _format("image", "magnitude", 1, shape, [0, 1], channel) | {"modality": "MR"}},
            "outputs": {"pred": _format("probabilities", "segmentation", len(CLASSES), shape, [], classes)},
        },
        "mri_interpret": {
            "banner": "Research use only, not for diagnosis. Trained on simulated scans.",
            "output": "segmentation",
            "classes": list(CLASSES),
            "grid": {
                "shape": shape,
                "spacing": SEGMENTATION_GRID.spacing.tolist(),
                "origin": SEGMENTATION_GRID.affine[:3, 3].tolist(),
                "space": "MNI152",
            },
            "intensity": {"method": "percentile", "low": 0.5, "high": 99.5},
            "held_out": held_out,
        },
    }


def _format(kind: str, form: str, channels: int, shape: list[int], values: list[float], names: dict[str, str]) -> Any:
    return {
        "type": kind,
        "format": form,
        "num_channels": channels,
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": values,
        "is_patch_data": False,
        "channel_def": names,
    }
