"""The check of a model: load it, feed it, look at what it gets and says, and try what is done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy.atlas import load_default_atlas
from ..drawing.network_input import input_picture
from ..errors import UserError
from ..explanation.member_spread import members_facts
from ..explanation.options import DEFAULTS, choose_device
from ..explanation.scan_attribution import contrast_of, explainer_of
from ..images.conversion import as_scan, as_volume
from ..images.volume import Volume, resample
from ..models.bundle import ModelBundle
from ..models.members import MemberLogits
from ..models.outputs import read_answer
from ..models.registry import find_model
from ..preprocessing.cache import PreprocessingCache
from ..preprocessing.pipeline import PreprocessedScan, preprocess
from ..preprocessing.template import load_template
from ..progress import ProgressCallback, silent, step
from ..resources import resource
from .cost import measure_cost
from .facts import CheckedInput, ModelCheck
from .methods import Tried, try_methods
from .open_questions import open_questions

if TYPE_CHECKING:
    from torch import Tensor

#: Typical seconds on two CPU cores.
TYPICAL_SECONDS = {
    "Loading the model": 2.0,
    "Preparing the sample": 12.0,
    "Preparing the template": 2.0,
    "Preparing the scan": 12.0,
    "Running the network": 1.0,
    "Measuring speed": 4.0,
    "Trying the methods": 20.0,
}


@dataclass(frozen=True)
class _Scan:
    """A scan to check with: ``title`` for people, ``step`` for progress."""

    title: str
    step: str
    read: Callable[[], Volume]
    mask: Any = "auto"
    space: str = "auto"
    brain_alone: bool = False


def check_model(
    model: str | Path | ModelBundle = DEFAULTS.model,
    scan: Any = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    mask: Any = DEFAULTS.mask,
    space: str = DEFAULTS.space,
    device: str = DEFAULTS.device,
    cache: PreprocessingCache | None = None,
    progress: ProgressCallback = silent,
) -> ModelCheck:
    """Check a model on the sample and on the template, or on a scan.

    Parameters
    ----------
    model
        Name of a model at hand, a bundle's folder (it need not be added), or a loaded bundle.
    scan
        A scan of any kind that :func:`mri_interpret.explain` takes; the sample and the template if left out.
    inputs
        Further images that the model takes beside ``scan``, by the names of its channels.
    mask, space, device, cache
        See :func:`mri_interpret.explain`; mask and space are the scan's.
    progress
        Called with the step's name and its fraction; may raise Cancelled.

    Raises
    ------
    UserError
        If the bundle cannot be loaded, or the scan cannot be read. What the network makes of a scan is found, not
        raised.
    """
    place = choose_device(device)
    with step(progress, "Loading the model"):
        bundle = model if isinstance(model, ModelBundle) else find_model(model)
    others = {name: as_volume(image, name=name) for name, image in (inputs or {}).items()}
    if others and scan is None:
        raise UserError("Further inputs belong to a scan: give the scan too.")
    scans = [_given(scan, mask, space)] if scan is not None else [_sample(), _template()]
    target = contrast_of("predicted", bundle)
    checked: list[CheckedInput] = []
    ready: tuple[CheckedInput, PreprocessedScan] | None = None
    for one in scans:
        found, prepared = _checked(bundle, one, others, target, place, cache or PreprocessingCache(), progress)
        checked.append(found)
        if prepared is not None and ready is None:
            ready = found, prepared
    measured_on, x, places = _to_try_on(bundle, ready)
    cost, tried = None, Tried((), None, None)
    if x is not None:
        with step(progress, "Measuring speed"):
            cost = measure_cost(bundle, x, place, None)
        tried = try_methods(bundle, x, target, places, place, progress)
        cost = replace(cost, default_methods_seconds=tried.default_seconds)
    data = bundle.metadata
    unit = ", ".join(filter(None, (data.output.shown_unit, data.output.scale_words())))
    return ModelCheck(
        name=data.name,
        path=bundle.path,
        version=data.version,
        banner=data.banner,
        training_data=data.training_data,
        network=type(bundle.network).__name__,
        outputs=f"{data.output.kind}: {', '.join(data.classes)}{f' ({unit})' if unit else ''}",
        inputs=tuple(checked),
        cost=cost,
        methods=tried.outcomes,
        conservation=tried.conservation,
        open_questions=open_questions(bundle),
        measured_on=measured_on,
    )


def _given(scan: Any, mask: Any, space: str) -> _Scan:
    volume = as_scan(scan)
    given_mask = mask if isinstance(mask, (str, Path, Volume)) else as_volume(mask, name="brain mask")
    return _Scan(volume.name or "the scan", "Preparing the scan", lambda: volume, given_mask, space)


def _sample() -> _Scan:
    return _Scan(
        "the sample (Colin27)", "Preparing the sample", lambda: as_scan(resource("SampleData", "colin27_T1.nii.gz"))
    )


def _template() -> _Scan:
    brain, mask = load_template(1)
    return _Scan("the template (ICBM152)", "Preparing the template", lambda: brain, mask, "mni", True)


def _checked(
    bundle: ModelBundle,
    scan: _Scan,
    others: Mapping[str, Volume],
    target: Any,
    device: str,
    cache: PreprocessingCache,
    progress: ProgressCallback,
) -> tuple[CheckedInput, PreprocessedScan | None]:
    """What the network gets and says; a sentence in its place where it cannot be run."""
    data = bundle.metadata
    if scan.brain_alone and data.preprocessing.wants_head:
        sentence = "The model was trained on whole heads, and the template is a brain alone."
        return CheckedInput(scan.title, sentence, left_out=True), None
    progress(scan.step, 0.0)
    volume = scan.read()
    try:
        prepared = preprocess(
            volume, data.preprocessing, mask=scan.mask, space=scan.space, others=others, statistics=data.statistics,
            device=device, cache=cache, progress=lambda _, fraction: progress(scan.step, min(fraction, 0.99)),
        )  # fmt: skip
        progress(scan.step, 1.0)
    except UserError as error:
        return CheckedInput(scan.title, str(error)), None
    made = _about_the_input(scan.title, prepared, data.preprocessing.channels)
    try:
        with step(progress, "Running the network"):
            return replace(made, **_answer(bundle, _tensor(prepared), target, device)), prepared
    except UserError as error:
        return replace(made, problem=str(error)), None


def _about_the_input(title: str, prepared: PreprocessedScan, channels: Sequence[str]) -> CheckedInput:
    import nibabel

    affine = prepared.image.affine
    values = np.asarray(prepared.image.array, dtype=np.float64)
    brain = values[prepared.model_mask.array > 0]
    pictures = [(name, Volume(array, affine, name)) for name, array in zip(channels, prepared.channels, strict=True)]
    return CheckedInput(
        source=title,
        shape=tuple(int(size) for size in prepared.channels.shape),
        axes="".join(nibabel.aff2axcodes(np.linalg.inv(prepared.to_template) @ affine)),
        values={
            "mean": float(brain.mean()), "sd": float(brain.std()), "lowest": float(brain.min()),
            "highest": float(brain.max()), "zeros": float((values == 0).mean()),
        },
        registration=prepared.sentence,
        warnings=prepared.input_warnings,
        picture=input_picture(prepared.scan, prepared.mask.volume, pictures, prepared.to_template),
    )  # fmt: skip


def _answer(bundle: ModelBundle, x: Tensor, target: Any, device: str) -> dict[str, Any]:
    meaning = bundle.metadata.output
    members = MemberLogits(bundle.network)
    with members.watching():
        found = explainer_of(bundle).explain(x, target, ["intensity"], device=device)
    activation = found.output.activation if found.output.undone else ""
    answer = read_answer(found.logits[0].double().tolist(), meaning, activation, found.output.scale)
    return {
        "values_of_outputs": answer.values,
        "probabilities": answer.probabilities,
        "predicted": answer.predicted,
        **members_facts(members, x, found.output, meaning),
        "notices": found.notices,
    }


def _to_try_on(
    bundle: ModelBundle, ready: tuple[CheckedInput, PreprocessedScan] | None
) -> tuple[str, Tensor | None, dict[str, Any]]:
    """The input that speed and methods are measured on: the first that works, else random numbers of the same shape."""
    import torch

    if ready is not None:
        found, prepared = ready
        labels = resample(load_default_atlas().volume, prepared.grid, order=0)
        places = {
            "brain_mask": torch.from_numpy(prepared.model_mask.array > 0),
            "regions": torch.from_numpy(labels.array.astype(np.int64)),
            "spacing": prepared.grid.spacing.tolist(),
        }
        return found.source, _tensor(prepared), places
    shape = bundle.metadata.input_shape
    if shape is None:
        return "nothing: no scan could be prepared, and the input's shape depends on the scan", None, {}
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    halves = torch.ones(shape[1:], dtype=torch.int64)  # two made-up regions, for the method that works by region
    halves[: shape[1] // 2] = 2
    return "random numbers, for no scan could be prepared", noise, {"regions": halves}


def _tensor(prepared: PreprocessedScan) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(prepared.channels))[None]
