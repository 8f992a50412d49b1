"""How a network wants its scans, from a few choices: grid, brain or head, intensities; as preprocessing steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import UserError

OWN_GRID, STRETCHED, STEPS_FILE = "own", "stretched", "file"
_FSL_ORIGIN = (-90.0, -126.0, -72.0)
# Axes point to the right, to the front and to the top in all of them.
_TEMPLATE_GRIDS: Mapping[str, tuple[str, tuple[int, ...], float, tuple[float, ...]]] = MappingProxyType(
    {
        "fsl_1mm": ("MNI152, 1 mm, 182 x 218 x 182 (FSL's)", (182, 218, 182), 1.0, _FSL_ORIGIN),
        "fsl_2mm": ("MNI152, 2 mm, 91 x 109 x 91 (FSL's)", (91, 109, 91), 2.0, _FSL_ORIGIN),
        "icbm_1mm": ("MNI152, 1 mm, 193 x 229 x 193 (ICBM 2009c)", (193, 229, 193), 1.0, (-96.0, -132.0, -78.0)),
        "t1_linear": ("MNI152, 1 mm, 169 x 208 x 179 (t1-linear)", (169, 208, 179), 1.0, (-84.0, -119.0, -78.0)),
        "bundled_2mm": ("MNI152, 2 mm, 96 x 112 x 96 (bundled network's)", (96, 112, 96), 2.0, (-95.0, -128.0, -88.0)),
    }
)
GRID_TITLES = {
    **{key: title for key, (title, *_) in _TEMPLATE_GRIDS.items()},
    OWN_GRID: "MNI152, another grid",
    STRETCHED: "The scan's field of view, turned to RAS axes and stretched to a shape",
    STEPS_FILE: "Steps in a JSON file",
}
_INTENSITIES: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "percentile": (
            "Percentiles 0.5 and 99.5 in the brain to 0 and 1",
            {"method": "percentile", "over": "brain", "low": 0.5, "high": 99.5},
        ),
        "zscore_brain": ("z-score, from the brain", {"method": "zscore", "over": "brain"}),
        "zscore_nonzero": ("z-score, from what is not 0; zeros stay 0", {"method": "zscore", "over": "nonzero"}),
        "zscore_volume": (
            "z-score, from the whole volume, zeros too",
            {"method": "zscore", "over": "volume", "outside": "scaled"},
        ),
        "minmax": (
            "Lowest of the volume to 0, highest to 1",
            {"method": "minmax", "over": "volume", "outside": "scaled"},
        ),
        "mean": (
            "Divided by the mean of the whole volume, zeros too",
            {"method": "mean", "over": "volume", "outside": "scaled"},
        ),
        "none": ("As in the file", {"method": "none"}),
    }
)
INTENSITY_TITLES = {key: title for key, (title, _) in _INTENSITIES.items()}


@dataclass(frozen=True)
class InputChoices:
    """What was chosen; texts are as they were typed.

    Attributes
    ----------
    grid
        One of ``GRID_TITLES``.
    shape, spacing, origin
        Of another grid: "96,112,96", "2" or "2,2,2" (mm), "-95,-128,-88" (RAS mm of the first voxel's centre).
    brain_only
        Whether what lies outside the brain becomes 0.
    bias_correction
        Whether N4 is run first.
    intensity
        One of ``INTENSITY_TITLES``.
    """

    grid: str = "fsl_1mm"
    shape: str = ""
    spacing: str = ""
    origin: str = ""
    brain_only: bool = True
    bias_correction: bool = False
    intensity: str = "percentile"

    @property
    def wants_shape(self) -> bool:
        """Whether the shape must or may be typed."""
        return self.grid in (OWN_GRID, STRETCHED, STEPS_FILE)

    def steps(self) -> tuple[dict[str, Any], ...]:
        """The steps in order, as a bundle's metadata lists them; none where they lie in a file.

        Raises
        ------
        UserError
            If a number that is needed is missing or none.
        """
        if self.grid == STEPS_FILE:
            return ()
        bias = [{"step": "bias_correction"}] if self.bias_correction else []
        mask = [{"step": "mask"}] if self.brain_only else []
        intensity = {"step": "intensity", **_INTENSITIES[self.intensity][1]}
        if self.grid == STRETCHED:
            zoom = {"step": "zoom", "shape": _numbers(self.shape, int, "shape", "96,112,96")}
            return ({"step": "orientation", "axes": "RAS"}, *bias, *mask, zoom, intensity)
        return (*bias, *mask, {"step": "registration", **self._grid()}, intensity)

    def _grid(self) -> dict[str, Any]:
        if self.grid == OWN_GRID:
            spacing = self.spacing if "," in self.spacing else ",".join([self.spacing] * 3)
            return {
                "shape": _numbers(self.shape, int, "shape", "96,112,96"),
                "spacing": _numbers(spacing, float, "voxel size", "2"),
                "origin": _numbers(self.origin, float, "origin", "-95,-128,-88"),
            }
        _, shape, spacing_mm, origin = _TEMPLATE_GRIDS[self.grid]
        return {"shape": list(shape), "spacing": [spacing_mm] * 3, "origin": list(origin)}


def _numbers(text: str, kind: type, what: str, example: str) -> list[Any]:
    try:
        found = [kind(number) for number in text.replace("x", ",").split(",")]
    except ValueError:
        found = []
    if len(found) != 3:
        typed = f"'{text.strip()}'" if text.strip(" ,") else "empty"
        raise UserError(f"The input's {what} is {typed}: give numbers such as {example}.")
    return found
