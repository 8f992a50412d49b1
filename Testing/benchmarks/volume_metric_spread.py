"""May changes of volume be cheaper where healthy people differ more? A metric for counterfactuals, tried on twins.

    python -m Testing.benchmarks.volume_metric_spread FOLD1 FOLD2 --unseen 01,05 08,17 --label-maps DIR --cache DIR

Healthy hippocampi differ by 12 % (SD of log-volume), amygdalae by 14 %, ventricles by 40 and 45 %, the cortex by 6 to 9
(``simulation/effects.py``): a change of a ventricle by a tenth is ordinary, of the cortex it is not. Here the change is
measured in a power of these SDs, for tissue and fluid apart; power 0 is the metric that ships. As ``volume_methods.py``
with --unseen: AD subjects of the published disease, each by the network that never saw its anatomy.

To first order: the direction of the first step, as long as it takes to reach the answer without the disease, if the
answer changed along it as at its beginning. (It changes faster: whole ways ask for about 0.6 of this.)
One gradient per subject serves all metrics. 02 and 13 choose, the others report. Prints the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.gradient import Gradient
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, on_grid
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import FLUID, STRUCTURES, asked_change
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.deformation.construction import smooth
from mri_interpret.deformation.giving import TISSUE_GIVES, Giving
from mri_interpret.deformation.head import Head, head_of
from mri_interpret.deformation.metric import SMOOTHING_MM, Metric
from mri_interpret.metrics.similarity import correlation
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import PUBLISHED
from mri_interpret.simulation.effects import EFFECT_OF
from numpy.typing import NDArray
from torch import Tensor

from Testing.benchmarks.volume_measurements import add_fold_arguments, models_of_folds
from Testing.benchmarks.volume_methods import SEED, answer, half_of, label_of

TISSUE, SULCI = 0.075, 0.25  # SD of log-volume: the middle of the table's cortical regions; as the third ventricle
POWERS = ((0, 0), (0.5, 0.5), (0.75, 0.5), (1, 0.5), (1, 0.7), (1, 1))  # of tissue, of fluid


@dataclass(frozen=True)
class Spread(Metric):
    """A metric that counts changes in units of ``scale`` (i, j, k); still symmetric and positive."""

    scale: Tensor = field(kw_only=True)

    def direction(self, gradient: Tensor) -> Tensor:
        assert self.giving is not None
        inner = self.scale * self.giving.gradient(gradient)
        within = (self.kinds * smooth(self.kinds * inner, self.smoothing_mm, self.box)).sum(0)
        return self.giving.balanced(self.scale * within)


def metric(head: Head, shares: Mapping[str, NDArray[np.float32]], tissue: float, fluid: float) -> Spread:
    """The metric that ships, in units of the SDs to the power ``tissue`` or ``fluid``, over the cortex' SD."""
    parts = {name: head.cells_of(torch.from_numpy(share).float()).clamp(0, 1) for name, share in shares.items()}
    wet = parts[FLUID] * head.inside
    scale = 1 + parts[FLUID] * ((SULCI / TISSUE) ** fluid - 1)
    for name in STRUCTURES:
        within, power, around = (
            (torch.minimum(parts[name], parts[FLUID]), fluid, (SULCI / TISSUE) ** fluid)
            if "ventricle" in name
            else (parts[name], tissue, 1.0)
        )
        scale = scale + within * ((EFFECT_OF[name].spread / TISSUE) ** power - around)
    kinds = torch.stack((head.inside - wet, wet))
    giving = Giving(wet + TISSUE_GIVES * head.inside, head.box)
    return Spread(kinds, giving, SMOOTHING_MM, head.box, scale=scale)


def rows_of(one: BenchmarkedModel, given: SimulatedSubject, well: float) -> list[list[float]]:
    """For each metric: what is asked of each structure and its error, then the map's correlation with what heals."""
    target = list(one.under_test.target)
    missing = well - answer(one, given.image)
    head = head_of(torch.from_numpy(given.mask), one.under_test.grid.spacing.tolist())
    gradient = Explainer(one.under_test.network).explain(given.image, target, Gradient())["gradient"].map
    by_volume = head.step_gradient(given.image[0], gradient)
    found = []
    for tissue, fluid in POWERS:
        change = metric(head, given.shares, tissue, fluid).direction(by_volume)
        change = change * (missing / float((change * by_volume).sum()))
        percent = 100 * torch.expm1(head.on_image(change[None])[0].clamp(-3, 3)).numpy()
        asked = [asked_change(percent, given.shares[name]) for name in STRUCTURES]
        errors = [abs(a - given.undoing[name]) for a, name in zip(asked, STRUCTURES, strict=True)]
        found.append([*asked, *errors, correlation(percent[given.mask], -given.effect[given.mask])])
    return found


def page(rows: NDArray[np.float64], undoing: NDArray[np.float64], title: str) -> str:
    """Markdown of (subjects, metrics, numbers of :func:`rows_of`); means over subjects."""
    truth = ", ".join(f"{name} {value:+.2f}" for name, value in zip(STRUCTURES, undoing.mean(0), strict=True))
    heads = [f"{name}: {what}" for name in STRUCTURES for what in ("asked", "error")]
    lines = [
        f"\n## {title}, {len(rows)} AD subjects\n\nWould undo: {truth}.\n",
        f"| power for tissue, fluid | {' | '.join(heads)} | r with what heals |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for (tissue, fluid), mean in zip(POWERS, rows.mean(0), strict=True):
        cells = [f"{mean[k]:+.2f} | {mean[len(STRUCTURES) + k]:.2f}" for k in range(len(STRUCTURES))]
        lines.append(f"| {tissue:g}, {fluid:g} | {' | '.join(cells)} | {mean[-1]:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_fold_arguments(parser)
    parser.add_argument("--subjects", type=int, default=84)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    models = models_of_folds(options.bundles, options.unseen)
    anatomies = chosen_anatomies(options.label_maps, sorted(models), silent, PUBLISHED, options.cache / "anatomies")
    stream = SubjectStream(anatomies, SEED, options.cache, groups=("AD",), disease=PUBLISHED)
    found: dict[str, list[tuple[list[list[float]], list[float]]]] = {"choose": [], "report": []}
    for number in range(options.subjects):
        one = models[label_of(stream.anatomy_of(number).name)]
        given = on_grid(stream[number], one.bundle)
        if answer(one, given.image) <= 0:
            continue  # not called ill: nothing to undo
        well = answer(one, on_grid(replace(given, image=stream.twin(number)), one.bundle).image)
        undoing = [given.undoing[name] for name in STRUCTURES]
        found[half_of(given.anatomy)].append((rows_of(one, given, well), undoing))
        print(number, flush=True)
    for half, title in (("choose", "Choosing half"), ("report", "Reporting half")):
        if found[half]:
            print(page(*(np.array(part) for part in zip(*found[half], strict=True)), title))


if __name__ == "__main__":
    main()
