"""The main job: a scan in, an Explanation out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..anatomy.atlas import Atlas, load_atlas, load_default_atlas
from ..anatomy.segmentation import Segmentation
from ..anatomy.structures_as_regions import as_regions
from ..anatomy.top_regions import share_outside_brain
from ..attribution.result import resolution_mm
from ..checks.recovery import warnings_of_model
from ..checks.reference_map import STEP as COMPARING
from ..checks.reference_map import compare, read_references
from ..checks.run_checks import failed_randomisation
from ..checks.verdict import Verdict, Verdicts
from ..errors import UserError
from ..images.conversion import as_scan, as_volume
from ..images.volume import Volume, resample
from ..models.bundle import ModelBundle
from ..models.outputs import OutputMeaning
from ..models.registry import find_model
from ..models.targets import Contrast
from ..preprocessing.cache import PreprocessingCache
from ..preprocessing.pipeline import PreprocessedScan, check_space, preprocess
from ..progress import ProgressCallback, StepClock, silent, step
from ..summary import COMMON_FWHM_MM, Summary, summarise
from .explanation import Explanation
from .facts import MethodMap, ModelInfo, Prediction, Registration, SummaryDetails
from .goals import reachable_methods, with_goals
from .options import DEFAULTS, check_regions, check_trust, choose_device
from .provenance import make_provenance
from .scan_anatomy import anatomy_of, read_segmentation
from .scan_attribution import any_needs_lengths, attribute, checks_of, contrast_of, map_array
from .scan_grid import maps_on_scan, others_on_scan, region_table
from .volume_changes import counterfactuals_of, fluid_share, volume_changes

# Typical seconds on two CPU cores; only their ratio counts, for the time left.
TYPICAL_SECONDS = {
    "Loading the model": 2.0,
    "Reading the scan": 0.3,
    "Finding the brain": 4.0,
    "Correcting the bias field": 1.5,
    "Registering: similarity": 1.5,
    "Registering: affine": 2.5,
    "Resampling to the model's grid": 1.0,
    "Segmenting the brain": 5.0,
    "Explaining": 3.0,
    "Trust checks": 3.0,
    "Summary score": 1.0,
    "Back to the scan": 4.0,
    "Region statistics": 4.0,
}


def explain(
    scan: Any,
    *,
    model: str | Path | ModelBundle = DEFAULTS.model,
    methods: Sequence[Any] = DEFAULTS.methods,
    target: str = DEFAULTS.target,
    goal: str = DEFAULTS.goal,
    device: str = DEFAULTS.device,
    mask: Any = DEFAULTS.mask,
    space: str = DEFAULTS.space,
    atlas: Atlas | tuple[str | Path, str | Path] | None = DEFAULTS.atlas,
    regions: str = DEFAULTS.regions,
    segmentation: Any = DEFAULTS.segmentation,
    trust: str = DEFAULTS.trust,
    reference: Any = DEFAULTS.reference,
    inputs: Mapping[str, Any] | None = None,
    cache: PreprocessingCache | None = None,
    progress: ProgressCallback = silent,
) -> Explanation:
    """Explain what a model says about a scan.

    Parameters
    ----------
    scan
        T1-weighted scan: a file, a DICOM folder, a nibabel or SimpleITK image, a tuple (array, affine), or a
        :class:`Volume`; shape (I, J, K), affine to RAS mm. It is not changed.
    model
        Name of an installed model, a bundle's folder, or a loaded bundle.
    methods
        Names of attribution methods, or configured method objects.
    target
        "predicted", a class or label, or a difference such as "AD-CN"; of a model that returns a quantity, "value" or
        its difference from a value, such as "value-65".
    goal
        Where ``volume_counterfactual`` takes the answer: "boundary" (where the network decides otherwise), a class, a
        value such as "value 0.5" (of a quantity "70"), or a probability such as "30 %" or "AD 30 %".
    device
        "auto" (CUDA if there is one), "cpu" or "cuda".
    mask
        Brain mask: "auto" (extracted), "none" (the scan is skull-stripped), or an image on the scan's grid.
    space
        "native" (the scan is registered), "mni" (it lies in template space already), or "auto".
    atlas
        An atlas, or the files of a label image in template space and of its names; Desikan-Killiany if None.
    regions
        What the regions on the scan's grid are: "brain", the structures of this brain, or "atlas", the atlas laid
        over it. An atlas that is given counts as "atlas". On the model's grid they are the atlas's.
    segmentation
        The user's own segmentation of this scan, in its world: a file (aseg.mgz, aparc+aseg.mgz, any label volume) or
        an image; or a :class:`~mri_interpret.anatomy.segmentation.Segmentation` on its grid. If None or "", the network
        that ships segments it.
    trust
        "off", "fast" or "full": which trust checks judge the maps. Methods whose maps hardly depend on what the
        network learned (they fail the randomisation check) are then excluded from the summary score.
    reference
        Maps in MNI152 space that the maps are compared with: a file or an image, a list, or a dictionary of names.
    inputs
        Further images that the model takes, by the names of its channels, aligned with the scan in RAS mm.
    cache
        Of masks and transforms; the user's cache folder if None.
    progress
        Called with the step's name and its fraction; may raise Cancelled.

    Returns
    -------
    Explanation
        Maps are raw relevance, float32, on the scan's grid and on the model's.

    Raises
    ------
    UserError
        With one sentence for whatever the user can mend.

    Examples
    --------
    >>> import mri_interpret as mi
    >>> result = mi.explain("scan.nii.gz", target="AD-CN", methods=["lrp", "grad_cam_pp"])  # doctest: +SKIP
    >>> result.save("out")  # doctest: +SKIP
    """
    clock = StepClock(TYPICAL_SECONDS)

    def report(name: str, fraction: float) -> None:
        clock.update(name, fraction)
        progress(name, fraction)

    if not methods:
        raise UserError("No attribution method was chosen: choose at least one.")
    # What can be wrong is looked at before anything that takes time.
    check_space(space)
    check_trust(trust)
    check_regions(regions, atlas, segmentation)
    place = choose_device(device)
    volume, scan_file = as_scan(scan), _file_of(scan)
    given_mask = mask if isinstance(mask, (str, Path, Volume)) else as_volume(mask, name="brain mask")
    chosen_atlas = load_default_atlas() if atlas is None else atlas if isinstance(atlas, Atlas) else load_atlas(*atlas)
    given_segmentation = read_segmentation(segmentation, volume)
    references = read_references(reference)
    with step(report, "Loading the model"):
        bundle = model if isinstance(model, ModelBundle) else find_model(model)
    contrast = contrast_of(target, bundle)
    methods, left_out = reachable_methods(methods, goal, target, bundle.metadata.output)
    others = {name: as_volume(image, name=name) for name, image in (inputs or {}).items()}
    store = cache or PreprocessingCache()
    prepared = preprocess(
        volume,
        bundle.metadata.preprocessing,
        mask=given_mask,
        space=space,
        others=others,
        statistics=bundle.metadata.statistics,
        device=place,
        cache=store,
        progress=report,
    )
    grid = prepared.grid
    labels = resample(chosen_atlas.volume, grid, order=0)
    with step(report, "Segmenting the brain"):
        anatomy = anatomy_of(prepared, given_segmentation, place, store, report)
    fluid = fluid_share(anatomy, grid, prepared) if any_needs_lengths(methods) else None
    with step(report, "Explaining"):

        def answered() -> Contrast:
            _, said, _ = attribute(bundle, prepared, labels, ["gradient"], target, contrast, place, report)
            return Contrast(said.name, said.weights, said.reference)

        methods = with_goals(methods, goal, target, bundle.metadata.output, answered)
        prediction, explained, attributions = attribute(
            bundle, prepared, labels, methods, target, contrast, place, report, fluid
        )
    template_maps = {name: map_array(found) for name, found in attributions.items()}
    resolutions = {name: resolution_mm(found.details, grid.spacing) for name, found in attributions.items()}
    check = checks_of(trust, bundle, prepared, labels, methods, attributions, place, report, fluid, anatomy)
    verdicts = check(template_maps)
    failing = failed_randomisation(verdicts) if verdicts else _known_of(bundle.metadata.distrusted, template_maps)
    # What only simulated subjects can tell is not asked again on this scan.
    failing = _known_of(bundle.metadata.poorly_localised, template_maps) | failing
    with step(report, "Summary score"):
        summary = summarise(
            template_maps,
            prepared.model_mask.array,
            grid,
            labels.array,
            # Where every method fails, excluding them all would leave no score: they stay, and a warning says so.
            exclude=failing if len(failing) < len(template_maps) else {},
            weights=bundle.metadata.summary_weights,
            resolution_mm=resolutions,
        )
    verdicts += check({"summary": summary.score.array})
    maps = maps_on_scan(prepared, attributions, template_maps, grid, report)
    on_scan = others_on_scan(prepared, summary, chosen_atlas, report)
    compared = None
    if references:
        everything = {**template_maps, "summary": summary.score.array}
        with step(report, COMPARING):
            compared = compare(everything, references, prepared.model_mask.array, labels.array, grid, progress=report)
    with step(report, "Region statistics"):
        own = regions == "brain" and atlas is None
        on_brain = as_regions(anatomy) if own else replace(chosen_atlas, volume=on_scan["atlas"])
        table = region_table(prepared, grid, chosen_atlas, labels, maps, summary, on_scan["summary"], on_brain)
        maps = {
            name: replace(one, outside_brain=share_outside_brain(table, name, "native")) for name, one in maps.items()
        }
        counterfactuals = counterfactuals_of(prepared, attributions, grid)
        changes = volume_changes(prepared, attributions, maps, grid, on_brain, anatomy, counterfactuals)
    return Explanation(
        scan=volume,
        mask=prepared.mask.volume,
        model=model_info(bundle),
        prediction=prediction,
        target=explained,
        maps=maps,
        summary=on_scan["summary"],
        consensus=on_scan["consensus"],
        spread=on_scan["spread"],
        summary_template=summary.score,
        consensus_template=summary.consensus,
        spread_template=summary.spread,
        summary_details=SummaryDetails(
            summary.weights, summary.excluded, summary.kendall_w, COMMON_FWHM_MM, resolutions
        ),
        model_input=prepared.image,
        template_in_scan=on_scan["template"],
        atlas_name=on_brain.name,
        atlas_in_scan=on_brain.volume,
        regions=on_brain.regions,
        region_table=table,
        agreement=summary.agreement,
        registration=_registration(prepared),
        verdicts=Verdicts(verdicts),
        warnings=(
            *_warnings(prepared, attributions.notices, summary, maps, failing, anatomy, verdicts),
            *_out_of_range(bundle.metadata.output, prediction),
            *((left_out,) if left_out else ()),
        ),
        provenance=make_provenance(
            bundle,
            prepared,
            place,
            clock.seconds,
            scan_file=scan_file,
            mask=given_mask,
            space=space,
            trust=trust,
            others=others,
        ),
        anatomy=anatomy,
        input_warnings=prepared.input_warnings,
        volume_changes=changes,
        counterfactuals=counterfactuals,
        reference_table=compared,
    )


def _file_of(scan: Any) -> Path | None:
    return Path(scan).expanduser().absolute() if isinstance(scan, (str, os.PathLike)) else None


def _registration(prepared: PreprocessedScan) -> Registration:
    return Registration(
        prepared.to_template,
        prepared.registration,
        prepared.correlation,
        prepared.overlap,
        prepared.verdict,
        prepared.sentence,
        prepared.offset_mm,
    )


def _known_of(known: Mapping[str, str], methods: Iterable[str]) -> dict[str, str]:
    """Those of the methods that failed when the model was judged, as its metadata says, with the reason."""
    chosen = set(methods)
    return {name: reason for name, reason in known.items() if name in chosen}


def model_info(bundle: ModelBundle) -> ModelInfo:
    """What outputs say about a model."""
    data = bundle.metadata
    return ModelInfo(
        name=data.name,
        version=data.version,
        hash=bundle.hash,
        description=data.description,
        training_data=data.training_data,
        intended_use=data.intended_use,
        banner=data.banner,
        classes=data.classes,
        output=data.output,
    )


def _out_of_range(output: OutputMeaning, prediction: Prediction) -> tuple[str, ...]:
    """A warning about a quantity that the model was not made for."""
    if not output.is_quantity or not output.outside(prediction.logits[output.classes[0]]):
        return ()
    return (
        f"The model's answer, {prediction.predicted}, lies outside of the range that it was made for "
        f"({output.scale_words()}).",
    )


def _warnings(
    prepared: PreprocessedScan,
    notices: Sequence[str],
    summary: Summary,
    maps: dict[str, MethodMap],
    failing: dict[str, str],
    anatomy: Segmentation,
    verdicts: Sequence[Verdict],
) -> tuple[str, ...]:
    sentences = [*prepared.scan.notes, *notices]
    sentences += [] if prepared.verdict == "good" else [prepared.sentence]
    sentences += prepared.input_warnings
    sentences += anatomy.warnings
    sentences += [
        f"{maps[name].title} is excluded from the summary score: {why}." for name, why in summary.excluded.items()
    ]
    sentences += [
        f"{maps[name].title} is in the summary score only because every chosen method fails: {why}."
        for name, why in failing.items()
        if name in summary.weights
    ]
    return (*sentences, *warnings_of_model(verdicts))
