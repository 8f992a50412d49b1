"""One simulated scan in memory: a brain with a known disease, and the same brain without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.volume import Volume
from ..progress import ProgressCallback, silent
from .anatomy import FINE_GRID, Anatomy, read_anatomy
from .atrophy import Fractions
from .disease import PUBLISHED, check_disease, draw, fractions_for
from .groups import GROUPS, Subject
from .head_scan import effect_on_fine_grid, head_scan, scanner_affine
from .subject import SimulatedBrain, simulate_brain
from .template_anatomy import template_anatomy


@dataclass(frozen=True)
class SimulatedScan:
    """A scan with its truth; all volumes share one grid (I, J, K) at about 1 mm, affines to RAS mm.

    Attributes
    ----------
    scan
        T1-weighted, int16.
    healthy
        The same brain without the disease: same contrast, bias and noise. None unless asked for.
    effect
        Change of log-volume by the disease alone, float32: negative where tissue shrank, positive where fluid took
        its place, 0 elsewhere.
    labels
        Codes of :data:`.structures.NAMES`, uint8.
    brain
        The brain in template space, as the simulator keeps it.
    seed
        Random seed of the brain's shape.
    """

    subject: Subject
    scan: Volume
    healthy: Volume | None
    effect: Volume
    labels: Volume
    brain: SimulatedBrain
    seed: int

    def _repr_html_(self) -> str:
        who = f"{self.subject.group}, {self.subject.age:.0f} years"
        return f"<p>Simulated scan ({who}): no patient was scanned. Research use only.</p>{self.scan._repr_html_()}"


def simulate(
    group: str = "AD",
    *,
    seed: int = 0,
    label_map: str | Path | None = None,
    whole_head: bool = True,
    healthy_twin: bool = True,
    in_template: bool = False,
    disease: str = PUBLISHED,
    progress: ProgressCallback = silent,
) -> SimulatedScan:
    """Simulate one T1-weighted scan whose disease is known voxel by voxel.

    Parameters
    ----------
    group
        "CN", "MCI" or "AD".
    seed
        Random seed; the same seed gives the same voxels.
    label_map
        A whole-head label map with FreeSurfer's values; the ICBM152 template's own anatomy by default.
    whole_head
        With skull and skin instead of the brain alone (0 outside). The template's own anatomy is a brain alone.
    healthy_twin
        Also make the scan of the same brain without the disease.
    in_template
        As the brain lies in template space, instead of turned and shifted in a scanner.
    disease
        "published": regions, subtypes and ageing as in the literature (:mod:`.effects`); "stylised": the simulator's
        former disease, until 2026.
    progress
        Called with each step; may raise Cancelled.

    Raises
    ------
    UserError
        If group or disease are not known, the seed is negative, or the label map cannot be used.
    """
    check_disease(disease)
    if group not in GROUPS:
        raise UserError(f"The group '{group}' is not known: give one of {', '.join(GROUPS)}.")
    if seed < 0:
        raise UserError(f"The seed {seed} is negative: seeds are whole numbers from 0.")
    progress("Preparing the anatomy", 0.0)
    anatomy = template_anatomy() if label_map is None else read_anatomy(Path(label_map), disease)
    rng = np.random.default_rng([seed, 0])
    subject = draw(rng, group, disease)
    progress("Simulating the brain", 0.3)
    made = simulated_scan(
        anatomy, fractions_for(anatomy, disease), subject, rng,
        whole_head=whole_head, healthy_twin=healthy_twin, in_template=in_template,
    )  # fmt: skip
    progress("Simulating the brain", 1.0)
    return made


def simulated_scan(
    anatomy: Anatomy,
    fractions: Fractions,
    subject: Subject,
    rng: np.random.Generator,
    *,
    whole_head: bool,
    healthy_twin: bool,
    in_template: bool,
) -> SimulatedScan:
    """The scan of one subject, with the seeds of brain and scanner drawn from ``rng``."""
    brain_seed, scan_seed = (int(value) for value in rng.integers(2**31, size=2))
    brain = simulate_brain(
        anatomy, fractions, subject, brain_seed, with_healthy=healthy_twin, align=in_template
    )  # in a scanner, nothing has aligned it yet
    affine = FINE_GRID.affine if in_template else scanner_affine(anatomy.scale, scan_seed)

    def scanned(labels: NDArray[np.uint8]) -> NDArray[np.int16]:
        return head_scan(labels, scan_seed, whole_head=whole_head, any_head=not subject.is_published)[0]

    voxels = scanned(brain.labels)
    twin = None
    if brain.healthy_labels is not None:
        twin = Volume(scanned(brain.healthy_labels), affine, "healthy twin")
    return SimulatedScan(
        subject=subject,
        scan=Volume(voxels, affine, f"simulated {subject.group}"),
        healthy=twin,
        effect=Volume(effect_on_fine_grid(brain.effect).astype(np.float32), affine, "effect"),
        labels=Volume(brain.labels, affine, "labels"),
        brain=brain,
        seed=brain_seed,
    )
