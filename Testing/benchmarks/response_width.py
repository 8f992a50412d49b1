"""How wide a network answers to a change of one voxel, what its maps add up to, and what they cost.

    python -m Testing.benchmarks.response_width [BUNDLE ...]

For each bundle (by default the one that ships) and for an untrained EvidenceCNN3d: one voxel of the template is made
brighter, and the evidence for AD less CN changes at places around it. The width is the radius that holds half of the
absolute change. CPU seconds are of one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from mri_interpret.attribution.attribute import attribute
from mri_interpret.images.volume import resample
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_ensemble import EvidenceEnsemble3d
from mri_interpret.models.registry import DEFAULT_MODEL, find_model
from mri_interpret.preprocessing.template import load_template
from mri_interpret.simulation.grids import MODEL_GRID
from torch import Tensor, nn

PLACES = ((-26, -20, -14), (26, -20, -14), (0, -60, 40), (-55, -20, -20))  # RAS mm: hippocampi, precuneus, temporal
CONTRAST = (-1.0, 0.0, 1.0)


def places_of(network: nn.Module, image: Tensor) -> Tensor:
    """Evidence for AD less CN at each place of the last features, (i, j, k)."""
    features = network.features(image)[0]  # type: ignore[operator]
    last = network.evidence if isinstance(network, EvidenceCNN3d | EvidenceEnsemble3d) else network.classifier
    weight = torch.tensor(CONTRAST) @ last.weight  # type: ignore[operator, union-attr]
    return torch.einsum("c,cijk->ijk", weight, features)


@torch.no_grad()
def width_mm(network: nn.Module, image: Tensor, place: tuple[int, int, int]) -> float:
    """Radius in mm that holds half of the absolute change of the evidence."""
    index = np.round((np.array(place) - MODEL_GRID.affine[:3, 3]) / MODEL_GRID.spacing).astype(int)
    changed = image.clone()
    changed[(0, 0, *index)] += 0.3
    change = (places_of(network, changed) - places_of(network, image)).abs().numpy()
    spacing = 2.0 * image.shape[2] / change.shape[0]
    centre = (index + 0.5) * 2.0 / spacing - 0.5
    distance = np.linalg.norm((np.indices(change.shape).reshape(3, -1).T - centre) * spacing, axis=1)
    order = np.argsort(distance)
    held = np.cumsum(change.ravel()[order])
    return float(distance[order][np.searchsorted(held, held[-1] / 2)])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="*", default=[DEFAULT_MODEL])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    template, _ = load_template(2)
    values = np.asarray(resample(template, MODEL_GRID).array, dtype=np.float32)
    image = torch.from_numpy(values / values.max())[None, None]
    untrained = EvidenceCNN3d()
    untrained.train()(image)
    networks = {name: find_model(name).network for name in options.bundles}
    networks["EvidenceCNN3d, untrained"] = untrained
    print(
        "| network | width, mm (four places) | LRP's sum over the logit | CPU s, default methods |\n|---|---|---|---|"
    )
    for name, network in networks.items():
        network.eval()
        widths = ", ".join(f"{width_mm(network, image, place):.1f}" for place in PLACES)
        begun = time.process_time()
        found = attribute(network, image, torch.tensor(CONTRAST))
        spent = time.process_time() - begun
        with torch.no_grad():
            logit = float(network(image)[0] @ torch.tensor(CONTRAST))
        print(f"| {name} | {widths} | {float(found['lrp'].map.sum()) / logit:.3f} | {spent:.2f} |")


if __name__ == "__main__":
    main()
