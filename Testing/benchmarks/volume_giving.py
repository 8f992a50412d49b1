"""What gives way when a piece of brain grows: which rule makes the volume gradient lie where the disease is?

    python -m Testing.benchmarks.volume_giving FOLD1 FOLD2 --unseen 01,05 08,17 --label-maps DIR --cache DIR
        [--segmentation anatomy.nii.gz]

AD subjects of the published disease, each explained by the one network that never saw its anatomy; who is not called
ill is left out. The gradient by volumes with all of the head giving way, and with the surroundings giving within some
distance: all alike, fluid before tissue, or tissue alone. Chosen on subjects over 02 and 13, drawn for this; reported
on the subjects of `volume_methods` over all other anatomies. Prints the tables of volume_giving.md; of a scan's
segmentation, how much structures grow that are asked for 1 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.attribution import Explainer, Gradient
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, on_grid
from mri_interpret.benchmark.map_measurements import gain
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import FLUID
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.deformation.giving import GIVING_MM, TISSUE_GIVES, Giving
from mri_interpret.deformation.head import head_of
from mri_interpret.images.reading import read_volume
from mri_interpret.metrics.bootstrap import mean_estimate
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import PUBLISHED
from torch import Tensor

from Testing.benchmarks.volume_measurements import add_fold_arguments, models_of_folds
from Testing.benchmarks.volume_methods import SEED, answer, half_of, label_of

CHOOSING_SEED = 777
WHOLE, SHIPS = "all of the head", f"all alike, {GIVING_MM:g} mm"
GRADIENT, TRUTH = "gradient of intensities", "the truth"
NUMBERS = {  # of structures whose own growth is told
    "Left-Hippocampus": 17,
    "Left-Amygdala": 18,
    "Left-Thalamus": 10,
    "Left-Inf-Lat-Vent": 5,
    "Left-Cerebral-White-Matter": 2,
}
REACHES = (6, 8, 12, 16, 20, 30)
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "all alike": lambda inside, fluid: inside,
    "fluid before tissue": lambda inside, fluid: inside * (fluid + TISSUE_GIVES),
    "tissue alone": lambda inside, fluid: inside * (1 - fluid),
}


def rows_of(one: BenchmarkedModel, given: SimulatedSubject, every: bool) -> list[tuple[str, float, float]]:
    """Rule, times chance, and the map's correlation with the true change; ``every`` rule or what ships."""
    target = list(one.under_test.target)
    head = head_of(torch.from_numpy(given.mask), one.under_test.grid.spacing.tolist())
    by_image = Explainer(one.under_test.network).explain(given.image, target, Gradient())["gradient"].map
    by_volume = head.gradient(head.field_gradient(given.image[0], by_image))
    fluid = torch.from_numpy(given.shares[FLUID]).float()
    maps = {GRADIENT: by_image[0], WHOLE: by_volume, TRUTH: torch.from_numpy(given.effect)}
    for name, weigh in WEIGHTS.items():
        for reach in REACHES:
            title = f"{name}, {reach:g} mm"
            if every or title == SHIPS:
                giving = Giving(weigh(head.inside, fluid), head.box, reach)
                maps[title] = head.inside * giving.gradient(by_volume)
    found = []
    for title, one_map in maps.items():
        values = one_map.numpy()
        place = gain(np.abs(values), given.mask, given.truth)
        found.append((title, place, float(np.corrcoef(values[given.mask], given.effect[given.mask])[0, 1])))
    return found


def table(rows: pd.DataFrame) -> str:
    """Markdown: a line for each rule, means over subjects with bootstrap intervals."""
    place = rows.pivot(index="subject", columns="rule", values="place")
    sign = rows.pivot(index="subject", columns="rule", values="correlation")
    lines = [
        "| what gives way | times chance | less all of the head | correlation with the true change |",
        "|---|---|---|---|",
    ]
    for rule in rows["rule"].unique():
        more = "" if rule == WHOLE else _interval(place[rule] - place[WHOLE], "+.1f")
        lines.append(f"| {rule} | {_interval(place[rule], '.1f')} | {more} | {_interval(sign[rule], '.2f')} |")
    return "\n".join(lines)


def _interval(values: pd.Series, form: str) -> str:
    mean = mean_estimate(values)
    return f"{mean.value:{form}} [{mean.low:{form}}, {mean.high:{form}}]"


def own_growth(segmentation: Path) -> dict[str, float]:
    """By structure of FreeSurfer's labels, how much it grows, asked for 1 %: less by what it takes from itself."""
    volume = read_volume(segmentation)
    labels = torch.from_numpy(np.asarray(volume.array, dtype=np.int64))
    head = head_of(labels > 0, volume.grid.spacing.tolist())
    giving = Giving(head.inside, head.box)
    found = {}
    for name, number in NUMBERS.items():
        structure = (labels == number).float()
        found[name] = float((giving.balanced(structure) * structure).sum() / structure.sum())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_fold_arguments(parser)
    parser.add_argument("--choosing", type=int, default=40, help="subjects drawn over 02 and 13")
    parser.add_argument("--subjects", type=int, default=84, help="subjects of volume_methods, of which others report")
    parser.add_argument("--segmentation", type=Path, help="of a scan, by FreeSurfer's labels")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    models = models_of_folds(options.bundles, options.unseen)
    halves = {
        "choose": (CHOOSING_SEED, options.choosing, [name for name in models if half_of(name) == "choose"]),
        "report": (SEED, options.subjects, sorted(models)),
    }
    for half, (seed, subjects, names) in halves.items():
        anatomies = chosen_anatomies(options.label_maps, names, silent, PUBLISHED, options.cache / "anatomies")
        stream = SubjectStream(anatomies, seed, options.cache, groups=("AD",), disease=PUBLISHED)
        rows = []
        for number in range(subjects):
            name = stream.anatomy_of(number).name
            if half_of(name) != half:
                continue
            one = models[label_of(name)]
            given = on_grid(stream[number], one.bundle)
            if answer(one, given.image) > 0:
                rows += [(number, *row) for row in rows_of(one, given, half == "choose")]
        found = pd.DataFrame(rows, columns=["subject", "rule", "place", "correlation"])
        print(f"\n## {half}, {found['subject'].nunique()} AD subjects\n\n{table(found)}", flush=True)
    if options.segmentation is not None:
        print("\n".join(f"{name}: {share:.2f}" for name, share in own_growth(options.segmentation).items()))


if __name__ == "__main__":
    main()
