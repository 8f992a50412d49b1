"""The study of the volume methods: is what they say about volumes what the simulated disease did?

    python -m Testing.benchmarks.volume_methods SEED1 SEED2 SEED3 --label-maps DIR -o DIR [--kinds maps ...]
    python -m Testing.benchmarks.volume_methods FOLD1 FOLD2 --unseen 01,05 08,17 --label-maps DIR -o DIR

AD subjects over the held-out anatomies, whose brain without the disease is known, in the order that gives every subject
one network before any gets a second; or with --unseen, over all anatomies that are named there, each subject by the one
network that never saw its anatomy. Who is not called ill is only counted. Every explanation's rows are kept at once:
the same call goes on after a stop, and `python -m Testing.benchmarks.volume_tables DIR` makes the tables of what is
there. Placebos, which nothing sensible can be said about: a network with random parameters, and two classes that do not
differ (:func:`same_classes`).

How much the boundary asks for is less than the disease did, also where network and method are right. So two further
truths are told: how far the hippocampi are from where AD and CN are as likely in the simulated population; and, in
rows that begin with "twin: " or "typical: ", what is asked for so that the network answers as it does for the subject
without the disease, or as for a typical healthy brain (the median over those of the anatomies 02 and 13). That is to be
compared with all that the disease did.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.atomic import replacing, write_text
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model, on_grid
from mri_interpret.benchmark.network_measurements import as_explained_image
from mri_interpret.benchmark.network_under_test import random_copy
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.subject_cache import SubjectStream
from mri_interpret.benchmark.volume_truth import FLUID
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.checks.randomisation import upper_half_similarity
from mri_interpret.checks.volume_maps import COUNTERFACTUAL, GRADIENT
from mri_interpret.command_line.benchmark import chosen_anatomies
from mri_interpret.models.bundle import load_bundle
from mri_interpret.preprocessing.steps.chain import default_steps
from mri_interpret.progress import silent
from mri_interpret.simulation.anatomy import MODEL_GRID, PUBLISHED, STYLISED
from torch import Tensor, nn

from Testing.benchmarks.ground_truth import HELD_OUT
from Testing.benchmarks.volume_continued import TYPICAL_ANSWERS
from Testing.benchmarks.volume_measurements import TWIN, TYPICAL, goal_rows, map_rows, methods_of, stability_rows
from Testing.benchmarks.volume_metric import HALVES, twins

SEED = 20261125
FIRST = ("gradient", GRADIENT)
# Every so many subjects get these measurements too, by one network; of the counterfactual, about half as many. Odd, so
# that both halves get them.
EVERY = {"placebos": 3, "stability": 3, "randomised": 13}
HEAD_NOISE = 0.1  # of the root mean square of the class's weights
HEALTHY = 8  # healthy brains of each choosing anatomy, whose median answer is the typical one


@dataclass(frozen=True)
class Task:
    """One thing to measure: of which methods, on which subject, by which network."""

    kind: str  # "maps", "twins", "typical", "placebos", "stability" or "randomised"
    methods: tuple[str, ...]
    subject: int
    network: int

    def path(self, folder: Path, network: str) -> Path:
        return folder / "rows" / f"{self.kind} {'+'.join(self.methods)} {network} {self.subject:05d}.csv"


def tasks(
    subjects: int, networks: int, own: Callable[[int], int] | None = None, step: int | None = None
) -> Iterator[Task]:
    """Everything to measure, what the tables need most first: the first-order maps, then the counterfactuals.

    ``own`` gives the number of the only network for a subject; without it each subject gets all, in turn. With ``step``
    every so many subjects get placebos, stability and randomisation of all methods, instead of as EVERY says.
    """
    for turn in range(networks if own is None else 1):
        for methods in (FIRST, (COUNTERFACTUAL,)):
            for subject in range(subjects):
                network = (subject + turn) % networks if own is None else own(subject)
                yield Task("maps", methods, subject, network)
                for kind, every in EVERY.items():
                    if turn == 0 and subject % (step or (every if methods == FIRST else 2 * every + 1)) == 0:
                        yield Task(kind, methods, subject, network)
        for subject in range(subjects if turn == 0 else 0):
            for kind in ("typical", "twins"):
                yield Task(kind, (COUNTERFACTUAL,), subject, subject % networks if own is None else own(subject))


def same_classes(network: nn.Module, target: list[float], seed: int) -> nn.Module:
    """A copy whose explained classes do not differ: each has the weights of the first one, with noise of its own.

    The last linear layer's rows of all classes that the target weighs become the row of the class with the highest
    weight, plus independent normal noise of a tenth of that row's root mean square; biases alike. The features below
    are those that were trained, so this asks whether the maps show them or the contrast.
    """
    changed = copy.deepcopy(network)
    last = [module for module in changed.modules() if isinstance(module, nn.Linear)][-1]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model_row = last.weight[int(np.argmax(target))].clone()
        for row, weight in enumerate(target):
            if weight:
                size = HEAD_NOISE * model_row.square().mean().sqrt()
                last.weight[row] = model_row + size * torch.randn(model_row.shape, generator=generator)
                if last.bias is not None:
                    last.bias[row] = last.bias[int(np.argmax(target))].clone()
    return changed


def measure(
    task: Task,
    one: BenchmarkedModel,
    given: SimulatedSubject,
    first: torch.Tensor,
    level: Callable[[], float],
) -> pd.DataFrame | None:
    """The rows of one task: method, measure, value and what is needed to group them.

    None, but for maps of first order, where the network does not call the subject ill: no table looks at them.

    ``level`` gives the explained value to which "twins" and "typical" lead.
    """
    seed = zlib.crc32(f"{SEED} {task.subject}".encode())
    under_test = replace(one.under_test, methods=methods_of(task.methods), slow={})
    target = list(under_test.target)
    contrast = answer(one, given.image)
    if contrast <= 0 and (task.kind, task.methods) != ("maps", FIRST):
        return None
    if task.kind == "maps":
        rows = map_rows(under_test, under_test.network, given, "")
    elif task.kind in ("twins", "typical"):
        rows = goal_rows(under_test, given, level(), TWIN if task.kind == "twins" else TYPICAL)
    elif task.kind == "placebos":
        rows = map_rows(under_test, random_copy(under_test, first, SEED), given, "random network: ")
        rows += map_rows(under_test, same_classes(under_test.network, target, SEED), given, "same classes: ")
    elif task.kind == "stability":
        rows = stability_rows(under_test, given, seed)
    else:
        maps, _ = under_test.explain(
            under_test.network, given.image, given.mask, under_test.methods, given.shares.get(FLUID)
        )
        explained = as_explained_image(under_test, given, under_test.network, given.image, maps)
        found = upper_half_similarity(explained, seed)
        rows = [(name, "randomised", one_method.spearman) for name, one_method in found.items()]
    frame = pd.DataFrame(rows, columns=["method", "measure", "value"])
    facts = {
        "network": one.name,
        "half": half_of(given.anatomy),
        "subject": given.name,
        "anatomy": given.anatomy,
        "called_ill": contrast > 0,
        "contrast": contrast,
    }
    return frame.assign(**facts)[[*facts, "method", "measure", "value"]]


def run(
    models: list[BenchmarkedModel],
    stream: SubjectStream,
    subjects: int,
    folder: Path,
    seconds: float | None = None,
    kinds: tuple[str, ...] | None = None,
    typical: Mapping[str, float] | None = None,
    unseen: Sequence[Sequence[str]] | None = None,
    step: int | None = None,
) -> None:
    """Measure what is missing in ``folder``; begin nothing after so many seconds. ``kinds`` leaves out all others.

    ``typical`` are the networks' answers for a typical healthy brain, by their names; ``unseen`` the anatomies that
    each of them never saw; ``step`` as in :func:`tasks`.
    """

    def own(subject: int) -> int:
        name = label_of(stream.anatomy_of(subject).name)
        return next(number for number, names in enumerate(unseen or ()) if name in names)

    ending = time.monotonic() + (seconds if seconds is not None else float("inf"))
    first: torch.Tensor | None = None
    for task in tasks(subjects, len(models), own if unseen is not None else None, step):
        one = models[task.network]
        path = task.path(folder, one.name)
        if path.exists() or (kinds is not None and task.kind not in kinds):
            continue
        if task.kind == "typical" and typical is None:
            continue
        if time.monotonic() > ending:
            print("out of time", flush=True)
            return
        first = stream[0].image if first is None else first
        given = stream[task.subject]

        def level(task: Task = task, one: BenchmarkedModel = one, given: SimulatedSubject = given) -> float:
            if task.kind == "typical":
                return (typical or {})[one.name]
            return answer(one, on_grid(replace(given, image=stream.twin(task.subject)), one.bundle).image)

        frame = measure(task, one, on_grid(given, one.bundle), first, level)
        if frame is None:
            print(path.stem, "not called ill", flush=True)
            continue
        with replacing(path) as aside:
            frame.to_csv(aside, index=False, float_format="%.6g")
        print(path.stem, round(time.process_time()), flush=True)


def label_of(anatomy: str) -> str:
    """The number of an anatomy's label map: 08 of labels_08."""
    return anatomy.rpartition("_")[2]


def half_of(anatomy: str) -> str:
    """ "choose" for the anatomies on which the metric was chosen, "report" for all others."""
    return "choose" if label_of(anatomy) in HALVES["choosing"] else "report"


def answer(one: BenchmarkedModel, image: Tensor) -> float:
    """The explained value of an image as the network takes it."""
    return float(explained_values(one.under_test.network, image, list(one.under_test.target))[0])


def typical_answer(one: BenchmarkedModel, healthy: Sequence[np.ndarray]) -> float:
    """The median of a network's explained values for healthy brains on the simulator's grid.

    Raises
    ------
    SystemExit
        If the network takes its scans in another way: these would have to be prepared for it.
    """
    if one.bundle.metadata.preprocessing != default_steps(MODEL_GRID, (0.5, 99.5)):
        raise SystemExit(f"{one.name} does not take scans as the simulator makes them.")
    return float(np.median([answer(one, torch.from_numpy(scan)[None, None]) for scan in healthy]))


def healthy_brains(labels: Path, folder: Path | None) -> list[np.ndarray]:
    """Healthy brains of the choosing anatomies: the twins of ``volume_metric.py``'s subjects."""
    return [twins(labels, name, number, folder)["well"] for name in HALVES["choosing"] for number in range(HEALTHY)]


def published_healthy(stream: SubjectStream) -> list[np.ndarray]:
    """Healthy elderly of the choosing anatomies, as the published disease's subjects are drawn."""
    choosing = [one for one in stream.anatomies if half_of(one.name) == "choose"]
    healthy = SubjectStream(choosing, stream.seed + 1, stream.folder, groups=("CN",), disease=stream.disease)
    return [one.image[0, 0].numpy() for one in healthy.first(HEALTHY * len(choosing))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--unseen", nargs="+", help="per bundle, the anatomies that it never saw: 01,05 08,15,17")
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=76)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, help="where simulated subjects are kept; in the output folder if left out"
    )
    parser.add_argument("--seconds", type=float, help="begin nothing after so long")
    parser.add_argument("--kinds", nargs="+", help="only these: maps, twins, typical, placebos, stability, randomised")
    parser.add_argument("--every", type=int, help="placebos, stability, randomised of every so many subjects")
    parser.add_argument("--healthy", type=Path, help="where healthy brains are kept; in the output folder if left out")
    parser.add_argument("--disease", choices=(PUBLISHED, STYLISED), default=STYLISED)
    options = parser.parse_args()
    unseen = [names.split(",") for names in options.unseen] if options.unseen else None
    if unseen is not None and len(unseen) != len(options.bundles):
        parser.error("--unseen names anatomies for each bundle.")
    torch.set_num_threads(1)
    models = [
        benchmarked_model(load_bundle(path), methods=["gradient"], disease=options.disease) for path in options.bundles
    ]
    cache = options.cache or options.output / "subjects"
    held_out = HELD_OUT if unseen is None else tuple(sorted(name for names in unseen for name in names))
    anatomies = chosen_anatomies(options.label_maps, held_out, silent, options.disease, cache / "anatomies")
    stream = SubjectStream(anatomies, SEED, cache, groups=("AD",), disease=options.disease)
    kinds = tuple(options.kinds) if options.kinds else None
    typical = None
    if kinds is None or "typical" in kinds:
        healthy = (
            published_healthy(stream)
            if options.disease == PUBLISHED
            else healthy_brains(options.label_maps, options.healthy or options.output / "healthy")
        )
        typical = {one.name: typical_answer(one, healthy) for one in models}
        write_text(options.output / TYPICAL_ANSWERS, json.dumps(typical, indent=2) + "\n")
    run(models, stream, options.subjects, options.output, options.seconds, kinds, typical, unseen, options.every)


if __name__ == "__main__":
    main()
