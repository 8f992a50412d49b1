"""The grids of simulated brains in template space: the model's, and those of half and twice its voxels."""

from __future__ import annotations

import numpy as np

from ..images.volume import Grid

MODEL_GRID = Grid((96, 112, 96), np.array([[2.0, 0, 0, -95], [0, 2, 0, -128], [0, 0, 2, -88], [0, 0, 0, 1]]))
FINE_GRID = Grid((192, 224, 192), np.array([[1.0, 0, 0, -95.5], [0, 1, 0, -128.5], [0, 0, 1, -88.5], [0, 0, 0, 1]]))
COARSE_GRID = Grid((48, 56, 48), np.array([[4.0, 0, 0, -94], [0, 4, 0, -127], [0, 0, 4, -87], [0, 0, 0, 1]]))
