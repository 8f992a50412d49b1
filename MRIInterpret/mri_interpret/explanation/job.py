"""The main job: a scan in, an Explanation out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..anatomy.atlas import Atlas, load_default_atlas
from ..anatomy.region_statistics import RegionStatistics
from ..attribution.result import resolution_mm
from ..checks.run_checks import failed_randomisation
from ..errors import UserError
from ..images.reading import read_scan
from ..images.volume import Volume, resample
from ..models.bundle import ModelBundle
from ..models.registry import find_model
from ..preprocessing.cache import PreprocessingCache
from ..preprocessing.model_grid import relevance_per_native_voxel, to_scan_grid
from ..preprocessing.pipeline import Preprocessed, check_space, preprocess
from ..preprocessing.template import load_template
from ..progress import ProgressCallback, StepClock, silent, step
from ..summary import Summary, summarise
from .explanation import Explanation, MethodMap, ModelInfo, Registration
from .options import DEFAULTS, DEVICES, TRUST_LEVELS
from .provenance import provenance
from .scan_attribution import attribute, contrast_of, judge_of, map_array, reader_details

if TYPE_CHECKING:
    from ..attribution import Attributions

# Typical seconds on two CPU cores; only their ratio counts, for the time left.
TYPICAL_SECONDS = {
    "Loading the model": 2.0,
    "Reading the scan": 0.3,
    "Finding the brain": 4.0,
    "Registering: similarity": 1.5,
    "Registering: affine": 2.5,
    "Resampling to the model's grid": 1.0,
    "Explaining": 3.0,
    "Trust checks": 3.0,
    "Summary score": 1.0,
    "Back to the scan": 4.0,
    "Region statistics": 4.0,
}


def explain(
    scan: str | Path | Volume,
    *,
    model: str | Path | ModelBundle = DEFAULTS.model,
    methods: Sequence[Any] = DEFAULTS.methods,
    target: str = DEFAULTS.target,
    device: str = DEFAULTS.device,
    mask: str | Path | Volume = DEFAULTS.mask,
    space: str = DEFAULTS.space,
    atlas: Atlas | None = None,
    trust: str = DEFAULTS.trust,
    cache: PreprocessingCache | None = None,
    progress: ProgressCallback = silent,
) -> Explanation:
    """Explain what a model says about a scan.

    Parameters
    ----------
    scan
        A file, a DICOM folder, or a Volume of shape (I, J, K) with its affine to RAS mm.
    model
        Name of an installed model, a bundle's folder, or a loaded bundle.
    methods
        Names of attribution methods, or configured method objects.
    target
        "predicted", a class, or a difference such as "AD-CN".
    device
        "auto" (CUDA if there is one), "cpu" or "cuda".
    mask, space
        See :func:`preprocessing.pipeline.preprocess`.
    atlas
        Desikan-Killiany if left out.
    trust
        "off", "fast" or "full": which trust checks judge the maps. Methods whose maps hardly depend on what the
        network learned (they fail the randomisation check) then have no part in the summary score.
    cache
        Of masks and transforms; the user's cache folder if left out.
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
    chosen_device = choose_device(device)
    volume = scan if isinstance(scan, Volume) else read_scan(scan)
    with step(report, "Loading the model"):
        bundle = model if isinstance(model, ModelBundle) else find_model(model)
    contrast = contrast_of(target, bundle)
    prepared = preprocess(
        volume,
        bundle.metadata.grid,
        mask=mask,
        space=space,
        percentiles=bundle.metadata.percentiles,
        device=chosen_device,
        cache=cache or PreprocessingCache(),
        progress=report,
    )
    atlas = atlas or load_default_atlas()
    labels = resample(atlas.volume, bundle.metadata.grid, order=0)
    with step(report, "Explaining"):
        prediction, explained, attributions = attribute(
            bundle, prepared, labels, methods, target, contrast, chosen_device, report
        )
    template_maps = {name: map_array(found) for name, found in attributions.items()}
    judge = judge_of(trust, bundle, prepared, labels, methods, attributions, chosen_device, report)
    verdicts = judge(template_maps)
    failing = failed_randomisation(verdicts) if verdicts else reasons(bundle.metadata.distrusted, template_maps)
    # What only simulated subjects can tell is not asked again on this scan.
    failing = reasons(bundle.metadata.poorly_localised, template_maps) | failing
    # Where every chosen method fails, leaving all of them out would leave no score: they stay, and a warning says so.
    spared = failing if len(failing) < len(template_maps) else {}
    with step(report, "Summary score"):
        summary = summarise(
            template_maps,
            prepared.model_mask.array,
            bundle.metadata.grid,
            labels.array,
            exclude=spared,
            weights=bundle.metadata.summary_weights,
            resolution_mm={
                name: resolution_mm(found.details, bundle.metadata.grid.spacing) for name, found in attributions.items()
            },
        )
    verdicts += judge({"summary": summary.score.array})
    maps, on_scan = _to_scan(prepared, attributions, template_maps, summary, bundle, atlas, report)
    with step(report, "Region statistics"):
        table = _region_table(prepared, bundle, atlas, labels, maps, summary, on_scan)
    registration = Registration(
        prepared.to_template,
        prepared.registration,
        prepared.correlation,
        prepared.overlap,
        prepared.verdict,
        prepared.sentence,
    )
    return Explanation(
        scan=volume,
        mask=prepared.mask.volume,
        model=model_info(bundle),
        prediction=prediction,
        target=explained,
        maps=maps,
        summary=on_scan["summary"],
        consensus=on_scan["consensus"],
        summary_template=summary.score,
        consensus_template=summary.consensus,
        model_input=prepared.image,
        template_in_scan=on_scan["template"],
        atlas_name=atlas.name,
        atlas_in_scan=on_scan["atlas"],
        regions=atlas.regions,
        region_table=table,
        agreement=summary.agreement,
        registration=registration,
        warnings=_warnings(prepared, summary, maps, failing),
        provenance=provenance(bundle, prepared, summary, maps, explained, chosen_device, clock.seconds, mask, space),
        verdicts=tuple(verdicts),
        spread=on_scan["spread"],
        spread_template=summary.spread,
    )


def check_trust(level: str) -> None:
    """Raise a UserError unless ``level`` is one of ``TRUST_LEVELS``."""
    if level not in TRUST_LEVELS:
        raise UserError(f"The trust level '{level}' is not known: give one of {', '.join(TRUST_LEVELS)}.")


def choose_device(device: str) -> str:
    """ "cpu" or "cuda" for what the user asked for.

    Raises
    ------
    UserError
        For an unknown name, or for CUDA where there is none.
    """
    import torch

    if device not in DEVICES:
        raise UserError(f"The device '{device}' is not known: give one of {', '.join(DEVICES)}.")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError("There is no CUDA device that PyTorch can use here: choose cpu or auto.")
    return "cuda" if available and device != "cpu" else "cpu"


def reasons(judged: Mapping[str, str], methods: Iterable[str]) -> dict[str, str]:
    """Those of the methods that failed when the model was judged, as its metadata says, with the reason."""
    chosen = set(methods)
    return {name: reason for name, reason in judged.items() if name in chosen}


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
    )


def _to_scan(
    prepared: Preprocessed,
    attributions: Attributions,
    template_maps: dict[str, np.ndarray],
    summary: Summary,
    bundle: ModelBundle,
    atlas: Atlas,
    progress: ProgressCallback,
) -> tuple[dict[str, MethodMap], dict[str, Volume]]:
    """Every map, and what goes with them, on the scan's grid."""
    grid, affine, name = bundle.metadata.grid, prepared.to_template, "Back to the scan"
    scan = prepared.scan
    total = len(attributions) + 4
    maps: dict[str, MethodMap] = {}
    for number, (method, found) in enumerate(attributions.items()):
        progress(name, number / total)
        template = Volume(template_maps[method], grid.affine, found.title)
        maps[method] = MethodMap(
            name=method,
            title=found.title,
            native=to_scan_grid(template, scan.grid, affine),
            template=template,
            signed=found.signed,
            units=found.units,
            seconds=found.seconds,
            details=reader_details(found),
        )
    progress(name, len(attributions) / total)
    brain, _ = load_template(1)
    on_scan = {
        "summary": to_scan_grid(summary.score, scan.grid, affine),
        "consensus": to_scan_grid(summary.consensus, scan.grid, affine, order=0),
        "spread": to_scan_grid(summary.spread, scan.grid, affine),
        "atlas": to_scan_grid(atlas.volume, scan.grid, affine, order=0),
        "template": to_scan_grid(brain, scan.grid, affine),
    }
    # The score is a statement about the brain: interpolation must not carry it over the brain's edge.
    inside = np.asarray(prepared.mask.volume.array) > 0
    for key in ("summary", "consensus", "spread"):
        on_scan[key] = on_scan[key].with_array(np.where(inside, on_scan[key].array, 0).astype(on_scan[key].array.dtype))
    on_scan = {key: Volume(value.array, value.affine, key) for key, value in on_scan.items()}
    progress(name, 1.0)
    return maps, on_scan


def _region_table(
    prepared: Preprocessed,
    bundle: ModelBundle,
    atlas: Atlas,
    labels: Volume,
    maps: dict[str, MethodMap],
    summary: Summary,
    on_scan: dict[str, Volume],
) -> pd.DataFrame:
    factor = relevance_per_native_voxel(prepared.scan.grid, bundle.metadata.grid, prepared.to_template)
    template = RegionStatistics(labels, prepared.model_mask.array, atlas, "template")
    native = RegionStatistics(on_scan["atlas"], prepared.mask.volume.array, atlas, "native", factor)
    in_template = {name: entry.template.array for name, entry in maps.items()} | {"summary": summary.score.array}
    in_native = {name: entry.native.array for name, entry in maps.items()} | {"summary": on_scan["summary"].array}
    return pd.concat([native.table(in_native), template.table(in_template)], ignore_index=True)


def _warnings(
    prepared: Preprocessed, summary: Summary, maps: dict[str, MethodMap], failing: dict[str, str]
) -> tuple[str, ...]:
    sentences = list(prepared.scan.notes)
    sentences += [] if prepared.verdict == "good" else [prepared.sentence]
    sentences += [
        f"{maps[name].title} has no part in the summary score: {why}." for name, why in summary.excluded.items()
    ]
    sentences += [
        f"{maps[name].title} is in the summary score only because every chosen method fails: {why}."
        for name, why in failing.items()
        if name in summary.weights
    ]
    return tuple(sentences)
