"""A small, plausible Explanation: an oblique, anisotropic head with three methods' maps, made from formulas alone.

Everything is a smooth function of template-space RAS millimetres, so that scan, maps, atlas and tables agree with one
another by construction, on any grid. The "disease" sits in the right hippocampus.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from mri_interpret.explanation.explanation import (
    Explanation,
    MethodMap,
    ModelInfo,
    Prediction,
    Region,
    Registration,
    Target,
)
from mri_interpret.images.volume import Affine, Grid, Volume
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (..., 3), RAS mm in template space

BRAIN_CENTRE = (0.0, -18.0, 10.0)
BRAIN_RADII = (66.0, 84.0, 62.0)

# label, name, colour, centre and radii (mm) of an ellipsoid in template space
_REGIONS = (
    (17, "Left-Hippocampus", (0.86, 0.85, 0.08), (-27.0, -22.0, -15.0), (9.0, 18.0, 9.0)),
    (53, "Right-Hippocampus", (0.86, 0.55, 0.08), (27.0, -22.0, -15.0), (9.0, 18.0, 9.0)),
    (4, "Left-Lateral-Ventricle", (0.47, 0.07, 0.53), (-11.0, -18.0, 14.0), (7.0, 26.0, 9.0)),
    (43, "Right-Lateral-Ventricle", (0.60, 0.20, 0.63), (11.0, -18.0, 14.0), (7.0, 26.0, 9.0)),
    (1028, "ctx-lh-superiorfrontal", (0.08, 0.86, 0.63), (-16.0, 30.0, 40.0), (13.0, 24.0, 16.0)),
    (2028, "ctx-rh-superiorfrontal", (0.08, 0.70, 0.50), (16.0, 30.0, 40.0), (13.0, 24.0, 16.0)),
    (1025, "ctx-lh-precuneus", (0.63, 0.55, 0.71), (-12.0, -66.0, 36.0), (11.0, 16.0, 16.0)),
    (2025, "ctx-rh-precuneus", (0.50, 0.40, 0.62), (12.0, -66.0, 36.0), (11.0, 16.0, 16.0)),
)
_MIRROR = {17: 53, 53: 17, 4: 43, 43: 4, 1028: 2028, 2028: 1028, 1025: 2025, 2025: 1025}


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation about R, then A, then S."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[j, i] = np.sin(angle)
        turn[i, j] = -turn[j, i]
        matrix = turn @ matrix
    return matrix


def oblique_affine(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    degrees: tuple[float, float, float] = (8.0, -6.0, 11.0),
    signs: tuple[int, int, int] = (1, 1, 1),
    centre: tuple[float, float, float] = (3.0, -12.0, 6.0),
) -> Affine:
    """An affine whose grid is centred at ``centre``; ``signs`` flips axes (an odd number flips the handedness)."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(np.multiply(spacing, signs))
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _radius(points: Points, centre: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.float64]:
    """0 at the centre of an ellipsoid, 1 on its surface."""
    return np.linalg.norm((points - np.array(centre)) / np.array(radii), axis=-1)


def _inside(
    points: Points, centre: tuple[float, ...], radii: tuple[float, ...], soft: float = 0.06
) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp((_radius(points, centre, radii) - 1.0) / soft))


def _blob(points: Points, centre: tuple[float, ...], width: float) -> NDArray[np.float64]:
    return np.exp(-0.5 * (np.linalg.norm(points - np.array(centre), axis=-1) / width) ** 2)


def _points(grid: Grid, to_template: Affine) -> Points:
    index = np.moveaxis(np.indices(grid.shape, dtype=float), 0, -1)
    world = to_template @ grid.affine
    return index @ world[:3, :3].T + world[:3, 3]


def _t1(points: Points) -> NDArray[np.float64]:
    """Intensities like those of a T1-weighted head: fat, dark skull, grey and white matter, dark ventricles."""
    radii = np.array(BRAIN_RADII)
    head = 620 * _inside(points, BRAIN_CENTRE, tuple(radii + 17))
    head -= 540 * _inside(points, BRAIN_CENTRE, tuple(radii + 11))
    folds = 60 * np.sin(points[..., 0] / 4.5) * np.sin(points[..., 1] / 5.0) * np.sin(points[..., 2] / 5.5)
    brain = _inside(points, BRAIN_CENTRE, BRAIN_RADII)
    white = _inside(points, BRAIN_CENTRE, tuple(radii - 15), soft=0.12)
    head += brain * (380 + folds * (1 - white)) + 230 * white
    for label, _, _, centre, size in _REGIONS:
        if label in (4, 43):
            head -= 560 * _inside(points, centre, size, soft=0.1)
        elif label in (17, 53):
            head -= 190 * _inside(points, centre, size, soft=0.1)
    return np.clip(head, 0, None)


def _maps(points: Points) -> dict[str, NDArray[np.float32]]:
    inside = _radius(points, BRAIN_CENTRE, BRAIN_RADII) < 1.0
    right = _blob(points, (27.0, -22.0, -15.0), 9.0)
    left = _blob(points, (-27.0, -22.0, -15.0), 9.0)
    against = _blob(points, (-14.0, 30.0, 40.0), 11.0)
    ripple = np.sin(points[..., 0] / 3.0) * np.cos(points[..., 1] / 3.5) * np.sin(points[..., 2] / 3.0)
    maps = {
        "lrp": 2.4e-3 * (right + 0.45 * left - 0.55 * against + 0.03 * ripple),
        "guided_backprop": 1.1e-4 * (right + 0.6 * left) * (1 + 0.9 * ripple) + 4e-6 * ripple,
        "grad_cam_pp": 0.8
        * (_blob(points, (22.0, -24.0, -10.0), 17.0) + 0.5 * _blob(points, (-22.0, -24.0, -10.0), 17.0)),
    }
    return {name: np.where(inside, values, 0).astype(np.float32) for name, values in maps.items()}


def _atlas(points: Points) -> NDArray[np.uint16]:
    labels = np.zeros(points.shape[:-1], np.uint16)
    for label, _, _, centre, radii in _REGIONS:
        labels[_radius(points, centre, radii) < 1.0] = label
    return labels


def _summary(maps: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    scaled = np.stack([np.abs(m) / np.abs(m).max() for m in maps.values()])
    votes = sum((np.abs(m) > max(np.quantile(np.abs(m), 0.98), 1e-12)).astype(int) for m in maps.values())
    consensus = np.select([votes >= 3, votes >= 2], [3, 2], 0).astype(np.uint8)
    return np.clip(scaled.mean(axis=0), 0, 1).astype(np.float32), consensus


def _region_table(values: dict[str, Volume], atlas: Volume, brain: NDArray[np.bool_], space: str) -> pd.DataFrame:
    rows = []
    voxel = atlas.grid.voxel_volume
    for method, volume in values.items():
        field = volume.array.astype(float)
        total = np.abs(field).sum()
        density = np.abs(field[brain]).mean()
        sums = {label: np.abs(field[atlas.array == label]).sum() for label, *_ in _REGIONS}
        for label, name, *_ in _REGIONS:
            inside = atlas.array == label
            inner = field[inside]
            at = np.argwhere(inside)[np.abs(inner).argmax()]
            peak = volume.affine @ np.append(at, 1.0)
            left, right = sorted((label, _MIRROR[label]))
            rows.append(
                {
                    "method": method,
                    "space": space,
                    "label": label,
                    "region": name,
                    "volume_mm3": inside.sum() * voxel,
                    "sum": inner.sum(),
                    "mean": inner.mean(),
                    "positive_share": inner[inner > 0].sum() / total,
                    "negative_share": -inner[inner < 0].sum() / total,
                    "peak": inner[np.abs(inner).argmax()],
                    "peak_r": peak[0],
                    "peak_a": peak[1],
                    "peak_s": peak[2],
                    "share": np.abs(inner).sum() / total,
                    "gain": np.abs(inner).mean() / density,
                    "asymmetry": (sums[left] - sums[right]) / (sums[left] + sums[right]),
                }
            )
    return pd.DataFrame(rows)


def _agreement(maps: dict[str, NDArray[np.float32]]) -> pd.DataFrame:
    rows = []
    for a, b in combinations(maps, 2):
        one, two = np.abs(maps[a]).ravel(), np.abs(maps[b]).ravel()
        top = [m >= np.quantile(m, 0.95) for m in (one, two)]
        ranks = [pd.Series(m).rank() for m in (one, two)]
        rows.append(
            {
                "method_a": a,
                "method_b": b,
                "spearman": float(ranks[0].corr(ranks[1])),
                "dice_top5": float(2 * (top[0] & top[1]).sum() / (top[0].sum() + top[1].sum())),
                "region_correlation": float(np.corrcoef(one, two)[0, 1]),
            }
        )
    return pd.DataFrame(rows)


@lru_cache(maxsize=4)
def make_explanation(
    shape: tuple[int, int, int] = (40, 48, 44),
    spacing: tuple[float, float, float] = (4.6, 4.4, 4.1),
    degrees: tuple[float, float, float] = (8.0, -6.0, 11.0),
    signs: tuple[int, int, int] = (1, 1, 1),
) -> Explanation:
    """An explanation on the given scan grid (oblique by default); the template grid has 4 mm voxels."""
    scan_grid = Grid(shape, oblique_affine(shape, spacing, degrees, signs))
    template_affine = np.diag([4.0, 4.0, 4.0, 1.0])
    template_affine[:3, 3] = (-94.0, -127.0, -87.0)
    template_grid = Grid((48, 56, 48), template_affine)
    to_template = np.eye(4)
    to_template[:3, :3] = rotation((3.0, 2.0, -4.0)) @ np.diag([1.05, 1.02, 0.98])
    to_template[:3, 3] = (-3.0, -4.0, 2.5)

    native, template = _points(scan_grid, to_template), _points(template_grid, np.eye(4))
    brain = _radius(native, BRAIN_CENTRE, BRAIN_RADII) < 1.0
    template_brain = _radius(template, BRAIN_CENTRE, BRAIN_RADII) < 1.0
    native_maps, template_maps = _maps(native), _maps(template)
    summary, consensus = _summary(native_maps)
    summary_t, consensus_t = _summary(template_maps)

    def on_scan(array: NDArray[np.generic], name: str) -> Volume:
        return Volume(array, scan_grid.affine, name)

    def on_template(array: NDArray[np.generic], name: str) -> Volume:
        return Volume(array, template_affine, name)

    about = {
        "lrp": ("LRP", True, "logit per model voxel", 1.9),
        "guided_backprop": ("Guided backpropagation", True, "logit per intensity unit", 0.8),
        "grad_cam_pp": ("Grad-CAM++", False, "weighted activation", 0.4),
    }
    maps = {
        name: MethodMap(
            name=name,
            title=title,
            native=on_scan(native_maps[name], name),
            template=on_template(template_maps[name], name),
            signed=signed,
            units=units,
            seconds=seconds,
            details={"conservation_error": 0.004} if name == "lrp" else {"layer": "blocks.4"},
        )
        for name, (title, signed, units, seconds) in about.items()
    }
    atlas = on_scan(_atlas(native), "atlas")
    values = {name: m.native for name, m in maps.items()} | {"summary": on_scan(summary, "summary")}
    template_values = {name: m.template for name, m in maps.items()} | {"summary": on_template(summary_t, "summary")}
    table = pd.concat(
        [
            _region_table(values, atlas, brain, "native"),
            _region_table(template_values, on_template(_atlas(template), "atlas"), template_brain, "template"),
        ],
        ignore_index=True,
    )
    logits = {"CN": -0.61, "MCI": 0.42, "AD": 1.93}
    odds = {name: float(np.exp(value)) for name, value in logits.items()}
    t1, template_t1 = _t1(native), _t1(template)
    return Explanation(
        scan=on_scan(t1.round().astype(np.int16), "phantom.nii.gz"),
        mask=on_scan(brain.astype(np.uint8), "mask"),
        model=ModelInfo(
            name="phantom_cnn",
            version="0.1.0",
            hash="0f" * 32,
            description="A network that exists only in the tests",
            training_data="Formulas",
            intended_use="Testing",
            banner="Research use only, not for diagnosis. Trained on simulated atrophy.",
            classes=("CN", "MCI", "AD"),
        ),
        prediction=Prediction(logits, {name: value / sum(odds.values()) for name, value in odds.items()}, "AD"),
        target=Target("AD", {"CN": 0.0, "MCI": 0.0, "AD": 1.0}, 1.93),
        maps=maps,
        summary=on_scan(summary, "summary"),
        consensus=on_scan(consensus, "consensus"),
        summary_template=on_template(summary_t, "summary"),
        consensus_template=on_template(consensus_t, "consensus"),
        model_input=on_template(np.where(template_brain, template_t1 / 700, 0).clip(0, 1).astype(np.float32), "input"),
        template_in_scan=on_scan(np.where(brain, t1 / 700, 0).clip(0, 1).astype(np.float32), "template"),
        atlas_name="Eight ellipsoids",
        atlas_in_scan=atlas,
        regions=tuple(Region(label, name, colour) for label, name, colour, *_ in _REGIONS),
        region_table=table,
        agreement=_agreement(native_maps),
        registration=Registration(to_template, "affine", 0.94, 0.96, "good", "The scan fits the template well."),
        warnings=("This scan is a phantom made from formulas, not a patient.",),
        provenance={"versions": {"mri-interpret": "0.1.0"}, "seed": 0, "input_hash": "ab" * 32},
    )
