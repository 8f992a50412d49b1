"""The list of steps in a bundle's metadata: read, checked, and carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from ...errors import UserError
from ...images.volume import Grid, Volume
from ..other_inputs import check_names, on_scan_grid
from .geometry import CropForeground, Fit, Orientation, Registration, Spacing, Zoom
from .partial_input import Floats, PartialInput, ScanInTemplate
from .step import Step, StepError
from .values import BiasCorrection, Channels, Intensity, Mask

STEPS: dict[str, type[Step]] = {
    step.name: step
    for step in (
        Orientation, BiasCorrection, Mask, Registration, Spacing, Zoom, Fit, CropForeground, Intensity, Channels,
    )
}  # fmt: skip
_INTERPOLATING = (Registration, Spacing, Zoom)


@dataclass(frozen=True)
class NetworkInput:
    """What the network gets.

    Attributes
    ----------
    channels
        float32, shape (C, I, J, K).
    image
        The channel that is explained, shape (I, J, K), with the affine from its voxels to RAS mm of the *scan*.
    inside
        uint8, 1 in the brain, on the same grid.
    """

    channels: Floats
    image: Volume
    inside: Volume


def read_steps(raw: Any, source: str) -> StepChain:
    """The steps of a metadata entry: a list of objects such as ``{"step": "intensity", "method": "zscore"}``.

    Parameters
    ----------
    raw
        As JSON gave it.
    source
        The file, for messages.

    Raises
    ------
    UserError
        If a step or a parameter is not known, a value does not do, or the steps' order makes no sense.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise UserError(f"{source}: 'preprocessing' must be a list of steps.")
    try:
        steps = tuple(_step(entry) for entry in raw)
        _check_order(steps)
    except StepError as error:
        raise UserError(f"{source}: {error}") from error
    return StepChain(steps)


def _step(entry: Any) -> Step:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("step"), str):
        raise StepError("?", f"{entry!r} is no step: each is an object with its name under 'step'")
    name = entry["step"]
    if name not in STEPS:
        raise StepError(name, f"it is not known; known are {', '.join(STEPS)}")
    kind = STEPS[name]
    parameters: dict[str, Any] = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "step":
            continue
        if key not in parameters:
            raise StepError(name, f"the parameter '{key}' is not known; known are {', '.join(parameters)}")
        given[key] = _converted(name, key, value, parameters[key].default)
    return kind(**given)


def _converted(step: str, key: str, raw: Any, default: Any) -> Any:
    """A JSON value of the same kind as the parameter's default."""
    value = tuple(raw) if isinstance(raw, list) else raw
    if default is MISSING or default is None:
        return value
    kinds: dict[type, tuple[type, ...]] = {
        float: (int, float),
        bool: (bool,),
        int: (int,),
        str: (str,),
        tuple: (tuple,),
    }
    kind = type(default)
    if not isinstance(value, kinds[kind]) or (kind in (int, float) and isinstance(value, bool)):
        raise StepError(step, f"'{key}' must be a {'list' if kind is tuple else kind.__name__}, not {value!r}")
    if isinstance(value, tuple) and default and isinstance(default[0], (int, float)):
        whole = isinstance(default[0], int)
        wanted: tuple[type, ...] = (int,) if whole else (int, float)
        if not all(isinstance(item, wanted) and not isinstance(item, bool) for item in value):
            raise StepError(step, f"'{key}' must hold {'whole ' if whole else ''}numbers, not {value!r}")
    return value


def _check_order(steps: Sequence[Step]) -> None:
    kinds = [type(step) for step in steps]
    for kind in (Registration, Mask, Channels, BiasCorrection):
        if kinds.count(kind) > 1:
            raise StepError(kind.name, "it may stand in the list once")
    if Channels in kinds and kinds[-1] is not Channels:
        raise StepError("channels", "it must be the last step")
    for place, step in enumerate(steps):
        before = kinds[:place]
        if isinstance(step, Registration) and any(kind in (Spacing, Zoom, Fit, CropForeground) for kind in before):
            raise StepError(step, "it sets the grid, so it must come before spacing, zoom, fit and crop_foreground")
        if isinstance(step, Orientation) and Registration in before:
            raise StepError(step, "it must come before the registration, whose grid has its own axes")
        if isinstance(step, BiasCorrection) and Intensity in before:
            raise StepError(step, "it must come before the intensity step, because N4 works on positive intensities")


@dataclass(frozen=True)
class StepChain:
    """Steps of this project, in order."""

    steps: tuple[Step, ...]

    @property
    def output_shape(self) -> tuple[int, int, int] | None:
        """Spatial shape of the network's input, if it does not depend on the scan."""
        shape: tuple[int, int, int] | None = None
        for step in self.steps:
            if isinstance(step, (Registration, Zoom, Fit)):
                shape = step.shape
            elif isinstance(step, (Spacing, CropForeground, Orientation)):
                shape = None
        return shape

    @property
    def template_grid(self) -> Grid | None:
        """The grid in the template's world (RAS mm), if the steps end on one; None if it depends on the scan."""
        grid: Grid | None = None
        for step in self.steps:
            if isinstance(step, Registration):
                grid = step.grid if step.kind == "affine" else None
            elif isinstance(step, (Spacing, Zoom, Fit, CropForeground, Orientation)):
                grid = None
        return grid

    @property
    def sets_axes(self) -> bool:
        """Whether the input's axes point the same way whatever the scan's do."""
        return any(isinstance(step, (Orientation, Registration)) for step in self.steps)

    @property
    def wants_head(self) -> bool:
        """Whether the network sees skull and skin too: no mask step takes them away."""
        return not any(isinstance(step, Mask) for step in self.steps)

    @property
    def channels(self) -> tuple[str, ...]:
        """The network's channels in order: "image", "mask", or the names of further input files."""
        last = self.steps[-1]
        return last.channels if isinstance(last, Channels) else ("image",)

    def run(self, scan: Volume, about: ScanInTemplate, others: Mapping[str, Volume] | None = None) -> NetworkInput:
        """Carry the steps out.

        Parameters
        ----------
        scan
            As it was read, shape (I, J, K), any orientation.
        about
            The scan's brain and its way into template space.
        others
            Further input files by channel name, in the scan's world (RAS mm); they go through the same steps.

        Raises
        ------
        UserError
            If a step cannot be done on this scan, or an input file is missing or not one of the channels.
        """
        others = others or {}
        check_names(self.channels, others)
        made = self._carry_out(scan, about)
        arrays: list[Floats] = []
        for name in self.channels:
            if name == "image":
                arrays.append(made.image)
            elif name == "mask":
                arrays.append(made.inside.astype(np.float32))
            else:
                arrays.append(self._carry_out(on_scan_grid(others[name], scan.grid), about).image)
        return NetworkInput(
            channels=np.stack(arrays),
            image=Volume(made.image, made.to_scan, f"{scan.name} as the network sees it"),
            inside=Volume(made.inside.astype(np.uint8), made.to_scan, f"{scan.name} brain as the network sees it"),
        )

    def _carry_out(self, scan: Volume, about: ScanInTemplate) -> PartialInput:
        image = np.asarray(scan.array, dtype=np.float32)
        current = PartialInput(image, np.asarray(about.brain.array) > 0, np.asarray(scan.affine, dtype=np.float64))
        for step in self.steps:
            held = current.inside.any()
            current = step.apply(current, about)
            if held and not current.inside.any():
                raise StepError(
                    step,
                    f"its grid holds nothing of the brain of {scan.name or 'the scan'}: check the grid, and the scan's "
                    "orientation where nothing registers it",
                )
        return current


def brain_kept(made: NetworkInput, brain: Volume) -> float:
    """Share of the brain's volume that lies within the network's grid, about 0 to 1."""
    total = float((np.asarray(brain.array) > 0).sum()) * brain.grid.voxel_volume
    return float(made.inside.array.sum()) * made.inside.grid.voxel_volume / total if total else 0.0


def default_steps(grid: Grid, percentiles: tuple[float, float], *, bias_correction: bool = False) -> StepChain:
    """What a bundle gets whose metadata has a grid and percentiles instead of steps: the brain in template space."""
    i, j, k = grid.shape
    spacing, origin = tuple(map(float, grid.spacing)), tuple(map(float, grid.affine[:3, 3]))
    registration = Registration((i, j, k), (spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2]))
    steps = (Mask(), registration, Intensity("percentile", "brain", *percentiles))
    return StepChain((BiasCorrection(), *steps) if bias_correction else steps)
