"""Maps that know nothing of the model."""

from __future__ import annotations

import numpy as np
from mri_interpret.metrics.reference_maps import edge_map, uniform_map


def test_edges_lie_where_the_image_steps() -> None:
    step = np.zeros((12, 8, 9))
    step[6:] = 1.0
    edges = edge_map(step)
    assert set(np.argwhere(edges > 0.9 * edges.max())[:, 0]) == {5, 6}
    assert edges[0].max() < 1e-3 * edges.max()
    np.testing.assert_allclose(edge_map(3 * step + 5), 3 * edges, atol=1e-12)


def test_a_uniform_map_is_the_mask() -> None:
    assert uniform_map(np.array([0, 2, 1])).tolist() == [0, 1, 1]
