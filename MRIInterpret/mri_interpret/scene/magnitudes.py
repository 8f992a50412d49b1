"""From a share of the brain's voxels to the magnitude that they reach, and back: what *Show top* and threshold are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .nodes import BRAIN_VOXELS

_SAMPLE = 200_000


class Magnitudes:
    """The magnitudes in a map's brain: from a share of its voxels to a threshold, and back.

    Large maps are sampled evenly: of 200,000 values, a share is known to about 0.1 percent points.
    """

    def __init__(self, node: Any) -> None:
        from vtkmodules.util.numpy_support import vtk_to_numpy

        values = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        nonzero = int(np.count_nonzero(values))
        # A map may be zero in much of the brain (class activation maps are); outside the brain it always is.
        brain = int(node.GetAttribute(BRAIN_VOXELS) or nonzero)
        values = values[:: max(1, values.size // (8 * _SAMPLE))]
        magnitudes = np.abs(values[values != 0])
        step = max(1, magnitudes.size // _SAMPLE)
        self._sorted = np.sort(magnitudes[::step]) if magnitudes.size else np.zeros(1)
        self._share = min(1.0, nonzero / brain) if nonzero and brain else 1.0  # of the brain that is not zero

    def value_of_top(self, percent: float) -> float:
        """The threshold that the top ``percent`` of the brain's voxels reach; 0 if fewer of them are not 0."""
        share = min(max(percent, 0.0), 100.0) / 100 / self._share
        return float(np.quantile(self._sorted, 1 - share)) if share <= 1 else 0.0

    def top_of_value(self, value: float) -> float:
        """The percentage of the brain's voxels that reach ``value``."""
        if value <= 0:
            return 100.0
        return 100.0 * self._share * float(1 - np.searchsorted(self._sorted, value) / self._sorted.size)
