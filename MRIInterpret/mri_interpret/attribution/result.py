"""What an explanation of one input gives back: maps, and what the network said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from nibabel import Nifti1Image
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from .deformation_result import Deformation
    from .outputs import OutputChoice


@dataclass(frozen=True)
class Attribution:
    """One method's map.

    Attributes
    ----------
    map
        float32, (N, I, J, K) (in general: N and the input's spatial axes), on the input's device; raw, not normalised.
    name, title
        The method's key and its name for people.
    signed
        Whether negative values are evidence against the target.
    units
        What one unit of the map is.
    seconds
        Wall-clock time of this method alone; the shared forward pass is in :attr:`Attributions.forward_seconds`.
    peak_memory
        Highest memory so far in bytes: of the GPU's allocator, or resident memory of the process on a CPU.
    details
        Parameters and findings: target layer, conservation or completeness error per sample, ...
    deformations
        Of ``volume_counterfactual``, one per sample: how the scan is deformed, and what it becomes; empty for others.
    """

    map: Tensor
    name: str
    title: str
    signed: bool
    units: str
    seconds: float
    peak_memory: int
    details: dict[str, Any] = field(default_factory=dict)
    deformations: tuple[Deformation, ...] = ()

    def numpy(self, sample: int = 0) -> NDArray[np.float32]:
        """The map of one sample as an array, (I, J, K)."""
        array: NDArray[np.float32] = self.map[sample].detach().cpu().numpy()
        return array

    def to_nibabel(self, affine: ArrayLike, sample: int = 0) -> Nifti1Image:
        """The map of one sample as a NIfTI image.

        Parameters
        ----------
        affine
            4 x 4, takes voxel indices of the network's input to RAS mm.
        sample
            Which of the N inputs.

        Raises
        ------
        UserError
            If the map has no three spatial axes or the affine is none.
        """
        import numpy as np

        from ..images.volume import Volume
        from ..images.writing import nifti_image

        array, matrix = self.numpy(sample), np.asarray(affine, dtype=float)
        if array.ndim != 3:
            raise UserError(f"A NIfTI image has three axes, but this map has shape {array.shape}.")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) == 0:
            raise UserError("The affine must be an invertible 4 x 4 matrix that takes voxel indices to RAS mm.")
        return nifti_image(Volume(array, matrix, self.title), labels=False, description=f"{self.title}, {self.units}")

    def _repr_html_(self) -> str:
        """For notebooks: what the map is, its sum, and its middle slices."""
        from .notebook_view import attribution_html

        return attribution_html(self)


class Attributions(dict[str, Attribution]):
    """Attributions by name, and what the one forward pass said.

    Attributes
    ----------
    logits
        The outputs that are explained, float32 (N, classes), on the CPU.
    weights
        The target as weights over the outputs, (N, classes).
    explained
        The value explained per sample: ``(weights * logits).sum(1)``.
    forward_seconds
        Time of the recorded forward pass.
    output
        Which of the model's outputs the logits are, and whether a final softmax or sigmoid was undone.
    notices
        Sentences on what was explained and how, beyond what was asked for.
    """

    def __init__(
        self,
        logits: Tensor,
        weights: Tensor,
        explained: Tensor,
        forward_seconds: float,
        output: OutputChoice,
        notices: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.output = output
        self.notices = (*output.notices, *notices)
        self.logits = logits
        self.weights = weights
        self.explained = explained
        self.forward_seconds = forward_seconds

    def _repr_html_(self) -> str:
        """For notebooks: what was explained, and every map."""
        from .notebook_view import attributions_html

        return attributions_html(self, self.logits, self.explained, self.notices)


def resolution_mm(details: Mapping[str, Any], spacing: Sequence[float] | NDArray[np.floating]) -> float:
    """The resolution (mm) that a class activation map has of itself: the spacing of its layer's features.

    Parameters
    ----------
    details
        Of the attribution. "resolution_mm" is taken as it stands.
    spacing
        Voxel size of the network's input along each axis in mm.

    Returns
    -------
    float
        Mean over axes and layers; 0 for maps of voxel detail.
    """
    import numpy as np

    if "resolution_mm" in details:
        return float(details["resolution_mm"])
    steps = np.asarray(details.get("feature_spacing_voxels") or 0.0, dtype=np.float64)
    return float((steps * np.asarray(spacing)).mean()) if steps.any() else 0.0
