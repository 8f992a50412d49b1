"""The anatomy of the brain that was scanned: labels on the scan's own grid, and each structure's volume.

The labels come from the segmentation network that ships (:func:`segment`) or from the user
(:func:`segmentation_of_user`); values and names are FreeSurfer's either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..images.volume import Affine, Volume
from ..progress import ProgressCallback, silent
from ..thresholds import SMALLEST_REGION_ML

if TYPE_CHECKING:
    from .segmentation_bundle import SegmentationBundle

Source = Literal["network", "user"]
DEFAULT_BUNDLE = "anatomy_unet"


@dataclass(frozen=True)
class Structure:
    """One structure of a brain, with how far its volume is to be trusted.

    Attributes
    ----------
    label
        FreeSurfer's value.
    name, reader_name
        FreeSurfer's name ("Left-Hippocampus"), and the same in words ("Left hippocampus").
    ml
        Volume in millilitres, in the scan's own space.
    share
        Of the intracranial volume, 0 to 1.
    entropy
        How unsure the network is: the mean, over the structure's voxels, of the entropy of the class probabilities,
        divided by the logarithm of the number of classes, so 0 (sure) to 1 (knows nothing). NaN if no network was
        asked, or if the structure has no voxel.
    sure
        Whether the entropy stays below what the network's metadata calls unsure for this structure
        (:data:`~mri_interpret.thresholds.UNSURE_ENTROPY` where it says nothing). True for a segmentation of the user's,
        which is taken as it is.
    dice, volume_error
        Of the network on anatomies that were kept from its training: mean Dice with the truth, and mean of
        ``|volume - truth| / truth``. None if that was not measured.
    """

    label: int
    name: str
    reader_name: str
    ml: float
    share: float
    entropy: float
    sure: bool
    dice: float | None = None
    volume_error: float | None = None

    @property
    def too_small(self) -> bool:
        """Whether it is too small for a statement about it to hold, or not there at all."""
        return self.ml < SMALLEST_REGION_ML


@dataclass(frozen=True)
class Segmentation:
    """The anatomy of one brain.

    Attributes
    ----------
    labels
        FreeSurfer's values on the scan's own grid, int16 or int32; 0 is no structure. The cortex is labelled by its
        Desikan-Killiany parcels (1001 to 1035 left, 2001 to 2035 right).
    structures
        The structures by ascending label. The whole cortex of each side (3, 42) is among them beside its parcels, which
        add up to it.
    intracranial_ml
        Everything inside the skull; what ``share`` refers to.
    source
        "network" or "user".
    warnings
        Sentences that every output must show.
    made_by
        The network's name, version and checksum, or the name of the user's file.
    """

    labels: Volume
    structures: tuple[Structure, ...]
    intracranial_ml: float
    source: Source
    warnings: tuple[str, ...] = ()
    made_by: str = ""

    def structure(self, name: str) -> Structure:
        """A structure by FreeSurfer's name.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        for structure in self.structures:
            if structure.name == name:
                return structure
        raise KeyError(f"the segmentation has no structure '{name}'")


def segment(
    scan: Volume,
    to_template: Affine,
    *,
    brain_mask: Volume | None = None,
    bundle: str | Path | SegmentationBundle = DEFAULT_BUNDLE,
    device: str = "cpu",
    progress: ProgressCallback = silent,
) -> Segmentation:
    """Segment a T1-weighted scan by the network that ships, or by one like it.

    Parameters
    ----------
    scan
        T1-weighted, with or without its head, any orientation and spacing; shape (I, J, K).
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template (MNI152).
    brain_mask
        On the scan's grid. What lies farther than 2 mm from it is not shown to the network. None if it is not known.
    bundle
        The folder of a segmentation bundle, the name of one that ships, or a loaded one.
    device
        "cpu" or "cuda".
    progress
        Called with the step's name and its fraction; may raise :class:`~mri_interpret.errors.Cancelled`.

    Raises
    ------
    UserError
        If the bundle cannot be used, or the scan does not reach the network's grid.
    """
    from .network_segmentation import segment_by_network

    return segment_by_network(scan, to_template, brain_mask, bundle, device, progress)


def segmentation_of_user(
    labels: Volume, scan: Volume, intracranial_ml: float | None = None, *, names: Mapping[int, str] | None = None
) -> Segmentation:
    """The user's own segmentation: aseg.mgz, aparc+aseg.mgz, or any label volume in the scan's world.

    Parameters
    ----------
    labels
        Whole numbers; shape (I, J, K). On another grid than the scan's it is resampled by nearest neighbour.
    scan
        The scan that it belongs to.
    intracranial_ml
        What shares refer to; the volume of all labels if left out.
    names
        Label to name, for labels that are not FreeSurfer's. Labels that neither names are called "Label-<value>" and
        a warning lists them.

    Raises
    ------
    UserError
        If the values are not whole numbers from 0 up, or none lies within the scan.
    """
    from .user_segmentation import read_user_labels

    return read_user_labels(labels, scan, intracranial_ml, names or {})
