"""Check a map from anywhere: this package's, captum's, the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..attribution.method import Reading
from ..errors import UserError
from ..progress import ProgressCallback, silent
from .explained_image import Explain, ExplainedImage, Maps
from .run_checks import LEVELS, check_explained
from .verdict import Verdicts

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..attribution.outputs import OutputChoice

NAME = "map"
READINGS: tuple[str, ...] = get_args(Reading)
ExplainFunction = Callable[..., Any]
"""``explain(model, x)`` or ``explain(model, x, target)``, which returns a map like the one that is checked."""


def check_map(
    map: Any,
    model: nn.Module | torch.export.ExportedProgram,
    x: Any,
    target: Any,
    explain: ExplainFunction | None = None,
    *,
    mask: Any = None,
    labels: Any = None,
    spacing: float | Sequence[float] | None = None,
    level: str = "fast",
    name: str = NAME,
    signed: bool = True,
    reading: str | None = None,
    adds_up_to: float | None = None,
    resolution_mm: float = 0.0,
    device: str | None = None,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> Verdicts:
    """Is this map of what the model says about ``x`` to be believed?

    Checks that need the map of another network, image or class compute it with ``explain``; without it they are "not
    applicable", and say so.

    Parameters
    ----------
    map
        Relevance of each voxel: an array, a tensor, an :class:`~mri_interpret.attribution.result.Attribution`, or a
        nibabel or SimpleITK image on the model's grid. Shape (I, J, K), or (1, I, J, K), or (1, C, I, J, K), whose
        channels are added up.
    model
        A module that returns one row of scores (N, classes), a TorchScript module, or an exported program. Not changed.
    x
        What the model saw: tensor or array (1, C, I, J, K).
    target
        What the map explains: a class's index, "predicted", or a weight for each output.
    explain
        Called as ``explain(model, x)``, or ``explain(model, x, target)`` with a weight for each output if it takes a
        third argument; returns a map of the same kind. The model is a copy with random parameters, x an altered copy.
    mask
        Brain, (I, J, K), > 0 inside. Voxels where x is not zero if left out.
    labels
        Labels of regions on the same grid, 0 for none. Without them, regions are blocks of 16 mm.
    spacing
        Voxel size in mm, one number or three. If left out, that of the map if it is an image, else 2 mm.
    level
        "fast" (some passes through the network) or "full" (other class, deletion and insertion, stability too).
    name
        What the verdicts call the map.
    signed
        Whether the map's sign tells evidence for the target from evidence against it.
    reading
        What the map says a change of the scan would do: "slope" (a gradient: change per unit of intensity), "share"
        (the part of the answer that the voxel's intensity makes, as gradient x input does), or "size" (neither: only
        where). "share" if left out, "size" for a map without signs.
    adds_up_to
        What the map's values should add up to, if its method promises that.
    resolution_mm
        The map's own resolution, if it is coarse (class activation maps): so near the brain nothing counts as outside.
    device
        Where to compute; where the model is if left out. It is moved back.
    seed
        Random seed.
    progress
        Called after each step; may raise :class:`~mri_interpret.errors.Cancelled`.

    Returns
    -------
    Verdicts
        One per check; a table in a notebook.

    Raises
    ------
    UserError
        If map, mask, labels and x do not fit one another, or the model returns no scores that fit the target.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> x = torch.rand(1, 1, 12, 12, 12)
    >>> def gradient(model, x):
    ...     x = x.clone().requires_grad_()
    ...     return torch.autograd.grad(model(x)[0, 2], x)[0]
    >>> verdicts = check_map(gradient(model, x), model, x, target=2, explain=gradient)
    >>> verdicts.of("randomisation").verdict in ("pass", "fail")
    True
    """
    import torch

    from ..attribution.device import on_device
    from ..attribution.evaluation_mode import evaluation_mode
    from ..attribution.input_checks import as_tensor
    from ..attribution.recording import output_of

    if level not in LEVELS:
        raise UserError(f"The level '{level}' is not known: give one of {', '.join(LEVELS)}.")
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    if not isinstance(model, torch.nn.Module):
        raise UserError(f"A model is a torch.nn.Module or an exported program, not a {type(model).__name__}.")
    if reading is not None and reading not in READINGS:
        raise UserError(f"The reading '{reading}' is not known: give one of {', '.join(READINGS)}.")
    image = as_tensor(x)
    if image.ndim != 5 or image.shape[0] != 1 or not image.is_floating_point():
        raise UserError(
            f"x has shape {tuple(image.shape)} and type {image.dtype}: the checks take one input of three spatial "
            "axes, (1, C, I, J, K), in floating point numbers."
        )
    if not bool(torch.isfinite(image).all()):
        raise UserError("x holds NaN or infinite values.")
    shape = tuple(image.shape[-3:])
    relevance = _array_of(map, shape, "The map")
    inside = _mask(mask, image, shape)
    regions = (
        np.zeros(shape, dtype=np.int64)
        if labels is None
        else _array_of(labels, shape, "The label map").astype(np.int64)
    )
    details: dict[str, Any] = {"resolution_mm": resolution_mm}
    if adds_up_to is not None:
        details["adds_up_to"] = adds_up_to
    with on_device(model, device) as place, evaluation_mode(model):
        image = image.detach().to(place, copy=True)  # a model may change its input in place
        # A map from elsewhere explains what the model returns, be it a probability.
        output = output_of(model, image, undo_activation=False)
        explained = ExplainedImage(
            network=model,
            image=image,
            target=_weights(model, image, target, output),
            output=output,
            maps={name: relevance},
            mask=inside,
            labels=regions,
            spacing=_spacing(spacing, map),
            explain=None if explain is None else _explain_with(explain, shape),
            other_targets=explain is not None and _takes_target(explain),
            unsigned=() if signed or reading is not None else (name,),
            readings={} if reading is None else {name: cast("Reading", reading)},
            details={name: details},
        )
        return Verdicts(check_explained(level, explained, seed, progress))


def _array_of(value: Any, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """An array (I, J, K) of whatever holds voxels.

    Raises
    ------
    UserError
        If it has another shape than the model's input, or holds no real numbers.
    """
    data = getattr(value, "dataobj", value)  # nibabel
    data = getattr(data, "map", data) if type(data).__name__ == "Attribution" else data
    if hasattr(data, "GetDirection"):
        import SimpleITK

        data = SimpleITK.GetArrayFromImage(data).T
    data = data.array if hasattr(data, "array") and hasattr(data, "grid") else data  # Volume
    data = data.detach().cpu() if hasattr(data, "detach") else data
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise UserError(f"{what} is of type {array.dtype}: give real numbers.")
    found = array.shape
    if array.ndim == 5 and array.shape[0] == 1:
        array = array[0].sum(axis=0) if array.shape[1] > 1 else array[0, 0]
    elif array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.shape != shape:
        raise UserError(f"{what} has shape {found}, but the model's input has {shape}: give it on the input's grid.")
    return array


def _mask(mask: Any, image: torch.Tensor, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask is None:
        inside = np.asarray((image[0] != 0).any(dim=0).cpu().numpy())
        if not inside.any():
            raise UserError("x is zero everywhere: there is nothing to explain.")
        return inside
    inside = _array_of(mask, shape, "The mask") > 0
    if not inside.any():
        raise UserError("The mask is empty: it must be greater than 0 inside the brain.")
    return inside


def _spacing(spacing: float | Sequence[float] | None, map: Any) -> tuple[float, float, float]:
    if spacing is None:
        affine = getattr(map, "affine", None)
        if affine is not None:
            spacing = np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0).tolist()
        elif hasattr(map, "GetSpacing"):
            spacing = map.GetSpacing()
        else:
            spacing = 2.0
    sizes = np.broadcast_to(np.asarray(spacing, dtype=float), (3,))
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise UserError(f"The spacing {spacing} is no voxel size: give millimetres, one number or three.")
    return float(sizes[0]), float(sizes[1]), float(sizes[2])


def _weights(model: nn.Module, image: torch.Tensor, target: Any, output: OutputChoice) -> list[float]:
    from ..attribution.recording import scores_of
    from ..attribution.target import check_target, target_weights

    check_target(target)
    return [float(weight) for weight in target_weights(target, scores_of(model, image, output))[0]]


def _takes_target(explain: ExplainFunction) -> bool:
    """Whether a third positional argument is understood."""
    try:
        inspect.signature(explain).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return True


def _explain_with(explain: ExplainFunction, shape: tuple[int, ...]) -> Explain:
    """The user's function as the checks call it."""
    takes_target = _takes_target(explain)

    def again(network: Any, image: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
        import torch

        with torch.enable_grad():
            given = image.detach().clone()
            result = explain(network, given, list(target)) if takes_target else explain(network, given)
        return dict.fromkeys(names, _array_of(result, shape, "The map that explain returned").astype(np.float64))

    return again
