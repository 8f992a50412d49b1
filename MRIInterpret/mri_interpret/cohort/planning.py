"""From a table and options to a plan: who is to be explained, who is complete, on how many workers. Runs nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..anatomy.atlas import load_atlas
from ..anatomy.segmentation import DEFAULT_BUNDLE
from ..checks.reference_map import read_references
from ..errors import UserError
from ..explanation.explanation import ModelInfo
from ..explanation.goals import reachable_methods
from ..explanation.job import model_info
from ..explanation.options import DEFAULTS, check_regions, check_trust, choose_device
from ..images.volume import Grid
from ..models.bundle import ModelBundle
from ..models.outputs import OutputMeaning
from ..models.registry import find_model
from ..models.targets import VALUE, is_predicted, read_target
from ..preprocessing.other_inputs import OF_THE_SCAN
from ..preprocessing.pipeline import check_space
from ..preprocessing.steps.monai_chain import MonaiChain
from ..preprocessing.template import load_template
from ..resources import resource
from .capacity import Capacity
from .cluster import ClusterOptions, local_capacity
from .confounds import confound_matrix, why_no_test
from .group_difference import CORRECTIONS, FEWEST_PERMUTATIONS, PERMUTATIONS
from .output_folder import check_output
from .participants_table import read_table
from .subject_result import SubjectResult, has_result, input_hash, read_result, subject_key
from .subjects import Settings, SubjectJob
from .validation import Cohort, InvalidTable, read_cohort

_MAP_BYTES = 16 * 2**20  # a map on both grids with its sidecars, compressed: about this at 1 mm
_PAGE_BYTES = 1 * 2**20


@dataclass(frozen=True)
class Options:
    """What the user chose; the defaults are those of a single scan."""

    model: str = DEFAULTS.model
    methods: tuple[str, ...] = DEFAULTS.methods
    target: str = ""  # AD-CN where the model has both (of a quantity, its value): one contrast for all subjects
    goal: str = DEFAULTS.goal
    mask: str = DEFAULTS.mask
    space: str = DEFAULTS.space
    atlas: tuple[str, str] | None = DEFAULTS.atlas
    regions: str = DEFAULTS.regions
    trust: str = DEFAULTS.trust
    reference: tuple[str, ...] = DEFAULTS.reference
    native: bool = True
    pages: bool = True
    cache: bool = DEFAULTS.cache
    force: bool = False
    bids_root: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)  # role -> column of the table
    groups: Mapping[str, str] = field(default_factory=dict)  # word in the table -> class of the model
    adjust: tuple[str, ...] = ()  # covariates that the group difference is adjusted for
    permutations: int = PERMUTATIONS  # 0: no test
    correction: str = "max"  # one of group_difference.CORRECTIONS
    cluster: ClusterOptions = field(default_factory=ClusterOptions)


@dataclass(frozen=True)
class Plan:
    """Everything that a run is going to do."""

    output: Path
    options: Options
    settings: Settings
    cohort: Cohort
    model: ModelInfo
    grid: Grid
    contrast: tuple[str, str]  # the two groups whose maps are compared; the same where there are fewer
    keys: dict[str, str]  # subject's name -> key
    jobs: tuple[SubjectJob, ...]  # subjects to be explained
    complete: tuple[SubjectResult, ...]  # explained before, and nothing has changed since
    capacity: Capacity | None  # of this machine; None where subjects are explained elsewhere
    notes: tuple[str, ...]
    own_grids: bool = False  # whether the network's grid depends on the scan, so that maps are resampled for group maps

    def subject_results(self) -> list[SubjectResult]:
        """Complete subjects, as they lie on the disk now, in the table's order."""
        found = (read_result(self.output, subject, self.keys[subject.name]) for subject in self.cohort.subjects)
        return [result for result in found if result is not None]


def make_plan(table: str | Path, output: str | Path, options: Options | None = None) -> Plan:
    """Check everything that can be checked, and decide what is to be done.

    Parameters
    ----------
    table
        A participants table (CSV, TSV), or a BIDS root that holds participants.tsv.
    output
        Where results go; complete subjects in it are kept.
    options
        The user's choices.

    Raises
    ------
    InvalidTable
        With every problem of the table.
    UserError
        For anything else that is wrong.
    """
    options = options or Options()
    output = Path(output).expanduser().resolve()
    where = options.cluster
    if where.scheduler and where.slurm:
        raise UserError("Choose either a dask scheduler or Slurm jobs, not both.", option="scheduler")
    if options.permutations < 0:
        raise UserError("The number of permutations must not be negative: 0 skips the test.", option="permutations")
    if 0 < options.permutations < FEWEST_PERMUTATIONS:
        raise UserError(
            f"{options.permutations} permutations can show no p of 0.05: ask for {FEWEST_PERMUTATIONS} or more (1000 "
            "are usual), or for 0, which skips the test.",
            option="permutations",
        )
    if options.correction not in CORRECTIONS:
        raise UserError(
            f"The correction '{options.correction}' is not known: choose from {', '.join(CORRECTIONS)}.",
            option="correction",
        )
    if not options.methods:
        raise UserError("No attribution method was chosen: choose at least one.")
    check_space(options.space)
    check_regions(options.regions, options.atlas, DEFAULTS.segmentation)
    check_trust(options.trust)
    if not (where.scheduler or where.slurm):  # elsewhere, the workers decide
        choose_device(where.device)
    if options.atlas:
        load_atlas(*options.atlas)  # an error is reported once, not for every subject
    references = tuple(str(Path(one).expanduser().resolve()) for one in options.reference)
    read_references(list(references))
    bundle = find_model(options.model)
    further = tuple(name for name in bundle.metadata.preprocessing.channels if name not in OF_THE_SCAN)
    meaning = bundle.metadata.output
    target = options.target or (VALUE if meaning.is_quantity else "-".join(_contrast(meaning.classes)))
    read_target(target, meaning)
    methods, left_out = reachable_methods(options.methods, options.goal, target, meaning)
    cohort = read_cohort(
        read_table(Path(table).expanduser(), dict(options.columns), further),
        meaning,
        inputs=further,
        bids_root=options.bids_root,
        group_map=_checked_groups(options.groups, meaning),
    )
    check_output(output, cohort.table, cohort.subjects)
    contrast = _contrast(cohort.classes)
    _check_adjustment(options.adjust, cohort, contrast)
    mask = options.mask if options.mask in ("auto", "none") else str(Path(options.mask).expanduser().resolve())
    settings = Settings(
        tuple(methods), target, mask, options.space, options.atlas, options.regions, options.trust, options.native,
        options.pages, options.goal, references,
    )  # fmt: skip
    model = [bundle.hash, input_hash(bundle.path / "configs" / "metadata.json"), _segmentation_hash()]
    if isinstance(bundle.metadata.preprocessing, MonaiChain):  # it stands in the other file
        model.append(input_hash(bundle.path / "configs" / "inference.json"))
    keys, jobs, complete, outdated = {}, [], [], 0
    for subject in cohort.subjects:
        scan_hash = input_hash(subject.scan)
        key = keys[subject.name] = subject_key(scan_hash, subject, settings, model)
        result = None if options.force else read_result(output, subject, key)
        if result is not None:
            complete.append(result)
            continue
        outdated += not options.force and has_result(output, subject)
        jobs.append(
            SubjectJob(subject, settings, output, key, scan_hash, bundle.path.resolve(), bundle.hash, where.device,
                cache=options.cache)
        )  # fmt: skip
    capacity = None
    notes = [*cohort.notes, *([left_out] if left_out else [])]
    if is_predicted(target) and not meaning.is_quantity:
        notes.append(
            "Each map explains the class predicted for its subject, so maps of different groups answer different "
            "questions: compare groups with one contrast, such as the default."
        )
    if outdated:
        notes.append(
            f"{outdated} of {len(cohort.subjects)} subjects have results that other settings, another model or an "
            "earlier version made: they are explained again."
        )
    if jobs and not (where.scheduler or where.slurm):
        capacity = local_capacity(where, len(jobs))
        notes += [capacity.note] if capacity.note else []
    notes += _disk_note(output, len(jobs), settings)
    threaded = tuple(replace(job, threads=capacity.threads) if capacity else job for job in jobs)
    return Plan(
        output, options, settings, cohort, model_info(bundle), _group_grid(bundle), contrast, keys, threaded,
        tuple(complete), capacity, tuple(notes), bundle.metadata.grid is None,
    )  # fmt: skip


def _segmentation_hash() -> str:
    """Of the network that segments every scan."""
    return input_hash(resource("Models", DEFAULT_BUNDLE))


def _group_grid(bundle: ModelBundle) -> Grid:
    """Where group maps are made: the network's grid, or the template's at 2 mm where that depends on the scan."""
    return bundle.metadata.grid or load_template(2)[0].grid


def _contrast(classes: tuple[str, ...]) -> tuple[str, str]:
    """The two groups that are compared: AD and CN where there are both, else the last and the first, if any."""
    if {"AD", "CN"} <= set(classes):
        return "AD", "CN"
    return (classes[-1], classes[0]) if classes else ("", "")


def _checked_groups(groups: Mapping[str, str], output: OutputMeaning) -> Mapping[str, str]:
    known = ", ".join(output.classes)
    for word, name in groups.items():
        if not output.is_quantity and name not in output.classes:
            raise UserError(
                f"The group '{word}' is said to mean '{name}', but the model's classes are {known}.",
                option="groups",
            )
    return groups


def _check_adjustment(names: tuple[str, ...], cohort: Cohort, contrast: tuple[str, str]) -> None:
    for name in names:
        if name not in cohort.covariates:
            known = ", ".join(cohort.covariates) or "none"
            raise UserError(f"The table has no covariate '{name}' to adjust for (it has: {known}).", option="adjust")
        lacking = [subject.name for subject in cohort.subjects if name not in subject.covariates]
        if lacking:
            raise InvalidTable(
                cohort.table, [f"{len(lacking)} subjects have no {name} to adjust for; the first is {lacking[0]}."]
            )
        if name in cohort.odd:
            line, entry = cohort.odd[name]
            raise InvalidTable(
                cohort.table,
                [f"Line {line}: the {name} '{entry}' is no number as the others are, so it cannot be adjusted for."],
            )
    first, second = ([subject for subject in cohort.subjects if subject.group == group] for group in contrast)
    if names and contrast[0] != contrast[1] and first and second:
        reason = why_no_test(confound_matrix([*first, *second], names), len(first), len(second), names)
        if reason:
            raise UserError(f"{contrast[0]} and {contrast[1]} cannot be compared: {reason}", option="adjust")


def _disk_note(output: Path, jobs: int, settings: Settings) -> list[str]:
    """A warning where the output will probably not fit. A wrong estimate must not forbid a run, so it is no error."""
    place = output
    while not place.exists():
        place = place.parent
    maps = len(settings.methods) + 2
    need = jobs * (maps * _MAP_BYTES * (1 if settings.native else 0.25) + (_PAGE_BYTES if settings.pages else 0))
    free = shutil.disk_usage(place).free
    if need <= free:
        return []
    return [f"About {need / 2**30:.1f} GiB will be written and {free / 2**30:.1f} GiB are free in {place}."]
